"""A trial that is trained alone has the values that its space gives, where the command line gives none."""

from pathlib import Path
from typing import Any

import pytest

from xa_search.errors import DataError
from xa_search.records import TrialSettings
from xa_search.workflows import run
from xa_search.workflows.plan import make_plan

ONLY_SMALL = ("params.model_size.choices=[small]", "baseline={learning_rate: 3.0e-4}", "published={align_weight: 5.0}")


def test_a_space_gives_its_only_choices_and_its_baseline(tmp_path: Path) -> None:
    space = make_plan("mtop-mini", ONLY_SMALL, home=tmp_path).space
    assert space.given_params == {"model_size": "small", "learning_rate": 3e-4, "align_weight": 5.0}


def test_what_the_command_line_gives_counts_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = []

    def stop(plan: object, sizes: tuple[str, ...], note: object, *, only: TrialSettings) -> Any:
        prepared.append((sizes, only.learning_rate, only.align_weight))
        raise DataError("enough")

    monkeypatch.setattr(run, "prepare_search", stop)
    plan = make_plan("mtop-mini", ONLY_SMALL, home=tmp_path)
    for params in ({}, {"learning_rate": 1e-4, "model_size": "tiny"}):
        with pytest.raises(DataError, match="enough"):
            run.train_alone(plan, params, lambda _: None, with_test=False)
    assert prepared == [(("small",), 3e-4, 5.0), (("tiny",), 1e-4, 5.0)]
