"""A trial at the floor is labelled wherever its score is shown, while it runs and after; one above it never is."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from searches import plan_of

from xa_search.cli.display import SearchDisplay, describe, scored
from xa_search.cli.json_output import trial_object
from xa_search.cli.json_progress import JsonProgress
from xa_search.cli.search_log import LOG
from xa_search.records import FLOOR, EpochReport, TrialRecord, TrialRole, TrialSettings
from xa_search.tracking.events import epoch_logged, trial_ended
from xa_search.tracking.report import TrialRow, trial_table

TRIAL = TrialRecord(
    number=3, role="searched", settings=TrialSettings(epochs=2), params={}, scores=(0.5, 0.624), metrics={FLOOR: 0.624}
)
REPORT = EpochReport(epoch=2, score=0.61, best_score=0.624, best_epoch=2, final=True, metrics={FLOOR: 0.624})


def test_what_is_not_above_the_floor_is_at_it() -> None:
    above = replace(TRIAL, scores=(0.5, 0.625))
    assert (TRIAL.at_floor, above.at_floor, replace(TRIAL, metrics={}).at_floor) == (True, False, None)
    assert replace(TRIAL, scores=()).at_floor is None
    assert (REPORT.at_floor, replace(REPORT, best_score=0.63).at_floor, replace(REPORT, metrics={}).at_floor) == (
        True,
        False,
        None,
    )
    assert scored(TRIAL) == "62.4 (at the floor, 62.4)"
    assert scored(above) == "62.5"
    last = above.settings.model_copy(update={"kept_epoch": "last"})
    assert replace(above, settings=last, scores=(0.7, 0.6)).at_floor is True, "the kept epoch counts"


def test_a_running_search_says_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = plan_of(tmp_path, trials=2)
    plan.directory.mkdir(parents=True)
    with SearchDisplay(plan) as display:
        display.epoch_reported(TRIAL, REPORT)
        display.trial_ended(replace(TRIAL, state="COMPLETE"))
    said = capsys.readouterr().out
    assert "trial 3 epoch 2/2: score 61.0 (at the floor, 62.4), loss" in said
    assert "score 62.4 (at the floor, 62.4), 0 s; best so far 62.4 (at the floor, 62.4) (trial 3)" in said
    assert (plan.directory / LOG).read_text(encoding="utf-8").count("(at the floor, 62.4)") == 3


def test_json_says_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with JsonProgress(plan_of(tmp_path)) as progress:
        progress.epoch_reported(TRIAL, REPORT)
        progress.trial_ended(TRIAL)
    epoch, ended = map(json.loads, capsys.readouterr().out.splitlines())
    assert (epoch["at_floor"], ended["trial"]["at_floor"]) == (True, True)
    assert trial_object(replace(TRIAL, metrics={}))["at_floor"] is None


def test_mlflow_has_a_tag_after_each_epoch() -> None:
    assert epoch_logged(3, REPORT).tags == {"at_floor": "yes"}
    assert epoch_logged(3, replace(REPORT, best_score=0.9)).tags == {"at_floor": "no"}
    assert epoch_logged(3, replace(REPORT, metrics={})).tags == {}
    assert trial_ended(replace(TRIAL, state="COMPLETE")).tags["at_floor"] == "yes"


def test_the_report_has_a_column_for_it_where_it_is_known() -> None:
    row = TrialRow(
        number=3, role="searched", state="COMPLETE", params={}, score=62.4, best_epoch=2, epochs=2, seconds=9.0,
        failure=None, is_winner=False, at_floor=True,
    )  # fmt: skip
    assert "| score | at floor |" in trial_table([row])
    assert "| 62.4 | yes |" in trial_table([row])
    assert "at floor" not in trial_table([replace(row, at_floor=None)])


@pytest.mark.parametrize(
    ("role", "name"),
    [
        ("baseline", "zero-shot"),
        ("zero_shot", "zero-shot"),
        ("paper_values", "paper's values"),
        ("published", "published"),
    ],
)
def test_what_a_trial_is_called(role: TrialRole, name: str) -> None:
    params = {"learning_rate": 1e-4, "align_weight": 1.0}
    hidden = "" if role in ("baseline", "zero_shot") else " align_weight=1"
    assert describe(replace(TRIAL, role=role, params=params)) == f"{name} learning_rate=0.0001{hidden}"
