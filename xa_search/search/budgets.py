"""What a search may spend. In: the plan's budgets, and when trials begin and end. Out: what was spent, who may begin.

A running trial has its best weights and a checkpoint to go on from, thrice as large with the optimiser's state; while
it saves, the new one lies beside the old one. A complete trial that is larger than was estimated corrects the estimate.

The time budget is of one run, the GPU hours are of all runs of a search together.
"""

import os
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import monotonic

from xa_search.model.sizes import resolve_size
from xa_search.records import Plan, Spent, TrialRecord

MB, GB = 10**6, 10**9
UNKNOWN = resolve_size("large")
"""What an encoder of unknown size is taken for."""
WEIGHTS_OF_RUNNING = 7
COPIES_OF_WINNER = 3
"""The winner with its full vocabulary: as a bundle, as MLflow's model, and in the store."""
CORPUS = 200 * MB
HOUR = 3600.0
BETWEEN_NOTES = 60.0


def encoder_bytes(size: str) -> int:
    """Return what an encoder takes; one of unknown size is taken for a large one. Raises ModelError as it is named."""
    found = resolve_size(size)
    if found.directory is not None:
        return folder_bytes(found.directory)
    return found.disk or UNKNOWN.disk or 0


def weights_bytes(size: str) -> int:
    """Return what the weights of a trial take."""
    return resolve_size(size).trial_disk or min(UNKNOWN.trial_disk or 0, encoder_bytes(size))


def shared_bytes(sizes: Collection[str], models: int) -> int:
    """Return what all trials read, whole and trimmed, and what the winner's models take while they are registered."""
    encoders = {size: encoder_bytes(size) for size in sizes}
    trimmed = sum(weights_bytes(size) for size in sizes)
    return CORPUS + sum(encoders.values()) + trimmed + (COPIES_OF_WINNER - 1 + models) * max(encoders.values())


def trials_bytes(sizes: Collection[str], trials: int, slots: int, models: int) -> int:
    """Return what so many trials to come take at most, of which so many run at a time, with so many models each."""
    weights = models * max(weights_bytes(size) for size in sizes)
    return weights * (trials + (WEIGHTS_OF_RUNNING - 1) * min(trials, slots))


