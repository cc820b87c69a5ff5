"""What a search's wall time went to. In: stages, and the trials' own seconds. Out: a SearchCost.

While trials run, `slots` of them run side by side: their seconds count as wall time divided by the slots. `waiting` is
what is left then: a slot stood empty while another was busy. `idle` is when no trial ran at all.
"""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from xa_search.records import EpochReport, SearchCost

TRIAL_PARTS = {
    "start_seconds": "start",
    "train_seconds": "training",
    "evaluate_seconds": "evaluation",
    "save_seconds": "saving",
}


class CostMeter:
    """Counts the seconds of one run of a search, from its creation on."""

    def __init__(self, *, trials_run_here: bool) -> None:
        self._trials_run_here = trials_run_here
        self._begin = time.perf_counter()
        self._parts: dict[str, float] = defaultdict(float)
        self._of_trials: dict[str, float] = defaultdict(float)
        self._running: set[int] = set()
        self._slots = 1
        self._busy = 0.0
        self._last_change = 0.0
        self._first_trial: float | None = None

    @contextmanager
    def stage(self, part: str) -> Iterator[None]:
        """Count the seconds inside as `part`."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self._parts[part] += time.perf_counter() - begin

    @contextmanager
    def trials(self) -> Iterator[None]:
        """Count the seconds inside: before the first trial as start, then as what the trials say."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self._change()
            self._parts["start"] += (self._first_trial or self._last_change) - begin

    def trial_started(self, number: int) -> None:
        """Enter a trial that a worker took up."""
        self._change()
        self._first_trial = self._first_trial or self._last_change
        self._running.add(number)
        self._slots = max(self._slots, len(self._running))

    def epoch_reported(self, report: EpochReport) -> None:
        """Enter the seconds of an epoch."""
        for name, seconds in report.metrics.items():
            self._of_trials[name] += seconds
        if "gpu_utilisation" in report.metrics:
            self._of_trials["gpu_epochs"] += 1

    def trial_ended(self, number: int) -> None:
        """Enter that a trial runs no more."""
        self._change()
        self._running.discard(number)

    def cost(self, cpus_per_trial: int) -> SearchCost:
        """Return where the seconds went until now."""
        parts = dict(self._parts)
        of_trials = {part: self._of_trials[name] / self._slots for name, part in TRIAL_PARTS.items()}
        for part, seconds in of_trials.items():
            parts[part] = parts.get(part, 0.0) + seconds
        parts["waiting"] = max(0.0, self._busy - sum(of_trials.values()))
        wall = time.perf_counter() - self._begin
        cores = self._slots * cpus_per_trial
        cpu = time.process_time() + (0.0 if self._trials_run_here else self._of_trials["cpu_seconds"])
        gpu_epochs = self._of_trials["gpu_epochs"]
        return SearchCost(
            wall=wall,
            parts=parts | {"idle": max(0.0, wall - sum(parts.values()))},
            slots=self._slots,
            core_utilisation=cpu / (cores * wall),
            gpu_utilisation=self._of_trials["gpu_utilisation"] / gpu_epochs if gpu_epochs else None,
        )

    def _change(self) -> None:
        """Count the time since the last change as busy, if a trial ran."""
        now = time.perf_counter()
        if self._running:
            self._busy += now - self._last_change
        self._last_change = now
