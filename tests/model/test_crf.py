"""The CRF over slot tags, held against sums and searches over all sequences of tags."""

import math
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xa_search.model.crf import LearnedTransitions, crf_loss, log_partition, path_scores
from xa_search.model.decoding import TRANSITIONS, decoder_among
from xa_search.records import IGNORED, TrialSettings

TAGS = ("O", "B-time", "I-time", "B-room", "I-room")
EDGE = len(TAGS)


def learned(seed: int) -> LearnedTransitions:
    decoder = LearnedTransitions(TAGS)
    values = torch.from_numpy(np.random.default_rng(seed).normal(scale=2.0, size=(EDGE + 1, EDGE + 1))).float()
    decoder.transitions.data += values
    return decoder


def score_of(way: tuple[int, ...], logits: torch.Tensor, scores: torch.Tensor) -> float:
    moves = sum(float(scores[before, after]) for before, after in pairwise((EDGE, *way, EDGE)))
    return moves + sum(float(logits[place, tag]) for place, tag in enumerate(way))


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
def test_partition_and_best_path_are_those_of_all_sequences(counts: list[int], seed: int) -> None:
    decoder = learned(seed)
    scores = decoder.scores().detach()
    random = np.random.default_rng(seed + 1)
    logits = torch.from_numpy(random.normal(scale=3.0, size=(sum(counts), EDGE))).float()
    words = torch.tensor(counts)
    totals, best = log_partition(logits, words, scores), decoder(logits, words)
    for place, (own, tags) in enumerate(zip(logits.split(counts), best.split(counts), strict=True)):
        found = {way: score_of(way, own, scores) for way in product(range(EDGE), repeat=len(own))}
        expected = math.log(sum(math.exp(score) for score in found.values() if math.isfinite(score)))
        assert float(totals[place]) == pytest.approx(expected, abs=1e-3)
        assert found[tuple(tags.tolist())] == pytest.approx(max(found.values()), abs=1e-4)
        alone = path_scores(own, torch.tensor([len(own)]), tags, scores)
        assert float(alone[0]) == pytest.approx(max(found.values()), abs=1e-4)


def test_the_loss_counts_whole_utterances_a_word_at_a_time() -> None:
    decoder = learned(3)
    logits = torch.randn(5, EDGE, generator=torch.Generator().manual_seed(1), requires_grad=True)
    words, gold = torch.tensor([2, 0, 2, 1]), torch.tensor([1, 2, IGNORED, 0, 3])
    loss = crf_loss(logits, words, gold, decoder.scores())
    chosen = torch.tensor([True, True, False, False, True])
    alone = crf_loss(logits[chosen], torch.tensor([2, 1]), gold[chosen], decoder.scores())
    assert float(loss.detach()) == pytest.approx(float(alone.detach()), abs=1e-6)
    assert float(loss.detach()) > 0
    none = crf_loss(logits, words, torch.full_like(gold, IGNORED), decoder.scores())
    none.backward()  # type: ignore[no-untyped-call]
    assert (float(none.detach()), float(logits.grad.abs().sum())) == (0.0, 0.0)  # type: ignore[union-attr]


def test_it_learns_what_may_follow_what_and_never_the_illegal() -> None:
    """Words without features: all that tells the tags apart is their order."""
    decoder = LearnedTransitions(TAGS)
    legal = decoder.legal
    optimizer = torch.optim.Adam(decoder.parameters(), lr=0.2)
    words, gold = torch.tensor([4, 3]), torch.tensor([0, 1, 2, 0, 0, 3, 0])
    logits = torch.zeros(7, EDGE)
    first = crf_loss(logits, words, gold, decoder.scores())
    for _ in range(60):
        optimizer.zero_grad()
        loss = crf_loss(logits, words, gold, decoder.scores())
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
        optimizer.step()
    assert float(loss.detach()) < float(first.detach()) / 2
    assert bool(decoder.transitions[legal].isfinite().all())
    assert bool(torch.isneginf(decoder.transitions[~legal]).all())


def test_its_transitions_travel_as_a_decoder_of_weight_one() -> None:
    decoder = learned(7)
    tensors = {f"decoder.{name}": value for name, value in decoder.state_dict().items()}
    assert sorted(tensors) == [TRANSITIONS, "decoder.weight"]
    there = decoder_among(tensors)
    assert there is not None
    there.load_state_dict(decoder.state_dict())
    logits, words = torch.randn(9, EDGE, generator=torch.Generator().manual_seed(2)), torch.tensor([4, 5])
    assert torch.equal(there(logits, words), decoder(logits, words))
    assert float(there.weight) == 1.0


def test_argmax_reads_no_crf() -> None:
    with pytest.raises(ValueError, match="slot_loss: crf is read by Viterbi; write decoding: viterbi"):
        TrialSettings(slot_loss="crf", decoding="argmax")
