"""The loop of a search. In: a Plan, its study, how to make a job, who listens. Out: every trial ended, in the study.

One loop, two ways to run a trial: in this process, or through Ray on this machine or a cluster.
"""

import os
import shutil
from contextlib import closing
from typing import TYPE_CHECKING

from xa_search.records import Plan
from xa_search.search.events import Trainer, trial_events
from xa_search.search.listener import Listener, MakeJob
from xa_search.search.memory import MemoryBook
from xa_search.search.resources import gpus_here
from xa_search.search.study import SearchStudy

if TYPE_CHECKING:
    from xa_search.search.bookkeeper import Bookkeeper

RAY = "ray"
"""The folder in which Ray keeps what it knows of a search's trials."""
RAY_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
    # What Tune still asks once Ray is down would start another Ray, for which nobody waits.
    "RAY_ENABLE_AUTO_CONNECT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Tune would wait for the end of each running epoch first, longer than whoever sends SIGTERM does.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "600",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}


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
    from xa_search.search.bookkeeper import Bookkeeper

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
    from xa_search.search.ray_runner import run_on_ray

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
    """Set Ray's defaults, which it reads when it is imported; what the user set stays."""
    for name, value in RAY_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if address is None:
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")
