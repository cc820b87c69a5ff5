"""The loop of a search. In: a Plan, its study, how to make a job, who listens. Out: every trial ended, in the study.

One loop, two ways to run a trial: in this process, or through Ray on this machine or a cluster.

Ray runs trials and keeps no truth: nothing of the search is in its snapshots, and none is ever restored.
"""

import logging
import os
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from itertools import cycle, islice
from typing import Any

import ray
from ray import tune
from ray.tune.search import ConcurrencyLimiter

from xa_search.errors import InfeasibleError
from xa_search.records import Plan
from xa_search.records.search import RAY
from xa_search.search.controller import Bookkeeper, Listener, MakeJob
from xa_search.search.driver import own_signals, quiet_log
from xa_search.search.memory_profile import MemoryBook
from xa_search.search.node_check import (
    Expected,
    answers,
    check_address,
    expected_of_nodes,
    fault_here,
    remedy_of_refusal,
)
from xa_search.search.ray_callbacks import (
    EVENT,
    JOB,
    NUMBER,
    PATIENCE,
    REFUSAL,
    Abandoned,
    Link,
    StudyCallback,
    StudyScheduler,
    StudySearcher,
    StudyStopper,
)
from xa_search.search.ray_nodes import Room, check_nodes, gpu_kinds, grows, live_resources, measure_on_nodes, room_for
from xa_search.search.resources import Placement, Resources, gpus_here, place, wanted
from xa_search.search.study import SearchStudy
from xa_search.search.trial_events import Trainer, trial_events, watched

LOST_WORKER_RETRIES = 3
BETWEEN_LOOKS = 1.0
LAST_WORD_SECONDS = 5.0
WORKERS_STARTED_AT_ONCE = 16
Trainable = Callable[[dict[str, Any]], None]


def run_trials(
    plan: Plan,
    study: SearchStudy,
    make_job: MakeJob,
    listener: Listener,
    trainer: Trainer | None = None,
) -> None:
    """Run what remains of the search, as its only driver. Workers must be able to import `trainer`, if it is given.
    Raises StoppedEarly when a budget or Ctrl-C ended it, InfeasibleError when no node can run a trial, and
    XaSearchError when all trials fail. However it ends, no trial is left running: what had begun is paused.
    """
    prepare_ray(plan.address)
    for orphan in study.settle():
        listener.trial_ended(orphan)
    bookkeeper = Bookkeeper(plan, study, make_job, listener)
    try:
        if study.remaining(plan.space.trials):
            _run(plan, bookkeeper, trainer, MemoryBook(plan, study, make_job, listener))
    except KeyboardInterrupt:
        bookkeeper.stop("it was interrupted")
    finally:
        bookkeeper.settle()
        shutil.rmtree(plan.directory / RAY, ignore_errors=True)
    bookkeeper.conclude()


def _run(plan: Plan, bookkeeper: "Bookkeeper", trainer: Trainer | None, memory: MemoryBook) -> None:
    if plan.local:
        bookkeeper.begin(slots=1, gpus=gpus_here(plan.space))
        _run_here(bookkeeper, trainer)
        return
    run_on_ray(plan, bookkeeper, trainer, memory)


def _run_here(bookkeeper: "Bookkeeper", trainer: Trainer | None) -> None:
    """Run one trial after the other in this process."""
    while (given := bookkeeper.next_trial()) is not None:
        record, job = given
        bookkeeper.started(record.number)
        with closing(trial_events(job, trainer)) as events:
            for event in events:
                if not bookkeeper.happened(record.number, event) or bookkeeper.must_stop():
                    break


def prepare_ray(address: str | None) -> None:
    """Let Ray of this machine ask for no token, unless the user set something else."""
    if address is None:
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")


def run_on_ray(plan: Plan, bookkeeper: Bookkeeper, trainer: Trainer | None, memory: MemoryBook) -> None:
    """Run the bookkeeper's trials until it has no more or says stop. Raises InfeasibleError for unfit nodes."""
    with connected(plan.address), own_signals(), quiet_log("ray"), ExitStack() as stack:
        expected = None
        if plan.address is not None:
            expected = stack.enter_context(expected_of_nodes(plan.directory))
            check_nodes(expected)
        placement, room = _placement(plan, memory, bookkeeper.remaining, stack)
        nodes = live_resources()
        bookkeeper.begin(max(placement.slots(nodes).values()), placement.gpus)
        link = Link(bookkeeper, placement, ahead=0 if room is None else 1)
        link.count_slots(nodes)
        _run_tune(_tuner(plan, link, _trainable(plan, trainer, expected)), link, room, own=plan.address is None)
        if link.fault is not None:
            raise link.fault


