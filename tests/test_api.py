"""What `from xa_search import ...` gives: these names and no others, light to import, errors in one line."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import xa_search
from xa_search.errors import UsageError
from xa_search.records import TrialRecord, TrialSettings
from xa_search.workflows import api
from xa_search.workflows.next_commands import run_arguments
from xa_search.workflows.plan import make_plan

PUBLIC = (
    "Model", "Search", "SearchReport", "__version__", "evaluate", "load_model", "open_search", "predict", "run",
    "searches",
)  # fmt: skip


def test_the_public_names_are_these() -> None:
    """They are promises: one goes only with a new version that says so."""
    assert tuple(xa_search.__all__) == PUBLIC
    assert all(getattr(xa_search, name) is not None for name in PUBLIC)
    assert not set(PUBLIC) - set(dir(xa_search))
    with pytest.raises(AttributeError, match="no attribute 'rum'"):
        _ = xa_search.rum
    for name in PUBLIC:
        assert name.startswith("__") or getattr(xa_search, name).__doc__


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, xa_search; print(sorted({'torch', 'ray', 'optuna', 'mlflow', 'pandas'} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"


def test_a_home_without_searches_says_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XA_SEARCH_HOME", str(tmp_path))
    assert xa_search.searches() == ()
    with pytest.raises(UsageError, match="holds no search yet"):
        xa_search.open_search()
    with pytest.raises(UsageError, match="names the search"):
        xa_search.run({"extends": "mtop-mini"}, name="a/b", home=tmp_path)
    with pytest.raises(UsageError, match="trails"):
        xa_search.run({"extends": "mtop-mini", "trails": 3}, home=tmp_path)


def test_a_space_given_as_a_dict_is_a_file_that_the_command_line_goes_on_with(tmp_path: Path) -> None:
    path = api._write_space({"extends": "mtop-mini", "targets": ["de"], "trials": 2}, "mine", tmp_path)
    plan = make_plan(path, ("fixed.epochs=3",), home=tmp_path)
    assert (plan.name, plan.space.targets, plan.space.corpus) == ("mine", ("de",), "mtop-mini")
    assert run_arguments(plan) == ["run", path, "--home", str(tmp_path), "--set", "fixed.epochs=3"]


def test_a_trial_is_a_row() -> None:
    trial = TrialRecord(
        number=3, role="searched", settings=TrialSettings(), params={"align_weight": 2.0}, state="COMPLETE",
        scores=(0.25, 0.5), best_epoch=2, metrics={"dev_intent_acc_en": 0.75}, seconds=1.5,
    )  # fmt: skip
    (row,) = pd.DataFrame([api._trial_row(trial)]).to_dict("records")
    assert (row["number"], row["score"], row["epochs"]) == (3, 0.5, 2)
    assert (row["params.align_weight"], row["metrics.dev_intent_acc_en"]) == (2.0, 0.75)
