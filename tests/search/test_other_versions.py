"""Searches that another version began: they can be looked at, and a run goes on with none of them."""

import json
import shutil
from pathlib import Path
from typing import Any, cast

import fake_trainers
import pytest
from searches import Recorder, job_maker, plan_of

from xa_search.cli.search_tables import print_search
from xa_search.errors import StoppedEarly, UsageError
from xa_search.records import Plan
from xa_search.search.history import check_resumable, check_same_search, find_search, read_search
from xa_search.search.runner import run_trials
from xa_search.search.study import JOURNAL, SCHEMA, open_study, read_notes
from xa_search.workflows.run import run_search

RECORDED = Path(__file__).parent / "data" / "mtop-mini-5962190d.journal"
"""What version 0.1.0 wrote of a search that was interrupted in its second trial."""


def begin(plan: Plan, version: str = "0.1.0") -> None:
    study = open_study(plan, {"corpus": "3f2a", "xa-search": version})
    with pytest.raises(StoppedEarly):
        run_trials(plan, study, job_maker(plan), Recorder(), fake_trainers.interrupting_at_two)


def change_schema(plan: Plan, number: int | None) -> None:
    """Let the journal be one of another version; the first had no number."""
    journal = plan.directory / JOURNAL
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    others = [line for line in lines if "schema" not in line.get("user_attr", {})]
    (own,) = [line for line in lines if line not in others]
    changed = [] if number is None else [own | {"user_attr": {"schema": number}}]
    journal.write_text("".join(json.dumps(line) + "\n" for line in others + changed))


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A home with the search of the recorded journal."""
    directory = tmp_path / "searches" / RECORDED.stem
    directory.mkdir(parents=True)
    shutil.copy(RECORDED, directory / JOURNAL)
    return tmp_path


def test_a_search_keeps_its_number_and_goes_on(tmp_path: Path) -> None:
    begin(plan_of(tmp_path))
    assert read_notes(plan_of(tmp_path).directory)["schema"] == SCHEMA
    check_same_search(plan_of(tmp_path), {"corpus": "3f2a"})
    assert find_search(tmp_path, None).other_version == ""


@pytest.mark.parametrize("number", [None, SCHEMA + 1])
def test_a_search_of_another_version_is_looked_at_and_not_gone_on_with(
    tmp_path: Path, number: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_of(tmp_path)
    begin(plan)
    change_schema(plan, number)
    for same in (plan, plan_of(tmp_path, trials=99), plan_of(tmp_path, new=True)):
        with pytest.raises(
            UsageError, match=r"^search toy-\S+ in \S+ was begun by xa-search 0\.1\.0, .*[^\n]$"
        ) as caught:
            check_same_search(same, {"corpus": "3f2a"})
        assert str(caught.value).endswith(
            "; type --seed 2 --new to begin another search, or resume it with xa-search 0.1.0"
        )
    search = find_search(tmp_path, None)
    assert [trial.state for trial in search.trials] == ["COMPLETE", "COMPLETE", "PAUSED"]
    assert search.state == "stopped"
    print_search(search, 0)
    assert "stopped: xa-search 0.1.0 began it, and resumes it" in capsys.readouterr().out


def test_another_search_of_its_name_is_begun_with_new_alone(tmp_path: Path) -> None:
    begin(plan_of(tmp_path))
    change_schema(plan_of(tmp_path), None)
    with pytest.raises(UsageError, match=r"was begun by xa-search 0\.1\.0, .*; type --new to begin another search"):
        check_same_search(plan_of(tmp_path, seed=2), {"corpus": "3f2a"})
    check_same_search(plan_of(tmp_path, seed=2, new=True), {"corpus": "3f2a"})


def test_what_version_0_1_0_recorded_is_read(recorded: Path) -> None:
    search = read_search(recorded / "searches" / RECORDED.stem)
    assert search is not None
    assert [(trial.role, trial.state, len(trial.scores)) for trial in search.trials] == [
        ("baseline", "COMPLETE", 12),
        ("published", "PAUSED", 1),
    ]
    assert (search.ended, search.wanted, search.other_version) == (1, 3, "xa-search 0.1.0")
    assert search.plan is not None
    assert search.plan.search_id == RECORDED.stem


def test_a_run_of_it_ends_before_anything_is_prepared(recorded: Path) -> None:
    search = find_search(recorded, None)
    assert search.plan is not None
    before = sorted(recorded.rglob("*"))
    with pytest.raises(UsageError, match=r"was begun by xa-search 0\.1\.0"):
        run_search(search.plan, cast(Any, None))
    assert sorted(recorded.rglob("*")) == before
    check_resumable(search.plan.model_copy(update={"seed": 99}))
