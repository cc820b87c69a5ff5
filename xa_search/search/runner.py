"""The loop of a search. In: a Plan, its study, how to make a job, who listens. Out: every trial ended, in the study.

One loop, two ways to run a trial: in this process, or through Ray on this machine or a cluster.

Ray runs trials and keeps no truth: nothing of the search is in its snapshots, and none is ever restored.
"""

import ctypes
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from itertools import cycle, islice
from typing import Any

import ray
from ray import tune
from ray.tune.search import ConcurrencyLimiter

from xa_search.records import Plan
from xa_search.records.search import RAY
from xa_search.search.budgets import Reserve, nothing_reserved
from xa_search.search.connection import connected
from xa_search.search.controller import MakeJob, SearchCallback, SearchController
from xa_search.search.driver import own_signals, quiet_log
from xa_search.search.memory_profile import MemoryProfile, measure_memory
from xa_search.search.node_check import (
    Expected,
    expected_of_nodes,
    fault_here,
    is_reachable,
)
from xa_search.search.ray_callbacks import (
    EVENT,
    JOB,
    NUMBER,
    REFUSAL,
    TIMEOUT,
    Abandoned,
    StudyCallback,
    StudyScheduler,
    StudySearcher,
    StudyStopper,
    TuneBridge,
)
from xa_search.search.ray_nodes import (
    CapacityRequest,
    check_nodes,
    gpu_kinds,
    grows,
    live_resources,
    measure_on_nodes,
    request_capacity,
)
from xa_search.search.resources import Placement, Resources, gpus_here, place, wanted
from xa_search.search.study import SearchStudy
from xa_search.search.trial_events import TrainFunction, trial_events, with_watchdog

LOST_WORKER_RETRIES = 3
BETWEEN_LOOKS = 1.0
LAST_WORD_SECONDS = 60.0
WORKERS_STARTED_AT_ONCE = 16
Trainable = Callable[[dict[str, Any]], None]


def run_trials(
    plan: Plan,
    study: SearchStudy,
    make_job: MakeJob,
    callback: SearchCallback,
    train: TrainFunction | None = None,
    reserve: Reserve = nothing_reserved,
) -> str:
    """Run what remains of the search, as its only driver. Workers must be able to import `train`, if it is given.

    Return which budget ended it, empty where all trials ended: what was found is to be concluded. Raises StoppedEarly
    at Ctrl-C, or at the end of a budget that no aligned trial has used up to its own; InfeasibleError when no node can
    run a trial; XaSearchError when no aligned trial comes to its end. No trial is left running: it is paused.
    """
    for orphan in study.settle():
        callback.trial_ended(orphan)
    controller = SearchController(plan, study, make_job, callback, reserve=reserve)
    try:
        if study.remaining(plan.space.trials):
            _run(plan, controller, train, MemoryProfile(plan, study, make_job, callback))
    except KeyboardInterrupt:
        controller.stop("it was interrupted")
    finally:
        controller.settle()
        shutil.rmtree(plan.directory / RAY, ignore_errors=True)
    return controller.conclude()


def _run(plan: Plan, controller: "SearchController", train: TrainFunction | None, memory: MemoryProfile) -> None:
    if plan.local:
        controller.begin(slots=1, gpus=gpus_here(plan.space))
        _run_here(controller, train)
        return
    run_on_ray(plan, controller, train, memory)


def _run_here(controller: "SearchController", train: TrainFunction | None) -> None:
    """Run one trial after the other in this process."""
    while (given := controller.next_trial()) is not None:
        record, job = given
        controller.started(record.number)
        with closing(trial_events(job, train)) as events:
            for event in events:
                if not controller.handle_event(record.number, event) or controller.must_stop():
                    break


def run_on_ray(plan: Plan, controller: SearchController, train: TrainFunction | None, memory: MemoryProfile) -> None:
    """Run the controller's trials until it has no more or says stop. Raises InfeasibleError for unfit nodes."""
    with connected(plan.address), own_signals(), quiet_log("ray"), ExitStack() as stack:
        expected = None
        if plan.address is not None:
            expected = stack.enter_context(expected_of_nodes(plan.directory))
            check_nodes(expected)
        placement, capacity = _placement(plan, memory, min(controller.remaining, plan.space.concurrency), stack)
        nodes = live_resources()
        controller.begin(max(placement.slots(nodes).values()), placement.gpus)
        bridge = TuneBridge(controller, placement, ahead=0 if capacity is None else 1)
        bridge.count_slots(nodes)
        _run_tune(_tuner(plan, bridge, _trainable(plan, train, expected)), bridge, capacity, own=plan.address is None)
        if bridge.fault is not None:
            raise bridge.fault


