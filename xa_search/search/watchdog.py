"""A watchdog for trials that hang. In: a trial's events as they come. Out: the same; or the end of this process.

A worker that ends is a lost worker to Ray, which starts the trial again in a fresh one, from its last epoch. The watch
is kept by a thread of the interpreter that needs no Python to run, so that a call that never returns does not stop it.
"""

import faulthandler
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from xa_search.search.events import TrialEvent

LEAST_SECONDS = 600.0
EPOCHS_OF_PATIENCE = 3
TRACES = "hung.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long an epoch may take: three times what those of its size took, or the trial's own, and never too little."""

    epoch_seconds: float | None
    least: float

    def seconds(self, longest: float | None) -> float | None:
        """Return the limit, given this trial's longest epoch; none while nobody knows how long an epoch takes."""
        known = [seconds for seconds in (self.epoch_seconds, longest) if seconds is not None]
        return max(self.least, EPOCHS_OF_PATIENCE * max(known)) if known else None


def watched(events: Iterator[TrialEvent], patience: Patience, directory: Path) -> Iterator[TrialEvent]:
    """Hand the events on. When one takes too long, write down where every thread is and end this process."""
    longest: float | None = None
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / TRACES
    with path.open("a", encoding="utf-8") as traces:
        while True:
            start = time.perf_counter()
            if (limit := patience.seconds(longest)) is not None:
                faulthandler.dump_traceback_later(limit, file=traces, exit=True)
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
