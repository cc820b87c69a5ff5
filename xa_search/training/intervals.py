"""How sure a score is. In: what each utterance contributes to it. Out: the score and its 95% interval.

Percentile bootstrap: utterances are drawn again, with replacement, RESAMPLES times from a fixed seed, and the score is
taken of each draw. It tells of the test set's size alone, not of another seed of the training.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 1000
SEED = 1
DRAWS_AT_ONCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A score or a difference, and where 95% of the resampled ones lie; no percentages."""

    value: float
    low: float
    high: float


def share_interval(hits: np.ndarray) -> Interval:
    """The share of utterances that are right; `hits` is bool [utterances]."""
    columns = np.stack([hits, np.ones_like(hits)], axis=1).astype(np.float64)
    return _interval(columns)


def f1_interval(correct: np.ndarray, predicted: np.ndarray, gold: np.ndarray) -> Interval:
    """Micro F1 of spans; each array is [utterances], how many spans an utterance has. 0 where there are none."""
    return _interval(np.stack([2 * correct, predicted + gold], axis=1).astype(np.float64))


def resampled_interval(parts: Sequence[np.ndarray], statistic: Callable[[np.ndarray], np.ndarray]) -> Interval:
    """Take a statistic of sums over utterances; each part is [utterances, columns], and is drawn by itself.

    What several columns of a part have of one utterance is drawn together, so that models are compared on the same
    draws. The statistic makes [draws] of sums [draws, columns of all parts].
    """
    random = np.random.default_rng(SEED)
    found = []
    for _ in range(RESAMPLES // DRAWS_AT_ONCE):
        draws = [random.multinomial(len(part), np.full(len(part), 1 / len(part)), DRAWS_AT_ONCE) for part in parts]
        sums = [draw @ part for draw, part in zip(draws, parts, strict=True)]
        found.append(statistic(np.concatenate(sums, axis=1)))
    low, high = np.percentile(np.concatenate(found), [2.5, 97.5])
    whole = np.concatenate([part.sum(axis=0) for part in parts])
    return Interval(value=float(statistic(whole[None])[0]), low=float(low), high=float(high))


def ratios(sums: np.ndarray) -> np.ndarray:
    """Return the ratios [draws, n] of neighbouring columns [draws, 2n], each first to each second; to 0 they are 0."""
    above, below = sums[:, 0::2], sums[:, 1::2]
    found: np.ndarray = np.divide(above, below, out=np.zeros(above.shape), where=below > 0)
    return found


def mean_ratio(sums: np.ndarray) -> np.ndarray:
    """Return the mean [draws] of the ratios."""
    mean: np.ndarray = ratios(sums).mean(axis=1)
    return mean


def _interval(columns: np.ndarray) -> Interval:
    """Take the ratio of two sums over utterances; `columns` is [utterances, 2]."""
    if not len(columns):
        return Interval(value=0.0, low=0.0, high=0.0)
    return resampled_interval([columns], mean_ratio)
