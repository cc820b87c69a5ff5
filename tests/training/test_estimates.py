"""Estimates without labels: the formulas by hand, and of a model in the order of its rows."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xa_search.records import TrialJob
from xa_search.training.estimates import (
    average_thresholded_confidence,
    measure_estimates,
    negative_entropy,
    nuclear_norm,
    read_estimates,
    write_estimates,
)
from xa_search.training.final_test import trained_predictor
from xa_search.training.trial import best_weights, train_trial


def test_negative_entropy_by_hand() -> None:
    found = negative_entropy(np.array([[1.0, 0.0], [0.5, 0.5], [0.9, 0.1]]))
    assert found.tolist() == pytest.approx([0.0, -np.log(2), 0.9 * np.log(0.9) + 0.1 * np.log(0.1)])


def test_average_thresholded_confidence_by_hand() -> None:
    """Three of four source rows are right, so the threshold is the least sure of them, 0.2."""
    source, right = np.array([0.9, 0.2, 0.7, 0.5]), np.array([True, False, True, True])
    assert average_thresholded_confidence(source, right, np.array([0.1, 0.6])) == 0.5
    assert average_thresholded_confidence(source, right, np.array([0.2, 0.3, 0.4, 0.5])) == 0.75
    assert average_thresholded_confidence(source, np.ones(4, dtype=bool), np.array([0.0])) == 1.0
    assert average_thresholded_confidence(source, np.zeros(4, dtype=bool), np.array([0.8, 0.95])) == 0.5


@given(st.lists(st.tuples(st.integers(0, 10**6), st.booleans()), min_size=1, max_size=40, unique_by=lambda one: one[0]))
def test_on_the_source_itself_it_is_the_accuracy(rows: list[tuple[int, bool]]) -> None:
    sure = np.array([float(value) for value, _ in rows])
    right = np.array([is_right for _, is_right in rows])
    assert average_thresholded_confidence(sure, right, sure) == pytest.approx(right.mean())


def test_the_nuclear_norm_is_one_of_sure_and_different_answers_and_small_of_equal_ones() -> None:
    assert nuclear_norm(np.eye(4)) == pytest.approx(1.0)
    assert nuclear_norm(np.tile([1.0, 0.0, 0.0, 0.0], (4, 1))) == pytest.approx(0.5), "one singular value, 2, over 4"
    assert nuclear_norm(np.full((4, 4), 0.25)) == pytest.approx(0.25), "unsure of all: one singular value, 1"
    assert nuclear_norm(np.array([[0.8, 0.2]])) == pytest.approx(np.hypot(0.8, 0.2))


def test_a_trained_model_is_estimated_on_text_without_labels(make_job: Callable[..., TrialJob], tmp_path: Path) -> None:
    job = make_job(epochs=1)
    list(train_trial(job))
    found = measure_estimates(job, trained_predictor(job, best_weights(job.directory)))
    assert found.keys() == {"atc", "nuclear"}
    assert all(0 <= value <= 1 for value in found.values())
    write_estimates(found, tmp_path / "estimates.json", {"weights": 1})
    assert read_estimates(tmp_path / "estimates.json", {"weights": 1}) == found
    assert read_estimates(tmp_path / "estimates.json", None) == found
    assert read_estimates(tmp_path / "estimates.json", {"weights": 2}) is None
