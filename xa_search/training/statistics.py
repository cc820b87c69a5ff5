"""Intervals, the same for reports, claims and benchmarks. In: what each utterance adds to scores. Out: 95% intervals.

A score is a ratio of sums over utterances (accuracy; F1 of summed span counts), or a weighted sum of such ratios, as a
mean over languages or a difference of systems. An utterance is its id: its translations, and the answers of all systems
to them, stand in one row. With n seeds, each of which gives every system, the value is D, the mean of d_s over seeds:

    v_seed = var(d_s) / n          v_utt: the variance of D over utterances, by linearisation of its ratios
    SE^2 = v_seed + v_utt          df = SE^2 / (v_seed / (n - 1) + v_utt / (m - 1))

and the interval D +- t(df) SE. Welch's and Satterthwaite's df has squared variances in place of these; over three seeds
that make up most of the spread its interval holds the truth in 92.1% only, as v_seed is itself so unsure. What seeds
and utterances have together stands in both parts: the interval is wide rather than narrow, and
`benchmarks/interval_coverage.py` prints by how much. One seed tells nothing of another, and two say so little of their
spread that no interval over them is of use: then it is that of the test set alone, and says so.

Shares get a success and a failure more in each direction (Bonett and Price 2012; Agresti and Coull 1998), so that an
interval does not shrink to nothing where all answers are right.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm as normal
from scipy.stats import spearmanr
from scipy.stats import t as student

LEVEL = 0.95
ENOUGH_SEEDS = 3
LEAST_OF_A_CORRELATION = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A score or a difference with its 95% interval; no percentages. `seeds` is how many models it is the mean of."""

    value: float
    low: float
    high: float
    seeds: int = 1

    @property
    def over(self) -> str:
        """What the interval tells of."""
        if self.seeds >= ENOUGH_SEEDS:
            return f"{self.seeds} seeds and the test set"
        few = "one seed" if self.seeds == 1 else f"{self.seeds} seeds, too few for an interval over them"
        return f"the test set alone, {few}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What the utterances of one corpus add to k ratios, by seed.

    `counts[s]` is [utterances, 2 k]: the numerator and the denominator of each ratio. The value of a seed is the sum of
    `weights` [k] times the ratios; a ratio to nothing is 0.
    """

    counts: Sequence[np.ndarray]
    weights: np.ndarray


def interval(samples: Sequence[Sample], *, shares: bool = True, level: float = LEVEL) -> Interval:
    """Return the sum of the samples' values with its interval; samples are independent of each other.

    Two one-sided tests at 5% each find a value within limits where its interval of the level 0.9 lies within them.

    With `shares` every numerator lies between 0 and its denominator. Raises ValueError without a seed.
    """
    value, middle, parts, seeds = _estimate(samples, shares=shares)
    half = float(half_width(parts, level)) if sum(variance for variance, _ in parts) > 0 else 0.0
    return Interval(value=value, low=middle - half, high=middle + half, seeds=seeds)


def lower_bound(samples: Sequence[Sample], level: float) -> float:
    """Return what the sum of the samples' values is above, but for this share of cases: the one-sided bound.

    It is the lower end of the interval that leaves out this share on either side. Raises ValueError without a seed.
    """
    return interval(samples, level=1 - 2 * level).low


def half_width(parts: Sequence[tuple[Any, int]], level: float = LEVEL) -> Any:
    """Return half the width of an interval, of its variance's parts with their degrees of freedom; also arrays."""
    squared = sum(variance for variance, _ in parts)
    freedom = squared / sum(variance / degrees for variance, degrees in parts if degrees > 0)
    return student.ppf((1 + level) / 2, freedom) * squared**0.5


def share_interval(hits: np.ndarray) -> Interval:
    """The share of utterances that are right; `hits` is bool [utterances]. 0 of nothing."""
    return _one_score(np.stack([hits, np.ones_like(hits)], axis=1).astype(np.float64))


def f1_interval(correct: np.ndarray, predicted: np.ndarray, gold: np.ndarray) -> Interval:
    """Micro F1 of spans; each array is [utterances], how many spans an utterance has. 0 where there are none."""
    return _one_score(np.stack([2 * correct, predicted + gold], axis=1).astype(np.float64))


