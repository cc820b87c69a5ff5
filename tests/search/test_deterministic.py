"""A deterministic search: the same whoever is faster, however often it is interrupted, wherever it goes on."""

from pathlib import Path
from typing import Any

import fake_trainers
import pytest
from searches import ASHA, Recorder, job_maker, plan_of

from xa_search.errors import StoppedEarly
from xa_search.records import Plan
from xa_search.search.controller import SearchController
from xa_search.search.runner import run_trials
from xa_search.search.study import SearchStudy, open_study
from xa_search.search.trial_events import TrainFunction

pytestmark = pytest.mark.long


def deterministic(home: Path, **changes: Any) -> Plan:
    return plan_of(home, **{"deterministic": True, "trials": 9, "scheduler": ASHA, **changes})


def run(plan: Plan, trainer: TrainFunction) -> SearchStudy:
    study = open_study(plan)
    run_trials(plan, study, job_maker(plan), Recorder(), trainer)
    return study


def outcome(study: SearchStudy) -> list[tuple[Any, ...]]:
    return [(one.number, one.batch, one.params, one.state, one.scores, one.stopped_at) for one in study.trials()]


def run_with_interruptions(plan: Plan, batch_size: int) -> SearchStudy:
    """Go on in this process, one trial after the other, with the batches that other hardware began."""
    assert open_study(plan).keep("batch_size", batch_size) == batch_size
    while open_study(plan).remaining(plan.space.trials):
        try:
            run(plan, fake_trainers.interrupted_once_each)
        except StoppedEarly:
            continue
    return open_study(plan)


def test_speed_hardware_and_interruptions_change_nothing(tmp_path: Path, local_ray: None) -> None:
    first = run(deterministic(tmp_path / "first", local=False), fake_trainers.at_shuffled_speed)
    assert outcome(first) == outcome(run_with_interruptions(deterministic(tmp_path / "second"), batch_size=2))
    assert [trial.batch for trial in first.trials()] == [1, 1, 2, 2, 3, 3, 4, 4, 5]
    assert {trial.state for trial in first.trials()} == {"COMPLETE", "PRUNED"}


def test_a_trial_is_compared_with_earlier_batches_only(tmp_path: Path) -> None:
    study = run_with_interruptions(deterministic(tmp_path), batch_size=4)
    trials = study.trials()
    stopped = [(trial, trial.stopped_at) for trial in trials if trial.stopped_at is not None]
    assert stopped
    for trial, at in stopped:
        came = [
            one
            for one in trials
            if one.batch < trial.batch
            and one.settings.model_size == trial.settings.model_size
            and len(one.scores) >= at.epoch
        ]
        assert at.competitors == len(came) + 1
        assert at.rank == 1 + sum(one.scores[at.epoch - 1] > at.score for one in came)


def test_a_batch_that_a_dead_driver_left_short_is_filled_up(tmp_path: Path) -> None:
    """The driver died after it had proposed one of four trials, and before any of them ran."""
    whole = run_with_interruptions(deterministic(tmp_path / "whole"), batch_size=4)
    plan = deterministic(tmp_path / "short")
    open_study(plan).propose(batch=1)
    open_study(plan).settle()
    assert outcome(run_with_interruptions(plan, batch_size=4)) == outcome(whole)


def test_no_trial_of_the_next_batch_begins_before_the_last_of_this_one_ended(tmp_path: Path) -> None:
    plan = deterministic(tmp_path)
    study = open_study(plan)
    controller = SearchController(plan, study, job_maker(plan), Recorder())
    controller.begin(slots=3, gpus={})
    given = [controller.next_trial() for _ in range(4)]
    assert [one is None for one in given] == [False, False, False, True]
    assert len(study.trials()) == 3


def test_it_is_another_search_than_the_one_that_does_not_wait(tmp_path: Path) -> None:
    assert deterministic(tmp_path).search_id != deterministic(tmp_path, deterministic=False).search_id
