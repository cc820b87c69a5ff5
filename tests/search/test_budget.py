"""Budgets under a clock that the test turns: what was spent, who may begin, what is paused."""

from pathlib import Path

import pytest
from fake_trainers import report
from searches import ASHA, PARAMS, Recorder, job_maker, plan_of

from xa_search.errors import StoppedEarly, UsageError
from xa_search.records import Plan, Spent, TrialRecord, TrialSettings, TrialState
from xa_search.search.budgets import Reserved, epoch_seconds
from xa_search.search.controller import SearchController
from xa_search.search.study import SearchStudy, open_study
from xa_search.search.trial_events import TrialEvent

EPOCH = 25.0
TRIAL = 4 * EPOCH
ONE_SIZE = {**PARAMS, "model_size": {"choices": ["tiny"]}}


class Run:
    """One run of a search on a clock of its own; each trial takes one GPU."""

    def __init__(self, plan: Plan, reserved: Reserved | None = None) -> None:
        self.now = 0.0
        self.study: SearchStudy = open_study(plan)
        self.recorder = Recorder()
        self.controller = SearchController(
            plan,
            self.study,
            job_maker(plan),
            self.recorder,
            clock=lambda: self.now,
            reserve=lambda *_: reserved or Reserved(),
        )
        self.controller.begin(slots=2, gpus={"tiny": 1.0, "small": 1.0})

    def start(self) -> int | None:
        """Start a trial if one may begin."""
        given = self.controller.next_trial()
        if given is None:
            return None
        self.controller.started(given[0].number)
        return given[0].number

    def train(self, number: int, first: int = 1, last: int = 4, score: float = 0.5) -> None:
        """Let a trial train some epochs."""
        for epoch in range(first, last + 1):
            self.now += EPOCH
            seconds = (epoch - first + 1) * EPOCH
            one = TrialEvent(seconds=seconds, report=report(epoch, score, final=epoch == 4))
            self.controller.handle_event(number, one)

    def end(self) -> str:
        """End the run before all its trials, and return which budget did it, or why nothing can be concluded."""
        self.controller.settle()
        try:
            return self.controller.conclude() or pytest.fail("all trials have ended")
        except StoppedEarly as stopped:
            return str(stopped)


def test_what_was_spent_is_summed_over_runs(tmp_path: Path) -> None:
    first = Run(plan_of(tmp_path))
    assert (first.start(), first.start()) == (0, 1)
    first.train(0)
    first.train(1, last=1)
    assert first.end().endswith("it was interrupted; the same command resumes it")
    spent = Spent(wall_seconds=125, trial_seconds=225, gpu_hours=225 / 3600)
    assert open_study(plan_of(tmp_path)).spent() == spent
    second = Run(plan_of(tmp_path))
    second.now += 7
    assert second.start() == 1
    second.train(1, first=2)
    assert second.study.trial(1).seconds == TRIAL
    assert second.study.spent() == Spent(wall_seconds=207, trial_seconds=300, gpu_hours=300 / 3600)


def test_no_trial_begins_that_cannot_end_within_the_time_budget(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, params=ONE_SIZE, time_budget=250)
    run = Run(plan)
    for _ in range(2):
        number = run.start()
        assert number is not None
        run.train(number)
    assert run.start() is None
    assert not run.controller.must_stop()
    assert run.end() == "trial 2 takes about 100 s, 50 s of its time budget are left"
    assert [(trial.number, trial.interruptions) for trial in run.study.trials() if trial.state == "PAUSED"] == [(2, 0)]
    assert [trial.number for trial in run.recorder.ended] == [0, 1]
    assert Run(plan).start() == 2


def test_what_the_end_takes_is_kept_back_of_time_and_gpu_hours_but_no_more_than_half(tmp_path: Path) -> None:
    def run_of(end: float, **budget: float) -> Run:
        run = Run(plan_of(tmp_path / f"{end}", params=ONE_SIZE, **budget), Reserved(before=10, end=end))
        while (number := run.start()) is not None:
            run.train(number)
        return run

    long = run_of(30, time_budget=350)
    assert len(long.study.trials()) == 4
    assert long.end() == "trial 3 takes about 100 s, 10 s of its time budget are left"
    most = run_of(1000, time_budget=400)
    assert "1 of 8 trials: trial 1 takes about 100 s, 90 s of its time budget are left" in most.end()
    hours = run_of(60, gpu_hours=350 / 3600)
    assert "trial 2 takes about 0.0278 GPU hours, 0.025 of its 0.0972222 are left" in hours.end()


