"""The loop in this process: states, failures, resuming, extending, stopping."""

import signal
import subprocess
import sys
from pathlib import Path

import fake_trainers
import pytest
from searches import ASHA, Recorder, job_maker, plan_of, proposals, states

from xa_search.errors import StoppedEarly, XaSearchError
from xa_search.records import Plan, TrialRecord
from xa_search.search.runner import run_trials
from xa_search.search.study import SearchStudy, open_study
from xa_search.search.trial_events import TrainFunction
from xa_search.search.winner import choose_winner


def run(plan: Plan, trainer: TrainFunction) -> tuple[SearchStudy, Recorder]:
    study, recorder = open_study(plan), Recorder()
    run_trials(plan, study, job_maker(plan), recorder, trainer)
    return study, recorder


def test_states_tell_finished_from_stopped(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, trials=16, scheduler=ASHA)
    study, recorder = run(plan, fake_trainers.rising)
    trials = study.trials()
    assert states(study) == {
        "COMPLETE": sum(len(trial.scores) == 4 for trial in trials),
        "PRUNED": sum(len(trial.scores) < 4 for trial in trials),
    }
    assert states(study)["PRUNED"] > 0
    assert [trial.state for trial in trials[:2]] == ["COMPLETE", "COMPLETE"]
    for trial in trials:
        assert recorder.epochs[trial.number] == list(range(1, len(trial.scores) + 1))
        if trial.state == "PRUNED":
            assert trial.stopped_at is not None
            assert (trial.stopped_at.epoch, trial.stopped_at.score) == (len(trial.scores), trial.scores[-1])
            assert trial.stopped_at.score < trial.stopped_at.cutoff
            assert 1 < trial.stopped_at.rank <= trial.stopped_at.competitors
        else:
            assert trial.stopped_at is None
    assert recorder.started == [trial.number for trial in recorder.ended] == list(range(16))
    assert tuple(recorder.ended) == trials
    winner = choose_winner(trials)
    assert winner.score == max(trial.score or 0 for trial in trials if trial.state == "COMPLETE")


def test_without_asha_every_trial_uses_its_full_budget(tmp_path: Path) -> None:
    study, _ = run(plan_of(tmp_path), fake_trainers.rising)
    assert states(study) == {"COMPLETE": 8}


def test_a_score_that_is_not_finite_fails_its_trial(tmp_path: Path) -> None:
    study, _ = run(plan_of(tmp_path), fake_trainers.not_finite_at_three)
    assert states(study) == {"COMPLETE": 7, "FAIL": 1}
    broken = study.trial(3)
    assert (broken.failure, len(broken.scores)) == ("non_finite", 1)
    assert broken.failure_text == "the selection score, held_out not finite in epoch 2"


