"""Soups: the mean of checkpoints by hand, a ridge that forbids one, and a score that a trial's own model gives."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from xa_search.errors import ModelError
from xa_search.records import TrialJob
from xa_search.training import soup
from xa_search.training.checkpoint import KEPT_IDS
from xa_search.training.final_test import trained_predictor
from xa_search.training.soup import SoupScore, average_weights, cook_soup, distance
from xa_search.training.trial import best_weights, train_trial


def checkpoint(path: Path, value: float, ids: tuple[int, ...] = (1, 2)) -> Path:
    tensors = {
        "encoder.weight": torch.full((2, 2), value),
        "decoder.transitions": torch.tensor([-torch.inf, value], dtype=torch.float64),
        "temperatures": torch.tensor([value, value]),
        KEPT_IDS: torch.tensor(ids),
    }
    save_file(tensors, path)
    return path


def test_parameters_are_averaged_and_how_logits_are_read_is_not(tmp_path: Path) -> None:
    paths = [checkpoint(tmp_path / f"{value}.safetensors", value) for value in (1.0, 2.0, 6.0)]
    average_weights(paths, tmp_path / "mean.safetensors")
    found = load_file(tmp_path / "mean.safetensors")
    assert found["encoder.weight"].tolist() == [[3.0, 3.0], [3.0, 3.0]]
    assert found["decoder.transitions"].tolist() == [-torch.inf, 1.0]
    assert found["temperatures"].tolist() == [1.0, 1.0]
    assert distance(paths[0], paths[2]) == pytest.approx(10.0), "four weights that differ by five"
    other = checkpoint(tmp_path / "other.safetensors", 1.0, ids=(1, 3))
    with pytest.raises(ModelError, match="cannot be averaged"):
        average_weights([paths[0], other], tmp_path / "mean.safetensors")


def test_a_soup_of_equal_models_scores_as_they_do_and_a_ridge_forbids_it(
    make_job: Callable[..., TrialJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(epochs=1)
    (report,) = train_trial(job)
    member, cooked = best_weights(job.directory), make_job(name="soup", epochs=1)
    found = cook_soup(cooked, [member] * 3, [report.score] * 3)
    assert isinstance(found, SoupScore)
    assert found.score == pytest.approx(report.score)
    temperatures = trained_predictor(cooked, best_weights(cooked.directory)).model.temperatures
    assert temperatures.tolist() == pytest.approx(load_file(member)["temperatures"].tolist(), rel=1e-3)
    monkeypatch.setattr(soup, "_scored", lambda *_: (0.2, {}))
    refused = cook_soup(cooked, [member] * 2, [0.5, 0.24])
    assert refused == "half way between two members the score is 20.0, and 24.0 or more at both ends"
    assert not best_weights(cooked.directory).exists()
