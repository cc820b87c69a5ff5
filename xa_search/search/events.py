"""What happens inside a trial, seen from outside. In: a TrialJob and a trainer. Out: one TrialEvent an epoch.

A trial's exceptions become its last event, so that no code error is ever taken for a lost worker and retried.
"""

import math
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass

from xa_search.errors import GpuBusyError, NonFiniteError
from xa_search.records import EpochReport, TrialJob
from xa_search.search.failures import Failure, failure_of

TRACEBACK = "traceback.txt"

Trainer = Callable[[TrialJob], Iterator[EpochReport]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEvent:
    """An epoch's report or the failure that ended the trial, and the seconds since the trial began."""

    seconds: float
    report: EpochReport | None = None
    failure: Failure | None = None


def trial_events(job: TrialJob, trainer: Trainer | None) -> Generator[TrialEvent, None, None]:
    """Run the trial. The last event holds the final report or a failure, unless the caller stops before.

    Raises GpuBusyError: Ray takes it for a lost worker and starts the trial again, elsewhere if it can.
    """
    start = time.perf_counter()
    try:
        for report in (trainer or _default_trainer())(job):
            _check_finite(report)
            yield TrialEvent(seconds=time.perf_counter() - start, report=report)
            if report.final:
                return
        raise RuntimeError("the trainer ended without a final report")
    except GpuBusyError:
        raise
    except Exception as error:
        with suppress(OSError):
            job.directory.mkdir(parents=True, exist_ok=True)
            (job.directory / TRACEBACK).write_text(traceback.format_exc(), encoding="utf-8")
        yield TrialEvent(seconds=time.perf_counter() - start, failure=failure_of(error))


def _default_trainer() -> Trainer:
    from xa_search.training.trial import train_trial

    return train_trial


def _check_finite(report: EpochReport) -> None:
    values = {"the selection score": report.score, **report.metrics}
    broken = [name for name, value in values.items() if not math.isfinite(value)]
    if broken:
        raise NonFiniteError(f"{', '.join(broken)} not finite in epoch {report.epoch}")
