"""Tracking events. In: the records of a search. Out: small frozen events, all that MLflow is ever told.

An event holds plain values only, so that it can wait in the spool for a server that is away.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from xa_search.records import EpochReport, SearchCost, SearchSpace, TrialRecord
from xa_search.records.confirmation import confirmed_of
from xa_search.search.failures import TRACEBACK
from xa_search.training.registry import SELECTION_RULES, is_zero_shot, learns_from_target_labels

Status = Literal["FINISHED", "KILLED", "FAILED"]
Param = float | int | str | bool | None

STATUSES: dict[str, Status] = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "PAUSED": "KILLED", "FAIL": "FAILED"}
"""How MLflow calls the states of a trial that does not run; the tag `state` tells the killed ones apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchStarted:
    """A search began or was resumed. `texts` become artifacts by name; every trial's run repeats `tags`."""

    search_id: str
    params: dict[str, Param] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStarted:
    """A trial began, or goes on after an interruption."""

    number: int
    params: dict[str, Param] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochLogged:
    """A trial finished epoch `step`, or with `rung`, came in it to a rung after so many steps of training.

    The tags are what it shows while it runs.
    """

    number: int
    step: int
    metrics: dict[str, float]
    rung: int = 0
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEnded:
    """A trial ended, or was interrupted. `metrics` are what its run shows in the end: those of its best epoch.

    May be told again with more metrics, such as those of the test; its end keeps its time.
    """

    number: int
    status: Status
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLogged:
    """A file becomes an artifact in the folder `folder` (none: at the top) of a trial's run, or of the search's.

    Once it is told, `path` starts from the search's folder, where it lies there, and `digest` is a hash of its bytes.
    """

    path: str
    folder: str = ""
    number: int | None = None
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetsLogged:
    """Splits of a corpus that the search reads; what its trials learn from, and are chosen on, is entered there too.

    Each has `name`, `digest`, `context` (training, validation or testing), `source`, and `rows` by language.
    """

    datasets: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchEnded:
    """A search ended, or was stopped."""

    status: Status
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


RUNG_SCORE = "rung_score"
"""The metric whose steps are steps of training; those of all others are epochs."""
Event = SearchStarted | TrialStarted | EpochLogged | TrialEnded | FileLogged | DatasetsLogged | SearchEnded
TESTING = "testing"
"""The context of what only the winner and what it is compared with are scored on."""


def search_tags(space: SearchSpace) -> dict[str, str]:
    """Return the tags that the runs of a search and of its trials share."""
    return {
        "corpus": space.corpus,
        "method": ", ".join(space.methods),
        "selection": space.selection,
        "zero_shot": "yes" if is_zero_shot(space.selection, space.methods) else "no",
    }


def trial_tags(search: Mapping[str, str], trial: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of a trial's run: the search's, then its own; nothing is zero-shot that target labels chose."""
    rule = SELECTION_RULES.get(search.get("selection", ""))
    chosen_by_labels = rule is not None and rule.reads_target_labels
    return {**search, **trial, **({"zero_shot": "no"} if chosen_by_labels else {})}


def trial_started(trial: TrialRecord) -> TrialStarted:
    """Return the event of a trial's start: all its settings, and its role."""
    zero_shot = "no" if learns_from_target_labels(trial.settings) else "yes"
    tags: dict[str, str] = {"role": trial.role, "state": "RUNNING", "zero_shot": zero_shot}
    if trial.role in ("confirmed", "fair_baseline"):
        tags["confirms"] = str(confirmed_of(trial.number)[0])
    return TrialStarted(number=trial.number, params=trial.settings.model_dump(), tags=tags)


def epoch_logged(number: int, report: EpochReport) -> EpochLogged:
    """Return the event of a trial's report. At a rung within an epoch the score alone is told, by steps of training."""
    if not report.whole:
        return EpochLogged(number=number, step=report.epoch, metrics={RUNG_SCORE: report.score}, rung=report.rung or 0)
    metrics = {**report.metrics, "selection_score": report.score}
    return EpochLogged(number=number, step=report.epoch, metrics=metrics, tags=floor_tag(report))


def floor_tag(scored: EpochReport | TrialRecord) -> dict[str, str]:
    """Return the tag that says whether a trial is at the floor; none where that is not known."""
    return {} if scored.at_floor is None else {"at_floor": "yes" if scored.at_floor else "no"}


def trial_ended(trial: TrialRecord) -> TrialEnded:
    """Return the event of a trial's end, or of its interruption; `STATUSES` says what its state becomes.

    Only an end has metrics: those of the best epoch, told between two others, would be a false point of its curves.
    """
    tags: dict[str, str] = {"state": trial.state, **floor_tag(trial)}
    if trial.failure is not None:
        tags |= {"failure_class": trial.failure, "failure_text": trial.failure_text}
    if trial.failure_frame:
        tags["failure_frame"] = trial.failure_frame
    if trial.interruptions:
        tags |= {"interruptions": str(trial.interruptions), "interruption": trial.interruption}
    if trial.torn:
        tags["torn_files"] = "; ".join(trial.torn)
    metrics = {} if trial.state == "PAUSED" else _last_metrics(trial)
    return TrialEnded(number=trial.number, status=STATUSES[trial.state], metrics=metrics, tags=tags)


def _last_metrics(trial: TrialRecord) -> dict[str, float]:
    metrics = {**trial.metrics, "seconds": trial.seconds}
    if trial.score is not None:
        last = trial.scores[-1] if trial.scores else trial.score
        metrics |= {"selection_score": trial.score, "selection_score_last": last}
    if trial.best_epoch is not None:
        metrics["best_epoch"] = float(trial.best_epoch)
    return metrics


def traceback_logged(trial: TrialRecord, folder: Path) -> tuple[FileLogged, ...]:
    """Return the event that keeps a failed trial's traceback, if one lies in the trial's folder; else none."""
    path = folder / TRACEBACK
    return (FileLogged(path=str(path), number=trial.number),) if trial.state == "FAIL" and path.exists() else ()


def events_of_record(trial: TrialRecord) -> tuple[Event, ...]:
    """Return the events that tell what is known of a trial: its start, the score of each epoch, and its end."""
    epochs = (
        EpochLogged(number=trial.number, step=step, metrics={"selection_score": score})
        for step, score in enumerate(trial.scores, start=1)
    )
    rungs = (
        EpochLogged(number=trial.number, step=0, metrics={RUNG_SCORE: score}, rung=rung)
        for rung, score in trial.rung_scores.items()
    )
    ends = () if trial.state == "RUNNING" else (trial_ended(trial),)
    return trial_started(trial), *rungs, *epochs, *ends


def cost_logged(cost: SearchCost) -> SearchEnded:
    """Return the event that tells what a search's wall time went to, in seconds and shares."""
    metrics = {f"seconds_{part}": seconds for part, seconds in cost.parts.items()}
    metrics |= {"seconds": cost.wall, "core_utilisation": cost.core_utilisation}
    if cost.gpu_utilisation is not None:
        metrics["gpu_utilisation"] = cost.gpu_utilisation
    return SearchEnded(status="FINISHED", metrics=metrics)


def flat_name(name: str) -> str:
    """Return a metric name that needs no quotes in a filter: small letters, digits and underscores."""
    return re.sub(r"[^a-z0-9_]", "_", name.lower())
