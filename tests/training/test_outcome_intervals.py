"""Intervals of tested models: the value is the score, and none is told of what was not tested."""

import numpy as np
import pytest

from xa_search.training.final_test import Outcomes
from xa_search.training.outcome_intervals import EXACT, INTENT, SLOTS, mean_interval


def outcomes(right: int, of: int = 40, first: int = 0) -> Outcomes:
    hits = np.arange(of) < right
    return Outcomes(
        ids=tuple(str(first + number) for number in range(of)),
        intent=hits,
        exact=hits & (np.arange(of) % 2 == 0),
        correct=hits.astype(np.int64),
        found=np.ones(of, dtype=np.int64),
        gold=np.ones(of, dtype=np.int64),
    )


@pytest.mark.parametrize(("metric", "expected"), [(INTENT, 0.625), (SLOTS, 0.625), (EXACT, 0.3125)])
def test_the_value_is_the_mean_over_languages(metric: str, expected: float) -> None:
    found = mean_interval({"de": outcomes(20), "th": outcomes(30)}, None, metric, ("de", "th"))
    assert found is not None
    assert found.value == pytest.approx(expected)
    assert found.low < expected < found.high


def test_a_gain_is_told_on_the_same_utterances() -> None:
    found = mean_interval({"de": outcomes(30)}, {"de": outcomes(20)}, INTENT, ("de",))
    assert found is not None
    assert found.value == pytest.approx(0.25)
    assert mean_interval({"de": outcomes(30)}, {"de": outcomes(20, first=100)}, INTENT, ("de",)) is None


def test_what_was_not_tested_has_no_interval() -> None:
    assert mean_interval({"de": outcomes(3)}, None, INTENT, ("de", "th")) is None
    assert mean_interval({"de": outcomes(3)}, {}, INTENT, ("de",)) is None