def folder_bytes(folder: Path) -> int:
    """Return the size of the files below a folder, which may come and go meanwhile."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += (Path(place) / name).lstat().st_size
    return total


def format_bytes(size: float) -> str:
    """Return a size as a person writes it."""
    return f"{size / GB:.1f} GB" if size >= GB else f"{size / MB:.0f} MB"


class DiskBudget:
    """The disk space that a search has for its trials; `folder_of` gives the folder of one."""

    def __init__(self, plan: Plan, folder_of: Callable[[TrialRecord], Path]) -> None:
        self._plan = plan
        self._folder_of = folder_of

    def forbids(self, record: TrialRecord, running: Collection[TrialRecord], trials: Sequence[TrialRecord]) -> str:
        """Return why a trial may not begin: with it, what runs could outgrow it. Empty when it may."""
        growth = sum(self._growth(one, trials) for one in (record, *running))
        limits = [(shutil.disk_usage(self._plan.home).free, f"free in {self._plan.home}, free some space there")]
        if self._plan.disk_budget is not None:
            sizes = {trial.settings.model_size for trial in (record, *trials)}
            left = (
                self._plan.disk_budget
                - shared_bytes(sizes, self._plan.models_a_trial)
                - folder_bytes(self._plan.directory)
            )
            limits.append((left, f"left of its {format_bytes(self._plan.disk_budget)}, raise --disk-budget"))
        for left, place in limits:
            if growth > left:
                asked = f"trial {record.number} and what runs may take {format_bytes(growth)} more"
                return f"{asked}, {format_bytes(max(0, left))} are {place}"
        return ""

    def _growth(self, record: TrialRecord, trials: Sequence[TrialRecord]) -> int:
        """Return what a trial may take on top of what it has."""
        size = record.settings.model_size
        same_size = (one for one in reversed(trials) if one.settings.model_size == size and one.state == "COMPLETE")
        measured = next((folder_bytes(self._folder_of(one)) for one in same_size), 0)
        most = WEIGHTS_OF_RUNNING * max(measured, self._plan.models_a_trial * weights_bytes(size))
        return max(0, most - folder_bytes(self._folder_of(record)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """Seconds of a run that its trials may not use: those that it spent before them, and those that its end takes."""

    before: float = 0.0
    end: float = 0.0


Reserve = Callable[[Sequence[TrialRecord], int], Reserved]
"""Takes the trials so far, and how many run at a time."""


def nothing_reserved(trials: Sequence[TrialRecord], slots: int) -> Reserved:  # noqa: ARG001
    """Let the trials have all of the budgets."""
    return Reserved()


class Budget:
    """Counts what a run spends, on top of what `before` says that earlier runs spent."""

    def __init__(self, plan: Plan, before: Spent, clock: Callable[[], float] = monotonic) -> None:
        self._plan = plan
        self._before = before
        self._clock = clock
        self._begun = clock()
        self._gpus: Mapping[str, float] = {}
        self._taken_up: dict[int, tuple[float, float]] = {}
        self._trial_seconds = 0.0
        self._gpu_seconds = 0.0
        self._noted = self._begun
        self._reserved = Reserved()

    def count_gpus(self, gpus: Mapping[str, float]) -> None:
        """Take `gpus` as what a trial of each model size occupies."""
        self._gpus = gpus

    def keep_back(self, reserved: Reserved) -> None:
        """Let trials leave this to the end of the search: at most half of a budget, so that some are trained at all."""
        self._reserved = reserved

    def trial_started(self, record: TrialRecord) -> None:
        """Count the trial's time from now on."""
        self._taken_up.setdefault(record.number, (self._clock(), self._gpus_of(record)))

    def trial_ended(self, number: int) -> None:
        """Count the trial's time no more."""
        now = self._clock()
        start, gpus = self._taken_up.pop(number, (now, 0.0))
        self._trial_seconds += now - start
        self._gpu_seconds += (now - start) * gpus

    def spent(self) -> Spent:
        """Return what all runs of the search have spent until now."""
        now = self._clock()
        running = self._taken_up.values()
        trial_seconds = self._trial_seconds + sum(now - start for start, _ in running)
        gpu_seconds = self._gpu_seconds + sum((now - start) * gpus for start, gpus in running)
        return Spent(
            wall_seconds=self._before.wall_seconds + now - self._begun,
            trial_seconds=self._before.trial_seconds + trial_seconds,
            gpu_hours=self._before.gpu_hours + gpu_seconds / HOUR,
        )

    def is_worth_noting(self) -> bool:
        """Tell whether a minute passed since it last told so: what a dead driver did not note is lost."""
        now = self._clock()
        due = now - self._noted >= BETWEEN_NOTES
        self._noted = now if due else self._noted
        return due

    def used_up(self) -> str:
        """Return which budget is used up; empty while none is."""
        if self._seconds_left() <= 0:
            kept = self._plan.time_budget - self._seconds_for_trials() if self._plan.time_budget else 0.0
            end = f" but for the {kept:.0f} s that its end takes" if kept else ""
            return f"its time budget of {self._plan.time_budget:g} s is used up{end}"
        if self._gpu_seconds_left() <= 0:
            return f"its {self._plan.gpu_hours:g} GPU hours are used up, raise --gpu-hours"
        return ""

    def forbids(self, record: TrialRecord, running: Iterable[TrialRecord], trials: Sequence[TrialRecord]) -> str:
        """Return why a trial may not begin: it cannot end within what is left. Empty when it may.

        It may when nobody knows how long it takes, and when not even a whole time budget were enough: as it goes on in
        the next run, it ends in the end.
        """
        needed, left = _seconds_to_end(record, trials), self._seconds_left()
        if left < needed <= self._seconds_for_trials():
            return (
                f"trial {record.number} takes about {needed:.3g} s, {max(0.0, left):.3g} s of its time budget are left"
            )
        left = self._gpu_seconds_left() - sum(_seconds_to_end(one, trials) * self._gpus_of(one) for one in running)
        gpu_seconds = needed * self._gpus_of(record)
        if needed and gpu_seconds > left:
            hours, left_hours = gpu_seconds / HOUR, max(0.0, left) / HOUR
            asked = f"trial {record.number} takes about {hours:.3g} GPU hours"
            return f"{asked}, {left_hours:.3g} of its {self._plan.gpu_hours:g} are left, raise --gpu-hours"
        return ""

    def _gpus_of(self, record: TrialRecord) -> float:
        return self._gpus.get(record.settings.model_size, 0.0)

    def _seconds_for_trials(self) -> float:
        """Return the time budget less what is kept back for the end."""
        budget = float("inf") if self._plan.time_budget is None else self._plan.time_budget
        return budget - min(self._reserved.end, budget / 2)

    def _seconds_left(self) -> float:
        return self._seconds_for_trials() - self._reserved.before - (self._clock() - self._begun)

    def _gpu_seconds_left(self) -> float:
        if self._plan.gpu_hours is None:
            return float("inf")
        end = self._reserved.end * max(self._gpus.values(), default=0.0)
        return self._plan.gpu_hours * HOUR - min(end, self._plan.gpu_hours * HOUR / 2) - self.spent().gpu_hours * HOUR


def epoch_seconds(model_size: str, trials: Iterable[TrialRecord]) -> float | None:
    """Return the median time of an epoch in the full-budget trials of a size, or in all before there are any."""
    timed = [trial for trial in trials if trial.settings.model_size == model_size and trial.scores and trial.seconds]
    complete = [trial for trial in timed if trial.state == "COMPLETE"]
    return median(trial.seconds / len(trial.scores) for trial in complete or timed) if timed else None


def _seconds_to_end(record: TrialRecord, trials: Sequence[TrialRecord]) -> float:
    """Return the time that a trial still takes; 0 where nobody knows."""
    seconds = epoch_seconds(record.settings.model_size, trials)
    return (seconds or 0.0) * (record.settings.epochs - len(record.scores))
