"""How many trials run at a time, and what the sampler has learned by then; the CPUs and the memory that there are."""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from fake_trainers import quality, report
from searches import ASHA, Recorder, job_maker, plan_of

from xa_search.errors import UsageError
from xa_search.records import EpochReport, MemoryProbe, Plan, TrialRecord
from xa_search.search.controller import SearchController
from xa_search.search.ray_callbacks import TuneBridge
from xa_search.search.resources import Placement, Resources, cpus_here, node_resources, place
from xa_search.search.sampler import sampler_of
from xa_search.search.study import open_study
from xa_search.search.trial_events import TrialEvent
from xa_search.workflows.plan import make_plan

GIB = 2**30


def epoch_of(plan: Plan, record: TrialRecord) -> EpochReport:
    done, epochs = 1 + len(record.scores), record.settings.epochs
    return report(done, quality(job_maker(plan)(record)) * done / epochs, final=done == epochs)


def proposals_by_tpe(plan: Plan, slots: int) -> tuple[int, int]:
    """Run a search in which all trials take turns; return the most at a time, and how many TPE proposed."""
    study = open_study(plan)
    controller = SearchController(plan, study, job_maker(plan), Recorder())
    controller.begin(slots=slots, gpus={})
    most = by_tpe = 0
    while True:
        while len(controller.running) < slots:
            knows_enough = sampler_of(plan, study._frozen()).knows_enough
            if controller.next_trial() is None:
                break
            by_tpe += knows_enough
        most = max(most, len(controller.running))
        if not controller.running:
            return most, by_tpe
        for number in controller.running:
            controller.handle_event(number, TrialEvent(seconds=1, report=epoch_of(plan, study.trial(number))))


def test_forty_slots_leave_most_proposals_to_the_sampler(tmp_path: Path) -> None:
    """Of forty trials a quarter runs at a time; the first ten teach the others. With all at a time, none is taught."""
    assert proposals_by_tpe(plan_of(tmp_path / "now", trials=40, scheduler=ASHA), slots=40) == (10, 29)
    wide = plan_of(tmp_path / "wide", trials=40, scheduler=ASHA, max_concurrent=40)
    assert proposals_by_tpe(wide, slots=40) == (40, 0)


@pytest.mark.parametrize(("trials", "concurrency"), [(2, 4), (16, 4), (17, 5), (40, 10), (1000, 250)])
def test_a_quarter_of_the_trials_runs_at_a_time_and_at_least_four(
    tmp_path: Path, trials: int, concurrency: int
) -> None:
    assert plan_of(tmp_path, trials=trials).space.concurrency == concurrency
    assert plan_of(tmp_path, trials=trials, max_concurrent=3).space.concurrency == 3


def test_max_concurrent_can_be_set_and_names_no_other_search(tmp_path: Path) -> None:
    plan, changed = (make_plan("mtop-mini", one, home=tmp_path) for one in ((), ("max_concurrent=2",)))
    assert (plan.space.concurrency, changed.space.concurrency) == (5, 2)
    assert plan.search_id == changed.search_id
    with pytest.raises(UsageError, match="max_concurrent"):
        make_plan("mtop-mini", ("max_concurrent=0",), home=tmp_path)


def test_a_container_counts_its_own_cpus(tmp_path: Path) -> None:
    bound = len(os.sched_getaffinity(0))
    own, inner = tmp_path / "cgroup", tmp_path / "fs" / "slice" / "job"
    inner.mkdir(parents=True)
    assert cpus_here(tmp_path / "fs", own) == bound
    own.write_text("0::/slice/job\n")
    (inner / "cpu.max").write_text("max 100000\n")
    assert cpus_here(tmp_path / "fs", own) == bound
    (inner.parent / "cpu.max").write_text("150000 100000\n")
    assert cpus_here(tmp_path / "fs", own) == 1
    old = tmp_path / "v1" / "cpu"
    old.mkdir(parents=True)
    (old / "cpu.cfs_quota_us").write_text("-1\n")
    (old / "cpu.cfs_period_us").write_text("100000\n")
    assert cpus_here(tmp_path / "v1", own) == bound
    (old / "cpu.cfs_quota_us").write_text("100000\n")
    assert cpus_here(tmp_path / "v1", own) == 1


def test_a_trial_asks_for_the_memory_that_its_largest_step_took(tmp_path: Path) -> None:
    space = plan_of(tmp_path, params={"model_size": {"choices": ["small", "tiny"]}}, published={}).space
    probe = MemoryProbe(peak=2 * GIB, overhead=0, total=24 * GIB, host=10 * GIB, epoch_seconds=50.0)
    nodes = node_resources([{"CPU": 32.0, "GPU": 1.0, "memory": 30.0 * GIB}])
    placement = place(space, nodes, {"small": [probe]})
    assert placement.requests["small"].bundle["memory"] == pytest.approx(11.5 * GIB, rel=1e-3)
    assert placement.slots(nodes) == {"small": 2, "tiny": 1}
    assert "memory" not in placement.requests["tiny"].bundle
    assert placement.epoch_seconds == {"small": 50.0}
    # Ray counts a part of a node's memory only: what is in no node is asked of none.
    assert place(space, node_resources([{"CPU": 32.0, "GPU": 1.0, "memory": GIB}]), {"small": [probe]}).requests[
        "small"
    ] == Resources(cpus=1, gpus=0.125)


@dataclass
class RunningTrial:
    node_ip: str | None


def test_a_trial_is_alone_where_no_other_runs_on_its_node(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    controller = SearchController(plan, open_study(plan), job_maker(plan), Recorder())
    controller.begin(slots=3, gpus={})
    for _ in range(3):
        controller.next_trial()
    bridge = TuneBridge(controller, Placement(requests={}, shares={}), ahead=0)
    bridge.trials = {number: RunningTrial(node) for number, node in enumerate(["a", "b", "b"])}  # type: ignore[misc]
    assert Counter(bridge.is_alone(number) for number in range(3)) == {True: 1, False: 2}
    bridge.trials[2] = RunningTrial(None)  # type: ignore[assignment]
    assert not bridge.is_alone(0)
