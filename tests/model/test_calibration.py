"""The temperature, held against a dense grid."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from xa_search.model.calibration import COLDEST, HOTTEST, fit_temperature
from xa_search.records import IGNORED
from xa_search.training.metrics import expected_calibration_error


def test_the_temperature_gives_the_labels_the_highest_likelihood_and_mends_what_was_scaled() -> None:
    random = torch.Generator().manual_seed(1)
    logits = torch.randn(2000, 5, generator=random) * 1.5
    labels = torch.multinomial(logits.softmax(-1), 1, generator=random)[:, 0]
    for scale in (0.5, 1.0, 3.0):
        found = fit_temperature(logits * scale, labels)
        grid = np.exp(np.linspace(np.log(COLDEST), np.log(HOTTEST), 150))
        losses = [float(functional.cross_entropy(logits * scale / one, labels)) for one in grid]
        assert found == pytest.approx(grid[int(np.argmin(losses))], rel=0.04)
        assert found == pytest.approx(scale, rel=0.1)
    sure, best = (logits * 3).softmax(-1).max(-1)
    before = expected_calibration_error(sure.tolist(), (best == labels).tolist())
    sure, best = (logits * 3 / fit_temperature(logits * 3, labels)).softmax(-1).max(-1)
    assert expected_calibration_error(sure.tolist(), (best == labels).tolist()) < 0.05 < before


def test_labels_that_are_not_known_count_nothing_and_perfect_answers_stay_within_bounds() -> None:
    logits, labels = torch.eye(3) * 5, torch.tensor([0, 1, IGNORED])
    assert fit_temperature(logits, labels) == pytest.approx(COLDEST, rel=1e-2)
    assert fit_temperature(logits, torch.tensor([1, 2, IGNORED])) == pytest.approx(HOTTEST, rel=1e-2)
    assert fit_temperature(logits, torch.full((3,), IGNORED)) == 1.0


def test_the_calibration_error_weighs_each_bin_by_its_answers() -> None:
    assert expected_calibration_error([], []) == 0.0
    assert expected_calibration_error([1.0, 1.0], [True, False]) == pytest.approx(0.5)
    # Two bins: four answers at 0.9 of which three are right, one at 0.3 that is wrong.
    found = expected_calibration_error([0.9] * 4 + [0.3], [True, True, True, False, False])
    assert found == pytest.approx((4 * 0.15 + 0.3) / 5)
