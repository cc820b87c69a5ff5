"""How the trials of a search end, in this process: what is told, and what is left to be concluded."""

from pathlib import Path
from typing import Any

import fake_trainers
import pytest
from searches import Recorder, job_maker, plan_of, states

from xa_search.errors import StoppedEarly, XaSearchError
from xa_search.records import Plan, TrialRecord
from xa_search.search.budgets import Reserved
from xa_search.search.runner import run_trials
from xa_search.search.study import SearchStudy, open_study


def end(plan: Plan, trainer: Any, recorder: Recorder | None = None) -> tuple[SearchStudy, str]:
    study = open_study(plan)
    return study, run_trials(plan, study, job_maker(plan), recorder or Recorder(), trainer)


def test_a_search_that_has_all_its_trials_ends_for_no_other_reason(tmp_path: Path) -> None:
    assert end(plan_of(tmp_path), fake_trainers.rising)[1] == ""


def test_a_bug_in_what_aligns_leaves_no_winner(tmp_path: Path) -> None:
    """The zero-shot trial, which is complete, is no aligned model."""
    plan = plan_of(tmp_path, trials=4)
    with pytest.raises(XaSearchError) as caught:
        end(plan, fake_trainers.only_zero_shot)
    assert caught.value.exit_code == 1
    assert "none of the 3 trials that align used its full budget (3 data), so there is no winner; " in str(caught.value)
    assert str(caught.value).endswith("run more with --trials 8; no model is registered")
    assert states(open_study(plan)) == {"COMPLETE": 1, "FAIL": 3}


def test_a_failed_baseline_is_tried_once_more_and_the_aligned_trials_are_concluded(tmp_path: Path) -> None:
    study, budget = end(plan_of(tmp_path, trials=4), fake_trainers.only_aligned)
    assert budget == ""
    assert [(trial.role, trial.state) for trial in study.trials()[:2]] == [("baseline", "FAIL")] * 2
    assert states(study) == {"FAIL": 2, "COMPLETE": 3}


class Interrupting(Recorder):
    """Presses Ctrl-C when a trial has ended."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    def trial_ended(self, record: TrialRecord) -> None:
        super().trial_ended(record)
        if record.number == self._number and record.state == "COMPLETE":
            raise KeyboardInterrupt


def test_an_interrupted_search_is_not_concluded_whatever_was_complete(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, time_budget=1e6)
    with pytest.raises(StoppedEarly, match=r"after 4 of 8 trials: it was interrupted; the same command resumes it$"):
        end(plan, fake_trainers.rising, Interrupting(3))


def test_a_used_up_budget_is_concluded_once_an_aligned_trial_is_complete(tmp_path: Path) -> None:
    """What the trials leave for the end counts as used up; here it is made so large that none is left."""
    plan = plan_of(tmp_path, time_budget=1e6)
    study = open_study(plan)

    def reserve(trials: Any, slots: int) -> Reserved:
        assert slots == 1
        return Reserved(before=1e6 if sum(trial.state == "COMPLETE" for trial in trials) == enough else 0.0)

    enough = 1
    with pytest.raises(StoppedEarly, match=r"after 1 of 8 .* is used up; the same .*; no trial that aligns has used"):
        run_trials(plan, study, job_maker(plan), Recorder(), fake_trainers.rising, reserve=reserve)
    enough = 3
    ended = run_trials(plan, study, job_maker(plan), Recorder(), fake_trainers.rising, reserve=reserve)
    assert ended == "its time budget of 1e+06 s is used up"
    assert states(study)["COMPLETE"] == 3
    assert run_trials(plan, study, job_maker(plan), Recorder(), fake_trainers.rising) == ""
    assert states(study) == {"COMPLETE": 8}