def seeds_half_width(values: Sequence[float]) -> float | None:
    """Return half the width of the 95% interval of a mean over seeds, by Student's t; none of fewer than three."""
    if len(values) < ENOUGH_SEEDS:
        return None
    quantile = float(student.ppf((1 + LEVEL) / 2, len(values) - 1))
    return quantile * float(np.std(values, ddof=1)) / float(len(values) ** 0.5)


def rank_correlation(one: np.ndarray, other: np.ndarray) -> Interval:
    """Spearman's rank correlation of n pairs, by Fisher's z with the variance of Bonett and Wright (2000).

    The interval is the whole range where there are fewer than four.
    """
    value, count = float(spearmanr(one, other).statistic), len(one)
    if count <= LEAST_OF_A_CORRELATION:
        return Interval(value=value, low=-1.0, high=1.0)
    half = float(normal.ppf((1 + LEVEL) / 2)) * ((1 + value**2 / 2) / (count - LEAST_OF_A_CORRELATION)) ** 0.5
    middle = np.arctanh(np.clip(value, -0.999999, 0.999999))
    return Interval(value=value, low=float(np.tanh(middle - half)), high=float(np.tanh(middle + half)))


def seed_values(sample: Sample) -> np.ndarray:
    """Return the value of each seed, [seeds]."""
    return _values(sample)


def _estimate(samples: Sequence[Sample], *, shares: bool) -> tuple[float, float, list[tuple[float, int]], int]:
    """Return the value, the middle of its interval, the parts of its variance with their degrees, and the seeds."""
    seeds = min(len(sample.counts) for sample in samples)
    if seeds == 0:
        raise ValueError("a sample has no seed")
    value = float(sum(_values(sample).mean() for sample in samples))
    widened = [_with_both_outcomes(sample) for sample in samples] if shares else list(samples)
    middle = float(sum(_values(sample).mean() for sample in widened))
    parts = [_of_utterances(sample) for sample in widened]
    if seeds >= ENOUGH_SEEDS:
        parts += [_of_seeds(sample) for sample in samples]
    return value, middle, parts, seeds


def _one_score(counts: np.ndarray) -> Interval:
    if not counts[:, 1].sum():
        return Interval(value=0.0, low=0.0, high=0.0)
    found = interval([Sample(counts=[counts], weights=np.ones(1))])
    return Interval(value=found.value, low=max(0.0, found.low), high=min(1.0, found.high))


def _values(sample: Sample) -> np.ndarray:
    return np.array([_ratios(counts.sum(axis=0)) @ sample.weights for counts in sample.counts])


def _ratios(sums: np.ndarray) -> np.ndarray:
    above, below = sums[0::2], sums[1::2]
    found: np.ndarray = np.divide(above, below, out=np.zeros(len(above)), where=below > 0)
    return found


def _with_both_outcomes(sample: Sample) -> Sample:
    """Add an utterance for which all that counts is right and all that is taken off wrong, and one the other way."""
    widened = []
    for counts in sample.counts:
        usual = counts[:, 1::2].mean(axis=0)
        both = np.zeros((2, counts.shape[1]))
        both[:, 1::2] = usual
        both[0, 0::2] = np.where(sample.weights > 0, usual, 0)
        both[1, 0::2] = np.where(sample.weights > 0, 0, usual)
        widened.append(np.concatenate([counts, both]))
    return Sample(counts=widened, weights=sample.weights)


def _of_seeds(sample: Sample) -> tuple[float, int]:
    """Return the part of the variance that comes from seeds, with its degrees of freedom."""
    values = _values(sample)
    return float(values.var(ddof=1)) / len(values), len(values) - 1


def _of_utterances(sample: Sample) -> tuple[float, int]:
    """Return the part of the variance that comes from utterances: each one's influence on the value, squared."""
    influence = np.zeros(len(sample.counts[0]))
    for counts in sample.counts:
        sums = counts.sum(axis=0)
        below = np.where(sums[1::2] > 0, sums[1::2], 1)
        influence += ((counts[:, 0::2] - _ratios(sums) * counts[:, 1::2]) / below) @ sample.weights
    influence /= len(sample.counts)
    utterances = len(influence)
    if utterances < 2:
        return 0.0, 0
    return float(np.square(influence).sum()) * utterances / (utterances - 1), utterances - 1
