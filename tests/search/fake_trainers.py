"""Trainers that train nothing: known curves, known deaths. Workers import this module, so it imports no torch."""

import math
import os
import random
import re
import signal
import time
from collections.abc import Iterator

from xa_search.errors import DataError, GpuBusyError
from xa_search.records import EpochReport, TrialJob


def quality(job: TrialJob) -> float:
    """The score after the last epoch: best at a learning rate of 1e-4 and an alignment weight of 1."""
    settings = job.settings
    weight = 1e-3 if settings.method == "zero_shot" else settings.align_weight
    distance = abs(math.log10(settings.learning_rate) + 4) / 2 + abs(math.log10(weight)) / 6
    return 1 / (1 + distance)


def number_of(job: TrialJob) -> int:
    return int(job.directory.name)


def rising(job: TrialJob) -> Iterator[EpochReport]:
    epochs = job.settings.epochs
    for epoch in range(1, epochs + 1):
        score = quality(job) * epoch / epochs
        yield report(epoch, score, final=epoch == epochs)


def report(epoch: int, score: float, final: bool) -> EpochReport:
    return EpochReport(
        epoch=epoch, score=score, best_score=score, best_epoch=epoch, final=final, metrics={"held_out": score}
    )


def not_finite_at_three(job: TrialJob) -> Iterator[EpochReport]:
    for one in rising(job):
        broken = number_of(job) == 3 and one.epoch == 2
        yield report(one.epoch, math.nan, one.final) if broken else one


def raising_at_three(job: TrialJob) -> Iterator[EpochReport]:
    if number_of(job) == 3:
        raise ValueError("three\nis not a number")
    yield from rising(job)


def always_raising(job: TrialJob) -> Iterator[EpochReport]:
    raise KeyError(f"trial {number_of(job)}")
    yield


def only_zero_shot(job: TrialJob) -> Iterator[EpochReport]:
    """Stand for a bug in what aligns, which none but the aligned trials meet; each meets it elsewhere."""
    if job.settings.method != "zero_shot":
        raise DataError(f"translations of trial {number_of(job)}: gone")
    yield from rising(job)


def only_aligned(job: TrialJob) -> Iterator[EpochReport]:
    """Stand for a baseline that cannot be trained."""
    if job.settings.method == "zero_shot":
        raise DataError("dev.en.tsv: gone")
    yield from rising(job)


def nothing_to_test() -> None:
    """Stand for what the end of a search asks of a node, and cannot have."""
    raise DataError("test.th.tsv: gone")


def raising_in_many_ways(job: TrialJob) -> Iterator[EpochReport]:
    if number_of(job) % 2:
        raise DataError("train.tsv: gone")
    raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
    yield


def endless(job: TrialJob) -> Iterator[EpochReport]:
    """Reports for ever; only a stop from outside ends it."""
    epoch = 0
    while True:
        epoch += 1
        time.sleep(0.02)
        yield report(epoch, 0.5, final=False)


def silent(job: TrialJob) -> Iterator[EpochReport]:
    """Begin an epoch that has no end."""
    while True:
        time.sleep(0.02)
    yield


def killing_its_process_once(job: TrialJob) -> Iterator[EpochReport]:
    """Kill this process by SIGKILL in the second epoch of trial 4, the first time."""
    for one in rising(job):
        mark = job.directory.parent / "killed"
        if number_of(job) == 4 and one.epoch == 2 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        yield one


def hanging_once(job: TrialJob) -> Iterator[EpochReport]:
    """Trial 2 hangs in its third epoch, the first time: in a call that never lets another Python thread run."""
    for one in going_on(job):
        mark = job.directory.parent / "hung"
        if number_of(job) == 2 and one.epoch == 3 and not mark.exists():
            mark.touch()
            re.match("(a+)+b", "a" * 99)
        yield one


def in_trouble(job: TrialJob) -> Iterator[EpochReport]:
    """Trial 2 is not finite in its second epoch, trial 3 raises, 4 loses its worker once, 5 finds its GPU full once."""
    mark = job.directory / "busy"
    if number_of(job) == 5 and not mark.exists():
        mark.touch()
        raise GpuBusyError("20% of the GPU's memory came free in 120 s, the trial needs 50%")
    if number_of(job) == 3:
        raise ValueError("three\nis not a number")
    for one in killing_its_process_once(job):
        broken = number_of(job) == 2 and one.epoch == 2
        yield report(one.epoch, math.nan, one.final) if broken else one


def going_on(job: TrialJob) -> Iterator[EpochReport]:
    """Report again what an interrupted trial reported, and train what is left; the file `trained` counts the epochs."""
    trained = job.directory / "trained"
    done = len(trained.read_text().split()) if trained.exists() else 0
    for one in rising(job):
        if one.epoch > done:
            with trained.open("a") as file:
                file.write(f"{one.epoch} ")
        yield one


def at_shuffled_speed(job: TrialJob) -> Iterator[EpochReport]:
    """Take another time for each epoch in each search."""
    for one in rising(job):
        time.sleep(random.SystemRandom().uniform(0, 0.1))
        yield one


def interrupting_at_two(job: TrialJob) -> Iterator[EpochReport]:
    for one in going_on(job):
        yield one
        if number_of(job) == 2:
            raise KeyboardInterrupt


def interrupted_once_each(job: TrialJob) -> Iterator[EpochReport]:
    for one in going_on(job):
        yield one
        mark = job.directory / "interrupted"
        if one.epoch == 1 and not mark.exists():
            mark.touch()
            raise KeyboardInterrupt
