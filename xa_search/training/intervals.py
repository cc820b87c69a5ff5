"""How sure a test score is. In: what each utterance contributes to it. Out: the score and its 95% interval.

Percentile bootstrap: utterances are drawn again, with replacement, RESAMPLES times from a fixed seed, and the score is
taken of each draw. It tells of the test set's size alone, not of another seed of the training.
"""

from dataclasses import dataclass

import numpy as np

RESAMPLES = 1000
SEED = 1
DRAWS_AT_ONCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A score, and where 95% of the resampled ones lie; fractions between 0 and 1."""

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


def _interval(columns: np.ndarray) -> Interval:
    """Take the ratio of two sums over utterances; `columns` is [utterances, 2]."""
    rows = len(columns)
    if not rows:
        return Interval(value=0.0, low=0.0, high=0.0)
    random = np.random.default_rng(SEED)
    shares = np.full(rows, 1 / rows)
    draws = [
        _ratio(random.multinomial(rows, shares, DRAWS_AT_ONCE) @ columns) for _ in range(RESAMPLES // DRAWS_AT_ONCE)
    ]
    low, high = np.percentile(np.concatenate(draws), [2.5, 97.5])
    return Interval(value=float(_ratio(columns.sum(axis=0)[None])[0]), low=float(low), high=float(high))


def _ratio(sums: np.ndarray) -> np.ndarray:
    ratios: np.ndarray = np.divide(sums[:, 0], sums[:, 1], out=np.zeros(len(sums)), where=sums[:, 1] > 0)
    return ratios
