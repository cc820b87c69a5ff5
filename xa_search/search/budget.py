"""What a search may spend. In: the plan's budgets, and when trials begin and end. Out: what was spent, who may begin.

The time budget is of one run, the GPU hours are of all runs of a search together.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from time import monotonic

from xa_search.records import Plan, Spent, TrialRecord

HOUR = 3600.0
BETWEEN_NOTES = 60.0


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

    def count_gpus(self, gpus: Mapping[str, float]) -> None:
        """Take `gpus` as what a trial of each model size occupies."""
        self._gpus = gpus

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
            return f"its time budget of {self._plan.time_budget:g} s is used up"
        if self._gpu_seconds_left() <= 0:
            return f"its {self._plan.gpu_hours:g} GPU hours are used up, raise --gpu-hours"
        return ""

    def forbids(self, record: TrialRecord, running: Iterable[TrialRecord], trials: Sequence[TrialRecord]) -> str:
        """Return why a trial may not begin: it cannot end within what is left. Empty when it may.

        It may when nobody knows how long it takes, and when not even a whole time budget were enough: as it goes on in
        the next run, it ends in the end.
        """
        needed, left = _seconds_to_end(record, trials), self._seconds_left()
        if left < needed <= (self._plan.time_budget or 0.0):
            return f"trial {record.number} takes about {needed:.3g} s, {left:.3g} s of its time budget are left"
        left = self._gpu_seconds_left() - sum(_seconds_to_end(one, trials) * self._gpus_of(one) for one in running)
        gpu_seconds = needed * self._gpus_of(record)
        if needed and gpu_seconds > left:
            hours, left_hours = gpu_seconds / HOUR, max(0.0, left) / HOUR
            asked = f"trial {record.number} takes about {hours:.3g} GPU hours"
            return f"{asked}, {left_hours:.3g} of its {self._plan.gpu_hours:g} are left, raise --gpu-hours"
        return ""

    def _gpus_of(self, record: TrialRecord) -> float:
        return self._gpus.get(record.settings.model_size, 0.0)

    def _seconds_left(self) -> float:
        budget = float("inf") if self._plan.time_budget is None else self._plan.time_budget
        return budget - (self._clock() - self._begun)

    def _gpu_seconds_left(self) -> float:
        if self._plan.gpu_hours is None:
            return float("inf")
        return (self._plan.gpu_hours - self.spent().gpu_hours) * HOUR


def epoch_seconds(model_size: str, trials: Iterable[TrialRecord]) -> float | None:
    """Return the median time of an epoch in the full-budget trials of a size, or in all before there are any."""
    timed = [trial for trial in trials if trial.settings.model_size == model_size and trial.scores and trial.seconds]
    complete = [trial for trial in timed if trial.state == "COMPLETE"]
    return median(trial.seconds / len(trial.scores) for trial in complete or timed) if timed else None


def _seconds_to_end(record: TrialRecord, trials: Sequence[TrialRecord]) -> float:
    """Return the time that a trial still takes; 0 where nobody knows."""
    seconds = epoch_seconds(record.settings.model_size, trials)
    return (seconds or 0.0) * (record.settings.epochs - len(record.scores))