def _placement(plan: Plan, memory: MemoryBook, trials: int, stack: ExitStack) -> tuple[Placement, Room | None]:
    """Return what trials ask, measured where the space does not say it; and the room that was asked for so many."""
    growing, room = plan.address is not None and grows(), None
    if growing:
        # How many trials share a GPU is not known before the first has come; to measure, one of each kind is enough.
        requests = wanted(plan.space, {}).requests
        room = stack.enter_context(room_for(_turns(requests, 0 if memory.is_needed else trials)))
    kinds = gpu_kinds()
    faults = []
    if missing := memory.missing(kinds):
        for key, found in measure_on_nodes(missing).items():
            if isinstance(found, str):
                faults.append(f"{key}: not measured ({found})")
            else:
                memory.enter(key, found)
    placement = place(plan.space, live_resources(), memory.probes(kinds))
    memory.tell(placement, kinds, faults)
    if growing and memory.is_needed:
        room = stack.enter_context(room_for(_turns(placement.requests, trials)))
    return placement, room


def _turns(requests: Mapping[str, Resources], trials: int) -> list[Resources]:
    """Return the requests of so many trials, as if the sizes took turns; each at least once."""
    return list(islice(cycle(requests.values()), max(trials, len(requests))))


def _run_tune(tuner: tune.Tuner, link: Link, room: Room | None, *, own: bool) -> None:
    """Run Tune in a thread of its own: once Ray's head has died, each call to Ray hangs until Ray ends the process."""
    errors: list[BaseException] = []

    def fit() -> None:
        try:
            tuner.fit()
        except Abandoned:
            pass
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=fit, name="tune", daemon=True)
    thread.start()
    try:
        head = ray.get_runtime_context().gcs_address
        # The head of a cluster may come back; nobody starts this machine's own again.
        while thread.is_alive() and (not own or answers(head)):
            if room is not None:
                room.give_back()
            thread.join(BETWEEN_LOOKS)
        if thread.is_alive():
            link.bookkeeper.stop("its Ray died")
    finally:
        link.abandon()
        thread.join(LAST_WORD_SECONDS)
    if errors:
        raise errors[0]


def _tuner(plan: Plan, link: Link, trainable: Trainable) -> tune.Tuner:
    requests, searcher = link.placement.requests, StudySearcher(link)

    def asked(config: dict[str, Any]) -> tune.PlacementGroupFactory:
        return tune.PlacementGroupFactory([requests[config[JOB].settings.model_size].bundle], strategy="STRICT_PACK")

    return tune.Tuner(
        tune.with_resources(trainable, asked),
        tune_config=tune.TuneConfig(
            num_samples=-1,
            # Tune starts one worker after the other, each in seconds, unless a limiter says how many at once.
            search_alg=searcher if plan.address is None else ConcurrencyLimiter(searcher, WORKERS_STARTED_AT_ONCE),
            scheduler=StudyScheduler(link),
            reuse_actors=not any(link.placement.gpus.values()),
            trial_name_creator=lambda trial: f"trial-{trial.config[NUMBER]}",
            trial_dirname_creator=lambda trial: f"trial-{trial.config[NUMBER]}",
        ),
        run_config=tune.RunConfig(
            storage_path=str(plan.directory.absolute() / RAY),
            failure_config=tune.FailureConfig(max_failures=LOST_WORKER_RETRIES),
            callbacks=[StudyCallback(link)],
            stop=StudyStopper(link),
            verbose=0,
        ),
    )


def _trainable(plan: Plan, trainer: Trainer | None, expected: Expected | None) -> Trainable:
    """Return the function that a worker runs. Its name is of this run only: searches on one cluster share names."""

    def run_trial(config: dict[str, Any]) -> None:
        # A node that came after the first trial began has not been asked yet.
        if expected is not None and (fault := fault_here(expected)):
            tune.report({REFUSAL: fault})
            return
        job = config[JOB]
        for event in watched(trial_events(job, trainer), config[PATIENCE], job.directory):
            tune.report({EVENT: event})

    run_trial.__name__ = f"{plan.search_id}-{uuid.uuid4().hex[:8]}"
    return run_trial


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Join the cluster at `address`, or start Ray on this machine; leave as it was found."""
    if ray.is_initialized():
        yield
        return
    if address is not None:
        check_address(address)
    options = {"address": "local", "include_dashboard": False} if address is None else {"address": address}
    try:
        with own_signals():
            ray.init(log_to_driver=False, logging_level=logging.CRITICAL, **options)
    except SystemExit:  # Ray's own answer to SIGTERM while it starts
        raise KeyboardInterrupt from None
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.AuthenticationError) as error:
        where, reason = address or "this machine", " ".join(str(error).split())[:200]
        remedy = "type the same command again" if address is None else remedy_of_refusal(reason)
        raise InfeasibleError(f"no Ray on {where} ({reason}); {remedy}, or run the trials here with --local") from None
    try:
        yield
    finally:
        ray.shutdown()
