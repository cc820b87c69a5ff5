"""Breaks trials from outside. In: BROKEN_TRIALS, such as `1=oom,2=code`. Out: nothing; those trials end so.

Python imports this module at its start where its folder is on PYTHONPATH: in the driver and in Ray's workers alike.
"""

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from shutil import copytree

sys.path.append(str(Path(__file__).resolve().parents[1]))

from after_import import change_after_import

from xa_search.records import EpochReport, TrialJob

BROKEN = dict(trial.split("=") for trial in os.environ["BROKEN_TRIALS"].split(","))


def train(job: TrialJob) -> Iterator[EpochReport]:
    from xa_search.training.trial import train_trial

    return train_trial(job)


def out_of_memory(job: TrialJob) -> Iterator[EpochReport]:
    """Let no step fit into memory, however small its pieces."""
    import torch

    from xa_search.model.joint import JointModel

    forward = JointModel.forward

    def full(model: JointModel, batch: object) -> object:
        if model.training:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return forward(model, batch)

    JointModel.forward = full
    try:
        yield from train(job)
    finally:
        JointModel.forward = forward


def wrong_code(job: TrialJob) -> Iterator[EpochReport]:
    raise ValueError(f"nothing trains at batch size {job.settings.batch_size}")


def damaged_table(job: TrialJob) -> Iterator[EpochReport]:
    """Give the trial a copy of the encoded corpus whose training table was cut in half."""
    copy = copytree(job.corpus.directory, job.directory / "damaged")
    table = copy / f"train.{job.corpus.source}.arrow"
    os.truncate(table, table.stat().st_size // 2)
    return train(replace(job, corpus=replace(job.corpus, directory=copy)))


def killed(job: TrialJob) -> Iterator[EpochReport]:
    """Kill the trial's process after the first epoch that it reports, each time."""
    for report in train(job):
        yield report
        os.kill(os.getpid(), signal.SIGKILL)


def killed_once(job: TrialJob) -> Iterator[EpochReport]:
    mark = job.directory / "killed"
    if mark.exists():
        yield from train(job)
    else:
        mark.touch()
        yield from killed(job)


WAYS = {"oom": out_of_memory, "code": wrong_code, "data": damaged_table, "killed": killed, "killed_once": killed_once}


def broken_or_not(job: TrialJob) -> Iterator[EpochReport]:
    return WAYS.get(BROKEN.get(job.directory.name, ""), train)(job)


change_after_import("xa_search.search.trial_events", lambda module: setattr(module, "train_trial", broken_or_not))
