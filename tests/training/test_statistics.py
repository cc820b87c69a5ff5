"""Intervals: by hand, against known formulas, and how often they hold the truth."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from xa_search.training.statistics import Sample, f1_interval, interval, rank_correlation, share_interval

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
from interval_coverage import Cell, coverage, normal_coverage


def counted(*hits: list[int]) -> list[np.ndarray]:
    """Of each seed the answers of one system, one utterance a row."""
    return [np.stack([np.array(one), np.ones(len(one))], axis=1).astype(np.float64) for one in hits]


def test_three_seeds_by_hand() -> None:
    """The formula of the module, written out, with the two utterances that are added."""
    right = np.random.default_rng(5).random((3, 50)) < np.array([[0.7], [0.8], [0.9]])
    found = interval([Sample(counts=counted(*right.astype(int).tolist()), weights=np.ones(1))])
    scores = right.mean(axis=1)
    widened = np.concatenate([right.mean(axis=0), [1, 0]])
    of_seeds, of_utterances = scores.var(ddof=1) / 3, widened.var(ddof=1) / 52
    squared = of_seeds + of_utterances
    freedom = squared / (of_seeds / 2 + of_utterances / 51)
    half = student.ppf(0.975, freedom) * math.sqrt(squared)
    assert found.value == pytest.approx(scores.mean())
    assert (found.low, found.high) == pytest.approx((widened.mean() - half, widened.mean() + half))
    assert found.over == "3 seeds and the test set"


def test_one_and_two_seeds_tell_of_the_test_set_alone() -> None:
    one, other = [1] * 30 + [0] * 10, [1] * 20 + [0] * 20
    alone = interval([Sample(counts=counted(one), weights=np.ones(1))])
    assert alone.over == "the test set alone, one seed"
    both = interval([Sample(counts=counted(one, other), weights=np.ones(1))])
    assert both.over == "the test set alone, 2 seeds, too few for an interval over them"
    assert both.value == pytest.approx(0.625)
    assert both.high - both.low == pytest.approx(alone.high - alone.low, rel=0.2)
    with pytest.raises(ValueError, match="no seed"):
        interval([Sample(counts=[], weights=np.ones(1))])


def test_translations_of_an_utterance_are_one_utterance() -> None:
    """Ten languages that agree tell no more than one; ten that do not, far more."""
    right = np.random.default_rng(3).random((200, 10)) < 0.8
    same = np.repeat(right[:, :1], 10, axis=1)
    weights = np.full(10, 0.1)

    def width(hits: np.ndarray) -> float:
        columns = np.stack([hits, np.ones_like(hits)], axis=2).reshape(len(hits), -1).astype(np.float64)
        found = interval([Sample(counts=[columns], weights=weights)])
        return found.high - found.low

    assert width(same) == pytest.approx(width(right[:, :1].repeat(10, axis=1)))
    assert width(right) < 0.5 * width(same)


def test_f1_is_of_summed_counts() -> None:
    """Three of four found, of five: F1 is 6 / 9; the mean of each utterance's own F1 would be another."""
    found = f1_interval(np.array([2, 1]), np.array([2, 2]), np.array([4, 1]))
    assert found.value == pytest.approx(6 / 9)


def test_all_right_is_not_certain() -> None:
    found = share_interval(np.ones(50, dtype=bool))
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low < 0.97
    assert share_interval(np.zeros(0, dtype=bool)).value == 0.0


@given(st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=1, max_size=5))
def test_a_difference_with_itself_is_nothing(seeds: list[list[bool]]) -> None:
    counts = [np.concatenate([one, one], axis=1) for one in counted(*[[int(hit) for hit in seed] for seed in seeds])]
    found = interval([Sample(counts=counts, weights=np.array([1.0, -1.0]))])
    assert found.value == pytest.approx(0)
    assert found.low <= 0 <= found.high


def test_rank_correlations_of_the_same_order_are_one_and_of_few_say_nothing() -> None:
    random = np.random.default_rng(2)
    numbers = random.random(12)
    assert rank_correlation(numbers, numbers**3).value == pytest.approx(1)
    found = rank_correlation(numbers, random.random(12))
    assert -1 < found.low < found.value < found.high < 1
    few = rank_correlation(numbers[:3], numbers[3:6])
    assert (few.low, few.high) == (-1, 1)


@pytest.mark.parametrize("metric", ["intent", "slots"])
def test_intervals_over_three_seeds_hold_the_truth(metric: str) -> None:
    """Of 95%, 400 draws lie above 92% almost surely."""
    cell = Cell(seeds=3, seed_points=3.0, utterances=100, metric=metric)
    assert coverage(cell, repeats=400).covered >= 0.92


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_coverage_lies_between_93_and_97_percent_whatever_part_is_of_seeds(seeds: int) -> None:
    """The percentile bootstrap over three seeds had 75% where all is of seeds, Welch's degrees of freedom 92.1%."""
    for utterances in (0.0, 0.05, 0.1, 0.2, 0.5, 1.0, 4.0):
        assert 0.935 <= normal_coverage(seeds, utterances, draws=40_000) <= 0.97
