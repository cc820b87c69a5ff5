"""Rungs within an epoch: what a trial reports there, and that it goes on from there as if it had never stopped."""

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest

from xa_search.records import EpochReport, TrialJob
from xa_search.training import trial
from xa_search.training.progress import STATES, load_progress
from xa_search.training.trial import best_weights, train_trial

MakeJob = Callable[..., TrialJob]
RUNGS = (2, 9)
"""One in each epoch, of seven steps."""
SINCE_THE_LAST = ("train_steps", "gpu_utilisation")


def untimed(report: EpochReport) -> tuple[Any, ...]:
    """Return all that a report tells of the training, less what it took since the report before."""
    told = {
        name: value
        for name, value in report.metrics.items()
        if not name.endswith("_seconds") and name not in SINCE_THE_LAST
    }
    return report.epoch, report.score, report.best_epoch, report.best_score, report.final, told


def with_rungs(job: TrialJob, *rungs: int) -> TrialJob:
    return replace(job, rungs=rungs)


@pytest.fixture
def run_through(make_job: MakeJob) -> tuple[list[EpochReport], bytes]:
    job = make_job(name="whole", epochs=2)
    return list(train_trial(job)), best_weights(job.directory).read_bytes()


def test_rungs_change_nothing_of_the_epochs(make_job: MakeJob, run_through: tuple[list[EpochReport], bytes]) -> None:
    whole, weights = run_through
    job = with_rungs(make_job(name="rungs", epochs=2), *RUNGS)
    reports = list(train_trial(job))
    assert [report.rung for report in reports if not report.whole] == list(RUNGS)
    assert [untimed(report) for report in reports if report.whole] == list(map(untimed, whole))
    assert best_weights(job.directory).read_bytes() == weights
    assert sum(one.metrics["train_steps"] for one in reports) == sum(one.metrics["train_steps"] for one in whole)


@pytest.mark.parametrize("before", [1, 2, 3])
def test_a_trial_that_goes_on_at_a_rung_has_the_weights_of_one_that_ran_through(
    make_job: MakeJob, run_through: tuple[list[EpochReport], bytes], before: int
) -> None:
    whole, weights = run_through
    job = with_rungs(make_job(name="parts", epochs=2, heads="random"), *RUNGS)
    stopped = list(islice(train_trial(job), before))
    assert [path.name for path in job.directory.glob(STATES)] != []
    again = list(train_trial(job))
    assert untimed(again[0]) == untimed(stopped[-1])
    told = {report.epoch: untimed(report) for report in (*stopped, *again) if report.whole}
    assert list(told.values()) == list(map(untimed, whole))
    assert best_weights(job.directory).read_bytes() == weights


def test_before_an_epoch_is_over_no_weights_are_kept(make_job: MakeJob) -> None:
    job = with_rungs(make_job(epochs=2), *RUNGS)
    first = next(train_trial(job))
    assert (first.whole, first.final, first.best_epoch, first.best_score) == (False, False, 0, first.score)
    assert not best_weights(job.directory).exists()
    assert load_progress(job.directory) is not None


def test_a_rung_at_the_end_of_an_epoch_is_that_epochs_report(make_job: MakeJob) -> None:
    steps = int(next(iter(train_trial(make_job(name="whole", epochs=1)))).metrics["train_steps"])
    reports = list(train_trial(with_rungs(make_job(epochs=2), steps, 2 * steps)))
    assert [(report.whole, report.rung) for report in reports] == [(True, steps), (True, 2 * steps)]


@pytest.mark.parametrize(
    ("selection", "measured"), [("label_free", "held_out_"), ("source_dev", "dev_"), ("target_dev", "dev_")]
)
def test_a_rung_measures_what_selection_reads_and_no_more(make_job: MakeJob, selection: str, measured: str) -> None:
    first = next(train_trial(with_rungs(make_job(selection=selection, epochs=1), 2)))
    scored = [name for name in first.metrics if name.startswith(("held_out_", "dev_"))]
    assert scored
    assert all(name.startswith(measured) for name in scored)
    assert trial.selection_rule(selection).score(first.metrics, make_job().corpus) == first.score