def test_a_trial_longer_than_a_whole_time_budget_goes_on_from_run_to_run(tmp_path: Path) -> None:
    first = Run(plan_of(tmp_path))
    first.start()
    first.train(0)
    runs = 0
    while open_study(plan_of(tmp_path)).remaining(2):
        run = Run(plan_of(tmp_path, trials=2, time_budget=60))
        assert run.start() == 1
        done = len(run.study.trial(1).scores)
        run.train(1, first=done + 1, last=min(4, done + 3))
        assert run.controller.must_stop() == (done + 3 <= 4)
        run.controller.settle()
        runs += 1
    assert runs == 2
    assert run.study.trial(1).seconds == TRIAL


def test_the_gpu_hours_that_running_trials_still_take_are_not_given_away(tmp_path: Path) -> None:
    run = Run(plan_of(tmp_path, params=ONE_SIZE, gpu_hours=250 / 3600))
    assert run.start() == 0
    run.train(0)
    assert run.start() == 1
    assert run.start() is None
    run.train(1)
    assert run.start() is None
    assert "trial 2 takes about 0.0278 GPU hours, 0.0139 of its 0.0694444 are left, raise --gpu-hours" in run.end()


def test_gpu_hours_that_an_early_stop_sets_free_are_given_to_the_next_trial(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, params=ONE_SIZE, gpu_hours=450 / 3600, scheduler=ASHA)
    run = Run(plan)
    for number in range(2):
        assert run.start() == number
        run.train(number)
    assert (run.start(), run.start(), run.start()) == (2, 3, None)
    run.train(2, last=1, score=0.1)
    assert run.study.trial(2).state == "PRUNED"
    assert run.start() == 4


def test_used_up_gpu_hours_pause_what_runs_and_more_let_it_go_on(tmp_path: Path) -> None:
    run = Run(plan_of(tmp_path, gpu_hours=60 / 3600))
    assert run.start() == 0
    run.train(0, last=2)
    assert not run.controller.must_stop()
    run.train(0, first=3, last=3)
    assert run.controller.must_stop()
    assert "its 0.0166667 GPU hours are used up, raise --gpu-hours" in run.end()
    assert (run.study.trial(0).state, run.study.trial(0).scores) == ("PAUSED", (0.5, 0.5, 0.5))
    assert Run(plan_of(tmp_path, gpu_hours=60 / 3600)).start() is None
    more = Run(plan_of(tmp_path, gpu_hours=200 / 3600))
    assert more.start() == 0
    more.train(0, first=4)
    assert more.study.trial(0).state == "COMPLETE"


def test_gpu_hours_without_a_gpu_are_refused(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, gpu_hours=40)
    controller = SearchController(plan, open_study(plan), job_maker(plan), Recorder())
    with pytest.raises(
        UsageError, match="--gpu-hours 40: the trials run on no GPU; leave it out, or type --time-budget"
    ):
        controller.begin(slots=2, gpus={})


def test_a_run_that_dies_loses_at_most_a_minute_of_its_account(tmp_path: Path) -> None:
    run = Run(plan_of(tmp_path))
    run.start()
    run.train(0, last=3)
    assert open_study(plan_of(tmp_path)).spent().trial_seconds == 75


def test_an_epochs_time_is_the_median_of_complete_trials_of_the_size() -> None:
    def trial(size: str, seconds: float, state: TrialState) -> TrialRecord:
        settings = TrialSettings(model_size=size, epochs=4)
        scores = (0.1,) * 4 if state == "COMPLETE" else (0.1,)
        return TrialRecord(
            number=0, role="searched", settings=settings, params={}, state=state, scores=scores, seconds=seconds
        )

    running = [trial("small", 9, "RUNNING"), trial("large", 90, "RUNNING")]
    complete = [trial("small", seconds, "COMPLETE") for seconds in (8, 12, 400)]
    assert epoch_seconds("small", running) == 9
    assert epoch_seconds("small", [*running, *complete]) == 3
    assert epoch_seconds("large", [*running, *complete]) == 90
    assert epoch_seconds("base", running) is None