def _placement(
    plan: Plan, memory: MemoryProfile, trials: int, stack: ExitStack
) -> tuple[Placement, CapacityRequest | None]:
    """Return what trials ask, measured where the space does not say it; and the capacity requested for so many."""
    growing, capacity = plan.address is not None and grows(), None
    if growing:
        # How many trials share a GPU is not known before the first has come; to measure, one of each kind is enough.
        requests = wanted(plan.space, {}).requests
        capacity = stack.enter_context(request_capacity(_turns(requests, 0 if memory.is_needed else trials)))
    kinds = gpu_kinds()
    lines = []
    if missing := memory.missing(kinds):
        for key, found in measure_on_nodes(measure_memory, missing).items():
            if isinstance(found, str):
                lines.append(f"{key}: not measured ({found})")
            else:
                memory.enter(key, found)
    placement = place(plan.space, live_resources(), memory.probes(kinds))
    slots, width = max(placement.slots(live_resources()).values()), plan.space.concurrency
    if slots > width:
        lines.append(
            f"{width} trials at a time on {slots} slots, so that later ones learn from earlier ones: max_concurrent"
        )
    memory.announce(placement, kinds, lines)
    if growing and memory.is_needed:
        capacity = stack.enter_context(request_capacity(_turns(placement.requests, trials)))
    return placement, capacity


def _turns(requests: Mapping[str, Resources], trials: int) -> list[Resources]:
    """Return the requests of so many trials, as if the sizes took turns; each at least once."""
    return list(islice(cycle(requests.values()), max(trials, len(requests))))


def _run_tune(tuner: tune.Tuner, bridge: TuneBridge, capacity: CapacityRequest | None, *, own: bool) -> None:
    """Run Tune in a thread of its own: once Ray's head has died, each call to Ray hangs until Ray ends the process."""
    errors: list[BaseException] = []

    def fit() -> None:
        try:
            tuner.fit()
        except Abandoned:
            pass
        except BaseException as error:
            errors.append(error)

    head = ray.get_runtime_context().gcs_address
    thread = threading.Thread(target=fit, name="tune", daemon=True)
    thread.start()
    try:
        # The head of a cluster may come back; nobody starts this machine's own again.
        while thread.is_alive() and (not own or is_reachable(head)):
            if capacity is not None:
                capacity.give_back()
            thread.join(BETWEEN_LOOKS)
        if thread.is_alive():
            bridge.controller.stop("Ray stopped running")
    finally:
        bridge.abandon()
        _wait_for_last_word(thread, head)
    if errors:
        raise errors[0]


def _wait_for_last_word(thread: threading.Thread, head: str) -> None:
    """Wait until Tune has left Ray alone: Ray ends a process of which a thread calls it after its shutdown, with 1.

    Where the head is gone, the thread may hang in a call. It ends when that returns, before it can make another.
    """
    given_up = time.monotonic() + LAST_WORD_SECONDS
    while thread.is_alive() and is_reachable(head) and time.monotonic() < given_up:
        thread.join(BETWEEN_LOOKS)
    thread.join(BETWEEN_LOOKS)
    if thread.is_alive() and thread.ident is not None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(Abandoned))


def _tuner(plan: Plan, bridge: TuneBridge, trainable: Trainable) -> tune.Tuner:
    requests, searcher = bridge.placement.requests, StudySearcher(bridge)

    def asked(config: dict[str, Any]) -> tune.PlacementGroupFactory:
        return tune.PlacementGroupFactory([requests[config[JOB].settings.model_size].bundle], strategy="STRICT_PACK")

    return tune.Tuner(
        tune.with_resources(trainable, asked),
        tune_config=tune.TuneConfig(
            num_samples=-1,
            # Tune starts one worker after the other, each in seconds, unless a limiter says how many at once.
            search_alg=searcher if plan.address is None else ConcurrencyLimiter(searcher, WORKERS_STARTED_AT_ONCE),
            scheduler=StudyScheduler(bridge),
            reuse_actors=not any(bridge.placement.gpus.values()),
            trial_name_creator=lambda trial: f"trial-{trial.config[NUMBER]}",
            trial_dirname_creator=lambda trial: f"trial-{trial.config[NUMBER]}",
        ),
        run_config=tune.RunConfig(
            storage_path=str(plan.directory.absolute() / RAY),
            failure_config=tune.FailureConfig(max_failures=LOST_WORKER_RETRIES),
            callbacks=[StudyCallback(bridge)],
            stop=StudyStopper(bridge),
            verbose=0,
        ),
    )


def _trainable(plan: Plan, train: TrainFunction | None, expected: Expected | None) -> Trainable:
    """Return the function that a worker runs. Its name is of this run only: searches on one cluster share names."""

    def run_trial(config: dict[str, Any]) -> None:
        # A node that came after the first trial began has not been asked yet.
        if expected is not None and (fault := fault_here(expected)):
            tune.report({REFUSAL: fault})
            return
        job = config[JOB]
        for event in with_watchdog(trial_events(job, train), config[TIMEOUT], job.directory):
            tune.report({EVENT: event})

    run_trial.__name__ = f"{plan.search_id}-{uuid.uuid4().hex[:8]}"
    return run_trial
