"""What happens inside a trial, seen from outside. In: a TrialJob and a train function. Out: one TrialEvent an epoch.

A trial's exceptions become its last event, so that no code error is ever taken for a lost worker and retried.

A worker that ends is a lost worker to Ray, which starts the trial again in a fresh one, from its last epoch. The watch
is kept by a thread of the interpreter that needs no Python to run, so that a call that never returns does not stop it.
"""

import faulthandler
import math
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from xa_search.errors import GpuBusyError, NonFiniteError
from xa_search.records import EpochReport, TrialJob
from xa_search.search.failures import TRACEBACK, Failure, failure_of
from xa_search.search.full_disk import is_disk_full, told_full_disk
from xa_search.training.trial import train_trial

TrainFunction = Callable[[TrialJob], Iterator[EpochReport]]
LEAST_SECONDS = 600.0
UNTIMED_SECONDS = 86_400.0
TIMEOUT_EPOCHS = 3
TRACES = "hung.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEvent:
    """An epoch's report or the failure that ended the trial, and the seconds since the trial began."""

    seconds: float
    report: EpochReport | None = None
    failure: Failure | None = None
    full_disk: str = ""
    """Why the search cannot go on: what the trial would write has no room."""


def trial_events(job: TrialJob, train: TrainFunction | None) -> Generator[TrialEvent, None, None]:
    """Run the trial. The last event holds the final report or a failure, unless the caller stops before.

    Raises GpuBusyError: Ray takes it for a lost worker and starts the trial again, elsewhere if it can.
    """
    start = time.perf_counter()
    try:
        for report in (train or train_trial)(job):
            _check_finite(report)
            yield TrialEvent(seconds=time.perf_counter() - start, report=report)
            if report.final:
                return
        raise RuntimeError("the trainer ended without a final report")
    except GpuBusyError:
        raise
    except Exception as error:
        if is_disk_full(error, job.directory if job.directory.exists() else job.home):
            yield TrialEvent(seconds=time.perf_counter() - start, full_disk=told_full_disk(job.directory))
            return
        with suppress(OSError):
            job.directory.mkdir(parents=True, exist_ok=True)
            (job.directory / TRACEBACK).write_text(traceback.format_exc(), encoding="utf-8")
        yield TrialEvent(seconds=time.perf_counter() - start, failure=failure_of(error))


def _check_finite(report: EpochReport) -> None:
    values = {"the selection score": report.score, **report.metrics}
    broken = [name for name, value in values.items() if not math.isfinite(value)]
    if broken:
        raise NonFiniteError(f"{', '.join(broken)} not finite in epoch {report.epoch}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochTimeout:
    """How long an epoch may take: three times what those of its size took, or the trial's own, and never too little.

    Before there is any, `epoch_seconds` is what the largest step says, where that was measured; else it is a day.
    """

    epoch_seconds: float | None
    least: float

    def seconds(self, longest: float | None) -> float:
        """Return the limit, given this trial's longest epoch."""
        known = [seconds for seconds in (self.epoch_seconds, longest) if seconds is not None]
        return max(self.least, TIMEOUT_EPOCHS * max(known) if known else UNTIMED_SECONDS)


def with_watchdog(events: Iterator[TrialEvent], timeout: EpochTimeout, directory: Path) -> Iterator[TrialEvent]:
    """Hand the events on. When one takes too long, write down where every thread is and end this process."""
    longest: float | None = None
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / TRACES
    with path.open("a", encoding="utf-8") as traces:
        while True:
            start = time.perf_counter()
            faulthandler.dump_traceback_later(timeout.seconds(longest), file=traces, exit=True)
            try:
                event = next(events, None)
            finally:
                faulthandler.cancel_dump_traceback_later()
            if event is None:
                break
            longest = max(longest or 0.0, time.perf_counter() - start)
            yield event
    if path.stat().st_size == 0:
        path.unlink()
