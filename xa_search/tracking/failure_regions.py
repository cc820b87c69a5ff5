"""Where settings failed. In: a search's trials. Out: the values of each parameter in trials that failed by it.

They stand beside the values of the trials that used their full budget: what lies outside is not worth another try.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from xa_search.records import FailureClass, TrialRecord, is_weight
from xa_search.records.trial import ZERO_SHOT_ROLES
from xa_search.search.failures import FAULTS_OF_THE_SETTINGS

Value = float | int | str | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureRegion:
    """One parameter's values in the trials of one failure class, and in the complete ones; no value twice, sorted."""

    failure: FailureClass
    trials: int
    parameter: str
    failed: tuple[Value, ...]
    complete: tuple[Value, ...]

    def __str__(self) -> str:
        counted = f"{self.trials} trial{'s' if self.trials > 1 else ''}"
        complete = _span(self.complete) if self.complete else "none"
        return f"{self.failure}: {counted}, {self.parameter} {_span(self.failed)} (complete: {complete})"


def failure_regions(trials: Sequence[TrialRecord]) -> tuple[FailureRegion, ...]:
    """Return a region for each such failure class and each searched parameter that its trials made use of."""
    complete = [trial for trial in trials if trial.state == "COMPLETE"]
    regions = []
    for failure in FAULTS_OF_THE_SETTINGS:
        failed = [trial for trial in trials if trial.failure == failure]
        for name in sorted({name for trial in failed for name in trial.params}):
            if values := _values(failed, name):
                region = FailureRegion(
                    failure=failure,
                    trials=len(failed),
                    parameter=name,
                    failed=values,
                    complete=_values(complete, name),
                )
                regions.append(region)
    return tuple(regions)


def _values(trials: Sequence[TrialRecord], name: str) -> tuple[Value, ...]:
    """Return the values that a parameter had where it mattered: the baseline aligns nothing, whatever the weight."""
    used = [trial for trial in trials if name in trial.params and not _is_idle(trial, name)]
    return tuple(sorted({trial.params[name] for trial in used}, key=lambda value: (isinstance(value, str), value)))


def _is_idle(trial: TrialRecord, name: str) -> bool:
    return is_weight(name) and trial.role in ZERO_SHOT_ROLES


def _span(values: tuple[Value, ...]) -> str:
    """Return a range of numbers by its ends, and choices one by one."""
    if any(isinstance(value, str | bool) for value in values):
        return ", ".join(map(str, values))
    ends = dict.fromkeys(f"{value:.3g}" for value in (values[0], values[-1]))
    return " to ".join(ends)
