"""Decoding, held against a search over all sequences of tags."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xa_search.model.decoding import (
    TRANSITIONS,
    WEIGHTS,
    SlotDecoder,
    decode,
    decoder_among,
    legal_transitions,
    transition_scores,
)

TAGS = ("O", "B-time", "I-time", "B-room", "I-room")
LONGEST = 4


def is_legal(tags: list[str]) -> bool:
    return all(
        not tag.startswith("I-") or before[2:] == tag[2:] for before, tag in zip(["O", *tags], tags, strict=False)
    )


def score_of(tags: tuple[int, ...], logits: torch.Tensor, scores: torch.Tensor, weight: float) -> float:
    steps = zip([len(TAGS), *tags], [*tags, len(TAGS)], strict=True)
    moves = sum(float(scores[before, after]) for before, after in steps) * weight
    return moves + sum(float(logits[place, tag]) for place, tag in enumerate(tags))


@st.composite
def sentences(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits of the words of some sentences, how many words each has, and the scores of some training tags."""
    counts = draw(st.lists(st.integers(0, LONGEST), min_size=1, max_size=5))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    lengths = random.integers(0, 6, 20)
    scores = transition_scores(random.integers(0, len(TAGS), int(lengths.sum())), lengths, TAGS)
    logits = torch.from_numpy(random.normal(scale=2.0, size=(sum(counts), len(TAGS)))).float()
    return logits, torch.tensor(counts), scores


@given(sentences(), st.sampled_from(WEIGHTS))
def test_decoding_finds_what_a_search_over_all_legal_sequences_finds(
    given_: tuple[torch.Tensor, torch.Tensor, torch.Tensor], weight: float
) -> None:
    logits, counts, scores = given_
    found = decode(logits, counts, scores, weight)
    for words, tags in zip(logits.split(counts.tolist()), found.split(counts.tolist()), strict=True):
        assert is_legal([TAGS[tag] for tag in tags])
        legal = [way for way in product(range(len(TAGS)), repeat=len(words)) if is_legal([TAGS[tag] for tag in way])]
        known = torch.where(scores.isfinite(), scores, 0.0)
        best = max(score_of(way, words, known, weight) for way in legal)
        assert score_of(tuple(tags.tolist()), words, known, weight) == pytest.approx(best, abs=1e-4)


def test_pieces_of_a_batch_are_decoded_as_the_whole_is(monkeypatch: pytest.MonkeyPatch) -> None:
    random = torch.Generator().manual_seed(1)
    counts = torch.tensor([3, 1, 0, 4, 2])
    logits = torch.randn(10, len(TAGS), generator=random)
    scores = transition_scores(np.array([0, 1, 2, 0, 3]), np.array([3, 2]), TAGS)
    whole = decode(logits, counts, scores, 0.5)
    monkeypatch.setattr("xa_search.model.decoding.TOTALS_AT_ONCE", 1)
    assert torch.equal(decode(logits, counts, scores, 0.5), whole)
    assert len(decode(logits[:0], counts[:0], scores, 0.5)) == 0


def test_scores_are_the_logarithms_of_shares_and_forbid_what_iob2_does() -> None:
    # O B-time I-time | B-time I-time | O
    scores = transition_scores(np.array([0, 1, 2, 1, 2, 0]), np.array([3, 2, 1]), TAGS)
    shares = scores.exp()
    assert torch.allclose(shares.sum(dim=1), torch.ones(len(TAGS) + 1))
    assert (scores.isfinite().numpy() == legal_transitions(TAGS)).all()
    assert shares[1, 2] == shares[1].max()
    assert shares[2, -1] > 0.6, "both I-time ended their utterance"
    assert shares[3, 4] > 0, "what was never seen may still come"


def test_slots_of_one_type_stay_two_where_the_source_has_them_side_by_side() -> None:
    """Both words look most like a beginning; what the source has decides, if it has weight."""
    logits = torch.tensor([[0.0, 3.0, 0.0, 0.0, 0.0], [0.0, 2.0, 1.0, 0.0, 0.0]])
    counts = torch.tensor([2])
    apart = transition_scores(np.array([1, 1] * 20), np.full(20, 2), TAGS)
    together = transition_scores(np.array([1, 2] * 20), np.full(20, 2), TAGS)
    assert decode(logits, counts, apart, 1.0).tolist() == [1, 1]
    assert decode(logits, counts, together, 1.0).tolist() == [1, 2]
    assert decode(logits, counts, together, 0.0).tolist() == [1, 1]


def test_a_decoder_is_found_among_the_weights_of_a_model_that_has_one() -> None:
    decoder = SlotDecoder(transition_scores(np.array([0]), np.array([1]), TAGS))
    decoder.weight.fill_(0.3)
    stored = {f"decoder.{name}": tensor for name, tensor in decoder.state_dict().items()}
    found = decoder_among(stored)
    assert found is not None
    found.load_state_dict(decoder.state_dict())
    logits, counts = torch.randn(4, len(TAGS)), torch.tensor([4])
    assert torch.equal(found(logits, counts), decoder(logits, counts))
    del stored[TRANSITIONS]
    assert decoder_among(stored) is None
