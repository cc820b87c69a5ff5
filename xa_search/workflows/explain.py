"""Why a trial ended as it did. In: a search's history and a number. Out: plain words, and the trial to learn from.

Distances are those of the unit cube: each searched range from 0 to 1, as it is scaled; two choices are 1 apart.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xa_search.records import FLOOR, FailureClass, Parameter, TrialRecord
from xa_search.records.search import trial_directory
from xa_search.search.failures import TRACEBACK
from xa_search.search.history import SearchHistory

MEANINGS: dict[FailureClass, str] = {
    "non_finite": "a loss or a metric was not a finite number: try a lower learning_rate or align_weight",
    "collapsed": "all sentence embeddings became one: try a lower align_weight",
    "oom": "memory ran out: try a smaller batch_size, max_tokens or model_size",
    "lost_worker": "its process or node died several times; it was queued to run again under another number",
    "data": "the corpus is missing, unreadable or unfit: `xa-search data check` says more",
    "code": "the code raised an error",
    "interrupted": "it was interrupted; it was queued to run again under another number",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """The nearest trial that scored better, and the setting in which the two differ most."""

    trial: TrialRecord
    distance: float
    setting: str
    own: Any
    theirs: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a trial ended, in lines; `traceback` is the file of its last error."""

    trial: TrialRecord
    lines: tuple[str, ...]
    traceback: Path | None
    neighbour: Neighbour | None


def explain(search: SearchHistory, number: int) -> Explanation:
    """Explain a trial. Raises UsageError where it never began."""
    trial = search.trial(number)
    traceback = trial_directory(search.directory, number) / TRACEBACK
    return Explanation(
        trial=trial,
        lines=why_ended(search, trial),
        traceback=traceback if trial.state == "FAIL" and traceback.exists() else None,
        neighbour=_nearest_better(search, trial),
    )


def why_ended(search: SearchHistory, trial: TrialRecord) -> tuple[str, ...]:
    """Say in lines how a trial ended, and what its failure means."""
    lines = [_ending(search, trial)]
    if trial.at_floor:
        lines.append(f"it is at the floor: what takes no training scores {_percent(trial.metrics[FLOOR])}")
    if trial.failure is not None:
        lines.append(f"[{trial.failure}] {MEANINGS[trial.failure]}")
    if trial.interruptions and trial.state != "PAUSED":
        lines.append(f"interrupted {_times(trial.interruptions)} before; the last time: {trial.interruption}")
    return (*lines, *trial.torn)


def _ending(search: SearchHistory, trial: TrialRecord) -> str:
    epochs, done = trial.settings.epochs, len(trial.scores)
    if trial.state == "COMPLETE":
        rank = 1 + sum((other.score or 0.0) > (trial.score or 0.0) for other in search.complete)
        best = f"its best score, {_percent(trial.score)}, came in epoch {trial.best_epoch}"
        return f"used its full budget of {epochs} epochs; {best}: rank {rank} of {len(search.complete)} such trials"
    if trial.state == "PRUNED":
        return _early_stop(trial)
    if trial.state == "FAIL":
        where = f", at {trial.failure_frame}" if trial.failure_frame else ""
        text = trial.failure_text.removesuffix(f" ({trial.failure_frame})")
        return f"failed after {done} of {epochs} epochs{where}: {text}"
    if search.driver:
        return (
            f"is {'running' if trial.state == 'RUNNING' else 'waiting to be resumed'}: {done} of {epochs} epochs done"
        )
    reason = trial.interruption or "its driver died"
    return f"waits after {done} of {epochs} epochs ({reason}); the same `xa-search run` resumes it"


def _early_stop(trial: TrialRecord) -> str:
    stopped = trial.stopped_at
    if stopped is None:
        return (
            f"stopped early after {len(trial.scores)} of {trial.settings.epochs} epochs; the cut-off was not recorded"
        )
    rung = f"stopped early after {stopped.where} of {trial.settings.epochs}"
    score = f"its score, {_percent(stopped.score)}, lay below the cut-off, {_percent(stopped.cutoff)}"
    return f"{rung}: {score}: rank {stopped.rank} of {stopped.competitors} trials of its size that had come so far"


def _nearest_better(search: SearchHistory, trial: TrialRecord) -> Neighbour | None:
    """Return the nearest of the better trials; those of the same method and model size come before all others."""
    ranges = _seen_ranges(search.trials) if search.plan is None else search.plan.space.params
    better = [
        other
        for other in search.trials
        if other.number != trial.number and other.failure is None and (other.score or -1.0) > (trial.score or 0.0)
    ]
    if not better:
        return None

    def order(other: TrialRecord) -> tuple[bool, bool, float, int]:
        mine, theirs = trial.settings, other.settings
        distance = math.hypot(*_differences(ranges, trial, other).values())
        return mine.method != theirs.method, mine.model_size != theirs.model_size, distance, other.number

    nearest = min(better, key=order)
    differences = _differences(ranges, trial, nearest)
    setting = max(differences, key=lambda name: differences[name], default="model_size")
    return Neighbour(
        trial=nearest,
        distance=math.hypot(*differences.values()),
        setting=setting,
        own=getattr(trial.settings, setting),
        theirs=getattr(nearest.settings, setting),
    )


def _differences(ranges: Mapping[str, Parameter], one: TrialRecord, other: TrialRecord) -> dict[str, float]:
    """Return how far two trials lie apart in what both searched, or in their method, which comes before that."""
    if one.settings.method != other.settings.method:
        return {"method": 1.0}
    both = (name for name in one.params if name in other.params and name in ranges)
    return {name: _distance(ranges[name], one.params[name], other.params[name]) for name in both}


def _seen_ranges(trials: Sequence[TrialRecord]) -> dict[str, Parameter]:
    """Return the ranges that the trials span, for a search whose space nobody kept."""
    names = dict.fromkeys(name for trial in trials for name in trial.params)
    values = {name: [trial.params[name] for trial in trials if name in trial.params] for name in names}
    return {
        name: Parameter(choices=tuple(seen))
        if any(isinstance(value, str | bool) for value in seen) or min(seen) == max(seen)
        else Parameter(low=float(min(seen)), high=float(max(seen)), log=float(min(seen)) > 0)
        for name, seen in values.items()
    }


def _distance(parameter: Parameter, one: Any, other: Any) -> float:
    if parameter.low is None or parameter.high is None:
        return float(one != other)
    low, high, mine, theirs = (
        (math.log(value) if parameter.log else float(value)) for value in (parameter.low, parameter.high, one, other)
    )
    return abs(mine - theirs) / (high - low)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
