"""The loop of a search. In: a Plan, its study, how to make a job, who listens. Out: every trial ended, in the study.

One loop, two ways to run a trial: in this process, or through Ray on this machine or a cluster.
"""

import shutil
from contextlib import closing
from typing import TYPE_CHECKING

from xa_search.records import Plan
from xa_search.search.events import Trainer, trial_events
from xa_search.search.listener import Listener, MakeJob
from xa_search.search.own_ray import OwnRay, set_ray_defaults
from xa_search.search.resources import gpus_here
from xa_search.search.study import SearchStudy

if TYPE_CHECKING:
    from xa_search.search.bookkeeper import Bookkeeper

RAY = "ray"
"""The folder in which Ray keeps what it knows of a search's trials."""


def run_trials(
    plan: Plan,
    study: SearchStudy,
    make_job: MakeJob,
    listener: Listener,
    trainer: Trainer | None = None,
    own_ray: OwnRay | None = None,
) -> None:
    """Run what remains of the search, as its only driver. Workers must be able to import `trainer`, if it is given.

    `own_ray` is one that may have begun already; it is ended when the trials are.
    Raises StoppedEarly when a budget or Ctrl-C ended it, InfeasibleError when no node can run a trial, and
    XaSearchError when all trials fail. However it ends, no trial is left running: what had begun is paused.
    """
    set_ray_defaults(plan)
    from xa_search.search.bookkeeper import Bookkeeper

    for orphan in study.settle():
        listener.trial_ended(orphan)
    bookkeeper = Bookkeeper(plan, study, make_job, listener)
    try:
        if study.remaining(plan.space.trials):
            _run(plan, bookkeeper, trainer, own_ray or OwnRay(plan))
    except KeyboardInterrupt:
        bookkeeper.stop("it was interrupted")
    finally:
        bookkeeper.settle()
        shutil.rmtree(plan.directory / RAY, ignore_errors=True)
    bookkeeper.conclude()


def _run(plan: Plan, bookkeeper: "Bookkeeper", trainer: Trainer | None, own_ray: OwnRay) -> None:
    if plan.local:
        bookkeeper.begin(slots=1, gpus=gpus_here(plan.space))
        _run_here(bookkeeper, trainer)
        return
    from xa_search.search.ray_runner import run_on_ray

    run_on_ray(plan, bookkeeper, trainer, own_ray)


def _run_here(bookkeeper: "Bookkeeper", trainer: Trainer | None) -> None:
    """Run one trial after the other in this process."""
    while (given := bookkeeper.next_trial()) is not None:
        record, job = given
        bookkeeper.started(record.number)
        with closing(trial_events(job, trainer)) as events:
            for event in events:
                if not bookkeeper.happened(record.number, event) or bookkeeper.must_stop():
                    break
