"""Probabilities of slots, held against a sum over all sequences of tags."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xa_search.model.calibration import fit_slot_temperature
from xa_search.model.decoding import decode, transition_scores
from xa_search.model.posterior import slot_probabilities, weighted_scores, which_are_right
from xa_search.records import IGNORED
from xa_search.training.metrics import spans_of

TAGS = ("O", "B-a", "I-a", "B-b", "I-b")
FREE = torch.zeros(len(TAGS) + 1, len(TAGS) + 1, dtype=torch.float64)
"""What a model without a decoder has: every sequence is possible."""


def weights_of(logits: torch.Tensor, scores: torch.Tensor) -> dict[tuple[int, ...], float]:
    """Return the probability of each sequence of tags of one utterance."""
    found = {}
    for tags in product(range(len(TAGS)), repeat=len(logits)):
        moves = zip([len(TAGS), *tags], [*tags, len(TAGS)], strict=True)
        total = sum(float(scores[before, after]) for before, after in moves)
        found[tags] = np.exp(total + sum(float(logits[place, tag]) for place, tag in enumerate(tags)))
    return {tags: value / sum(found.values()) for tags, value in found.items() if value > 0}


def named(tags: tuple[int, ...]) -> list[str]:
    return [TAGS[tag] for tag in tags]


@settings(max_examples=25)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=4), st.integers(0, 2**32 - 1), st.booleans())
def test_a_slot_is_as_probable_as_all_sequences_that_have_it(counts: list[int], seed: int, free: bool) -> None:
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 6, 20)
    transitions = transition_scores(random.integers(0, len(TAGS), int(lengths.sum())), lengths, TAGS)
    scores = FREE if free else weighted_scores(transitions, 0.5)
    logits = torch.from_numpy(random.normal(scale=2.0, size=(sum(counts), len(TAGS))))
    rows = [weights_of(words, scores) for words in logits.split(counts)]
    chosen = [list(row)[random.integers(len(row))] if row else () for row in rows]
    tags = torch.tensor([tag for row in chosen for tag in row], dtype=torch.int64)
    found = slot_probabilities(logits, torch.tensor(counts), scores, tags, TAGS)
    for mine, row, sums in zip(chosen, rows, found.split(counts), strict=True):
        for place, tag in enumerate(mine):
            spans = [span for span in spans_of(named(mine)) if span[1] <= place <= span[2]]
            if spans and TAGS[mine[spans[0][1]]].startswith("I-"):
                continue  # not legal: its sum has those sequences too in which it goes on with a slot before it
            has = [
                value
                for tags_, value in row.items()
                if (
                    spans[0] in spans_of(named(tags_)) and tags_[spans[0][1]] == mine[spans[0][1]]
                    if spans
                    else tags_[place] == tag
                )
            ]
            assert float(sums[place]) == pytest.approx(sum(has), abs=1e-6)


@given(st.lists(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=4), min_size=1, max_size=3))
def test_a_slot_is_right_where_the_gold_tags_have_it(rows: list[list[tuple[int, int]]]) -> None:
    said, gold = ([[pair[side] for pair in row] for row in rows] for side in (0, 1))
    flat = [torch.tensor([tag for row in tags for tag in row], dtype=torch.int64) for tags in (said, gold)]
    if not len(flat[0]):
        return
    counts = torch.tensor([len(row) for row in rows])
    right = which_are_right(*flat, counts, TAGS).split(counts.tolist())
    for mine, other, found in zip(said, gold, right, strict=True):
        for slot_type, first, last in spans_of([TAGS[tag] for tag in mine]):
            assert bool(found[first]) == bool(found[last])
            if mine[first] == other[first] and TAGS[mine[first]].startswith("B-"):
                assert bool(found[first]) == ((slot_type, first, last) in spans_of([TAGS[tag] for tag in other]))


def test_the_slot_temperature_undoes_a_scale() -> None:
    """Tags drawn from a chain ask for temperature 1, and for 2 where all logits and scores were doubled."""
    random = np.random.default_rng(4)
    scores = weighted_scores(transition_scores(np.array([0, 1, 2, 0, 3, 0] * 9), np.full(9, 6), TAGS), 1.0)
    counts = torch.full((300,), 2)
    logits = torch.from_numpy(random.normal(scale=1.5, size=(600, len(TAGS))))
    drawn: list[int] = []
    for words in logits.split(counts.tolist()):
        row = weights_of(words, scores)
        drawn += list(row)[random.choice(len(row), p=list(row.values()))]
    gold, tags = torch.tensor(drawn), decode(logits, counts, scores, 1.0)
    for scale in (1.0, 2.0):
        found = fit_slot_temperature(scale * logits, counts, scale * scores, tags, gold, TAGS)
        assert found == pytest.approx(scale, rel=0.3)
    unknown, nothing = torch.full_like(gold, IGNORED), torch.zeros_like(gold)
    assert fit_slot_temperature(logits, counts, scores, tags, unknown, TAGS) == 1.0
    assert fit_slot_temperature(logits, counts, scores, nothing, gold, TAGS) == 1.0


def test_what_is_very_improbable_is_no_fault() -> None:
    logits = torch.tensor([[800.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 900.0, 0.0, 0.0]])
    scores = weighted_scores(transition_scores(np.array([0]), np.array([1]), TAGS), 1.0)
    for tags in ([0, 0], [1, 2]):
        found = slot_probabilities(logits, torch.tensor([2]), scores, torch.tensor(tags), TAGS)
        assert found.isfinite().all()
        assert ((found >= 0) & (found <= 1)).all()
