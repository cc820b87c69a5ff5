"""The loop through a real Ray: states, failures, lost workers, stopping; the driver keeps all truth."""

import os
import signal
from pathlib import Path

import fake_trainers
import pytest
import ray
from searches import ASHA, Recorder, job_maker, plan_of, run, states

from xa_search.errors import DataError, InfeasibleError, StoppedEarly
from xa_search.records import EpochReport, TrialRecord
from xa_search.search.end_tasks import TasksOnRay
from xa_search.search.runner import run_trials
from xa_search.search.study import open_study

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("local_ray")]


def test_states_tell_finished_from_stopped(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, local=False, trials=16, scheduler=ASHA)
    study, recorder = run(plan, fake_trainers.rising)
    trials = study.trials()
    assert [trial.role for trial in trials[:3]] == ["baseline", "paper_values", "searched"]
    assert states(study) == {
        "COMPLETE": sum(len(trial.scores) == 4 for trial in trials),
        "PRUNED": sum(len(trial.scores) < 4 for trial in trials),
    }
    assert states(study)["PRUNED"] > 0
    for trial in trials:
        assert recorder.epochs[trial.number] == list(range(1, len(trial.scores) + 1))
        job = job_maker(plan_of(tmp_path))(trial)
        assert trial.scores[-1] == fake_trainers.quality(job) * len(trial.scores) / 4
    assert sorted(recorder.started) == sorted(trial.number for trial in recorder.ended) == list(range(16))
    assert not (plan.directory / "ray").exists()


def test_failures_keep_their_class_and_only_a_lost_worker_is_retried(tmp_path: Path) -> None:
    """Trial 2 is not finite, 3 raises; once, 4 loses its worker in its second epoch, and 5 finds its GPU full."""
    study, recorder = run(plan_of(tmp_path, local=False, trials=6), fake_trainers.in_trouble)
    assert states(study) == {"COMPLETE": 4, "FAIL": 2}
    assert study.trial(2).failure == "non_finite"
    assert study.trial(3).failure == "code"
    assert study.trial(3).failure_text.startswith("ValueError: three is not a number (search/fake_trainers.py:")
    assert sorted(recorder.started) == list(range(6))
    assert recorder.epochs == {number: [1] if number == 2 else [1, 2, 3, 4] for number in (0, 1, 2, 4, 5)}


def test_a_request_that_no_node_can_meet_is_refused_before_any_trial(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, local=False, cpus_per_trial=64)
    with pytest.raises(
        InfeasibleError,
        match="asks for 64 CPUs and 0 GPUs, but the largest node has 2 CPUs and 0 GPUs; type --set cpus_per_trial=2",
    ):
        run(plan, fake_trainers.rising)
    assert open_study(plan).trials() == ()


def test_the_time_budget_stops_trials_that_have_no_end_and_the_search_goes_on(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, local=False, time_budget=2)
    study, recorder = open_study(plan), Recorder()
    with pytest.raises(StoppedEarly, match="its time budget of 2 s is used up; the same command"):
        run_trials(plan, study, job_maker(plan), recorder, fake_trainers.endless)
    assert states(study).keys() <= {"PAUSED"}
    assert [trial.number for trial in recorder.ended] == recorder.started
    again, _ = run(plan_of(tmp_path), fake_trainers.rising)
    assert [trial.state for trial in again.trials()] == ["COMPLETE"] * 8


def test_an_error_of_the_listener_comes_through_and_leaves_nothing_running(tmp_path: Path) -> None:
    class Broken(Recorder):
        def epoch_reported(self, record: TrialRecord, report: EpochReport) -> None:
            if report.epoch == 3:
                raise OSError("no space left on device")

    plan = plan_of(tmp_path, local=False)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(OSError, match="no space left"):
        run(plan, fake_trainers.endless, Broken())
    assert states(open_study(plan)).keys() == {"PAUSED"}
    assert signal.getsignal(signal.SIGINT) is handler


def test_what_the_end_asks_is_answered_by_workers_and_errors_come_through_as_they_are(tmp_path: Path) -> None:
    with TasksOnRay(plan_of(tmp_path, local=False), lambda _: {}) as tasks:
        assert tasks.slots("tiny") == 2
        answers = [tasks.submit("tiny", os.getpid) for _ in range(2)]
        gone = tasks.submit("tiny", fake_trainers.nothing_to_test)
        assert os.getpid() not in {answer() for answer in answers}
        with pytest.raises(DataError, match=r"^test\.th\.tsv: gone$"):
            gone()
    assert ray.is_initialized(), "who did not start Ray does not end it"


def test_a_hung_worker_is_ended_and_its_trial_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xa_search.search.ray_callbacks.LEAST_SECONDS", 3.0)
    plan = plan_of(tmp_path, local=False, trials=4)
    study, recorder = run(plan, fake_trainers.hanging_once)
    assert states(study) == {"COMPLETE": 4}
    assert recorder.epochs[2] == [1, 2, 3, 4]
    assert " in hanging_once" in (plan.directory / "trials" / "002" / "hung.txt").read_text()