def test_an_exception_fails_its_trial_with_class_line_and_frame(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    study, recorder = run(plan, fake_trainers.raising_at_three)
    assert states(study) == {"COMPLETE": 7, "FAIL": 1}
    broken = study.trial(3)
    assert broken.failure == "code"
    assert broken.failure_text.startswith("ValueError: three is not a number (search/fake_trainers.py:")
    assert broken.failure_text == f"ValueError: three is not a number ({broken.failure_frame})"
    assert broken.failure_frame.endswith(" in raising_at_three")
    assert recorder.ended[3] == broken
    assert "Traceback" in (plan.directory / "trials" / "003" / "traceback.txt").read_text()


def test_the_same_code_error_in_the_first_three_trials_ends_the_search(tmp_path: Path) -> None:
    with pytest.raises(XaSearchError, match=r"the first 3 trials all failed: KeyError.* in always_raising\); correct"):
        run(plan_of(tmp_path), fake_trainers.always_raising)
    study = open_study(plan_of(tmp_path))
    assert states(study) == {"FAIL": 3}
    assert [trial.role for trial in study.trials()] == ["baseline", "baseline", "paper_values"]
    assert study.remaining(8) == 6  # the baseline's second chance is not charged


def test_when_every_trial_fails_the_causes_are_counted(tmp_path: Path) -> None:
    with pytest.raises(XaSearchError, match=r"none of the 4 trials that align .*\(2 oom, 2 data\).*--trials 10"):
        run(plan_of(tmp_path, trials=5), fake_trainers.raising_in_many_ways)


def test_the_same_seed_gives_the_same_search(tmp_path: Path) -> None:
    first, _ = run(plan_of(tmp_path / "one", trials=12, scheduler=ASHA), fake_trainers.rising)
    second, _ = run(plan_of(tmp_path / "two", trials=12, scheduler=ASHA), fake_trainers.rising)
    assert proposals(first) == proposals(second)
    assert [trial.scores for trial in first.trials()] == [trial.scores for trial in second.trials()]


def test_running_twice_adds_nothing_and_more_trials_extend(tmp_path: Path) -> None:
    first, _ = run(plan_of(tmp_path, trials=6), fake_trainers.rising)
    before = first.trials()
    second, recorder = run(plan_of(tmp_path, trials=6), fake_trainers.always_raising)
    assert second.trials() == before
    assert recorder.started == []
    third, recorder = run(plan_of(tmp_path, trials=9), fake_trainers.rising)
    assert third.trials()[:6] == before
    assert recorder.started == [6, 7, 8]


def test_the_time_budget_pauses_a_trial_that_has_no_end(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, time_budget=0.5)
    study, recorder = open_study(plan), Recorder()
    with pytest.raises(StoppedEarly, match=r"after 0 of 8 trials: its time budget of 0\.5 s is used up; the same"):
        run_trials(plan, study, job_maker(plan), recorder, fake_trainers.endless)
    assert states(study).keys() <= {"PAUSED"}
    assert tuple(recorder.ended) == study.trials()
    again, recorder = run(plan_of(tmp_path), fake_trainers.rising)
    assert (states(again), recorder.started) == ({"COMPLETE": 8}, list(range(8)))


def test_an_interrupted_trial_goes_on_under_its_number(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    study, recorder = open_study(plan), Recorder()
    with pytest.raises(StoppedEarly, match="stopped after 2 of 8 trials: it was interrupted"):
        run_trials(plan, study, job_maker(plan), recorder, fake_trainers.interrupting_at_two)
    assert states(study) == {"COMPLETE": 2, "PAUSED": 1}
    paused = study.trial(2)
    assert (len(paused.scores), paused.interruptions, paused.interruption) == (1, 1, "it was interrupted")
    assert recorder.ended[-1] == paused
    study, recorder = run(plan, fake_trainers.going_on)
    assert states(study) == {"COMPLETE": 8}
    assert recorder.started == [2, 3, 4, 5, 6, 7]
    assert recorder.epochs[2] == [2, 3, 4]
    assert study.trial(2).params == paused.params
    assert study.trial(2).scores[:1] == paused.scores
    assert study.trial(2).seconds > paused.seconds
    assert (plan.directory / "trials" / "002" / "trained").read_text().split() == ["1", "2", "3", "4"]


def test_a_search_that_is_interrupted_again_and_again_is_the_same_search(tmp_path: Path) -> None:
    """Early stopping and the sampler know after each interruption what they knew before it."""
    whole, _ = run(plan_of(tmp_path / "whole", trials=10, scheduler=ASHA), fake_trainers.rising)
    plan = plan_of(tmp_path / "parts", trials=10, scheduler=ASHA)
    interruptions = 0
    while open_study(plan).remaining(10):
        try:
            run(plan, fake_trainers.interrupted_once_each)
        except StoppedEarly:
            interruptions += 1
    parts = open_study(plan)
    assert interruptions > 5
    assert proposals(parts) == proposals(whole)
    assert [(one.state, one.scores) for one in parts.trials()] == [(one.state, one.scores) for one in whole.trials()]
    assert [one.stopped_at for one in parts.trials()] == [one.stopped_at for one in whole.trials()]


def test_a_listener_that_breaks_leaves_nothing_running(tmp_path: Path) -> None:
    class Broken(Recorder):
        def trial_started(self, record: TrialRecord) -> None:
            raise OSError("no space left on device")

    plan = plan_of(tmp_path)
    study = open_study(plan)
    with pytest.raises(OSError, match="no space left"):
        run_trials(plan, study, job_maker(plan), Broken(), fake_trainers.rising)
    assert states(study) == {"PAUSED": 1}


KILLED_DRIVER = """
from pathlib import Path
from fake_trainers import killing_its_process_once
from searches import Recorder, job_maker, plan_of
from xa_search.search.runner import run_trials
from xa_search.search.study import open_study

plan = plan_of(Path({home!r}), trials=12)
run_trials(plan, open_study(plan), job_maker(plan), Recorder(), killing_its_process_once)
"""


def test_a_killed_driver_loses_no_trial_and_runs_none_twice(tmp_path: Path) -> None:
    """The trainer kills its process, here the driver, in the second epoch of trial 4."""
    driver = subprocess.run([sys.executable, "-c", KILLED_DRIVER.format(home=str(tmp_path))], cwd=Path(__file__).parent)
    assert driver.returncode == -signal.SIGKILL
    plan = plan_of(tmp_path, trials=12)
    before = open_study(plan).trials()
    assert [trial.state for trial in before] == ["COMPLETE"] * 4 + ["RUNNING"]
    study, recorder = run(plan, fake_trainers.killing_its_process_once)
    trials = study.trials()
    assert trials[:4] == before[:4]
    assert [trial.state for trial in trials] == ["COMPLETE"] * 12
    assert len({str(trial.params) for trial in trials}) == 12
    assert (trials[4].params, trials[4].interruptions) == (before[4].params, 1)
    assert (recorder.ended[0].number, recorder.ended[0].state) == (4, "PAUSED")
    assert (recorder.started[0], recorder.epochs[4]) == (4, [2, 3, 4])
