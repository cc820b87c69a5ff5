"""Where the wall time of a search went, on a clock that the test turns."""

from pathlib import Path

import pytest

from xa_search.records import EpochReport, SearchCost
from xa_search.tracking.events import cost_logged, flat_name
from xa_search.tracking.report import cost_rows, cost_summary, write_cost
from xa_search.workflows.trials import CostMeter


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("xa_search.workflows.trials.time.perf_counter", clock)
    monkeypatch.setattr("xa_search.workflows.trials.time.process_time", lambda: 3.0)
    return clock


def an_epoch(**seconds: float) -> EpochReport:
    return EpochReport(epoch=1, score=0.5, best_score=0.5, best_epoch=1, final=True, metrics=seconds)


def searched(clock: Clock, *, trials_run_here: bool = False) -> SearchCost:
    """7 s of data; 5 s until the first trial, two side by side for 10 s, one alone for 4 s, 2 s after the last."""
    meter = CostMeter(trials_run_here=trials_run_here)
    with meter.stage("data"):
        clock.now += 7
    with meter.trials():
        clock.now += 5
        meter.trial_started(0)
        meter.trial_started(1)
        clock.now += 10
        meter.epoch_reported(an_epoch(start_seconds=1, train_seconds=7, evaluate_seconds=2, cpu_seconds=9))
        meter.trial_ended(0)
        clock.now += 4
        meter.epoch_reported(an_epoch(start_seconds=1, train_seconds=11, evaluate_seconds=2, cpu_seconds=12))
        meter.trial_ended(1)
        clock.now += 2
    with meter.stage("evaluation"):
        clock.now += 6
    return meter.cost(cpus_per_trial=2)


def test_every_second_is_accounted_for(clock: Clock) -> None:
    cost = searched(clock)
    assert cost.wall == 34
    assert cost.slots == 2
    assert cost.parts == {
        "data": 7,
        "start": 5 + 1,
        "training": 9,
        "evaluation": 2 + 6,
        "saving": 0,
        "waiting": 2,
        "idle": 2,
    }
    assert sum(cost.parts.values()) == pytest.approx(cost.wall)


def test_utilisation_counts_the_workers_and_the_driver_once(clock: Clock) -> None:
    assert searched(clock).core_utilisation == pytest.approx((9 + 12 + 3) / (2 * 2 * 34))
    assert searched(clock, trials_run_here=True).core_utilisation == pytest.approx(3 / (2 * 2 * 34))


def test_gpu_utilisation_is_the_mean_of_the_epochs_that_know_it(clock: Clock) -> None:
    meter = CostMeter(trials_run_here=False)
    for share in (0.5, 0.9):
        meter.epoch_reported(an_epoch(gpu_utilisation=share))
    meter.epoch_reported(an_epoch(train_seconds=1.0))
    clock.now += 1
    assert meter.cost(1).gpu_utilisation == pytest.approx(0.7)
    assert searched(clock).gpu_utilisation is None


def test_a_search_with_nothing_left_to_run_has_only_start(clock: Clock) -> None:
    meter = CostMeter(trials_run_here=False)
    with meter.trials():
        clock.now += 3
    assert meter.cost(1).parts == {"start": 3, "training": 0, "evaluation": 0, "saving": 0, "waiting": 0, "idle": 0}


def test_the_report_shows_the_largest_part_first(clock: Clock, tmp_path: Path) -> None:
    cost = searched(clock)
    assert cost_rows(cost)[0] == ["training", "9.0", "26.5"]
    text = write_cost(cost, tmp_path)[0].read_text(encoding="utf-8")
    assert cost_summary(cost) in text
    assert "| evaluation | 8.0 | 23.5 |" in text
    metrics = cost_logged(cost).metrics
    assert metrics["seconds_training"] == 9
    assert all(flat_name(name) == name for name in metrics)
