"""What the study notes of a trial. In: a trial as Optuna holds it, its reports. Out: notes, its record, its state."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Protocol

from xa_search.records import EpochReport, StoppedAt, TrialRecord
from xa_search.records import TrialState as RecordState
from xa_search.records.stored import stored_settings

STATES: dict[str, RecordState] = {
    "RUNNING": "RUNNING",
    "WAITING": "PAUSED",
    "COMPLETE": "COMPLETE",
    "PRUNED": "PRUNED",
    "FAIL": "FAIL",
}
SPENT = ("train", "evaluate", "cpu")
Notes = Mapping[str, Any]


class Entry(Protocol):
    """A trial as the study holds it: Optuna's FrozenTrial."""

    number: int
    user_attrs: dict[str, Any]
    intermediate_values: dict[int, float]

    @property
    def state(self) -> Any:
        """Optuna's state."""

    @property
    def params(self) -> dict[str, Any]:
        """The values of the searched settings."""


def record_of(trial: Entry) -> TrialRecord | None:
    """Return the record of a trial; none where it never began."""
    notes, scores = trial.user_attrs, trial.intermediate_values
    if "settings" not in notes:
        return None
    state = STATES[trial.state.name]
    interrupted = notes.get("interrupted", {})
    return TrialRecord(
        number=trial.number,
        role=notes["role"],
        settings=stored_settings(notes["settings"]),
        params=dict(trial.params),
        state=state,
        scores=tuple(scores[epoch] for epoch in sorted(scores)),
        rung_scores={int(rung): score for rung, score in notes.get("rung_scores", {}).items()},
        best_epoch=notes.get("best_epoch"),
        metrics=notes.get("metrics", {}),
        failure=notes.get("failure"),
        failure_text=notes.get("failure_text", ""),
        failure_frame=notes.get("failure_frame", ""),
        stopped_at=StoppedAt(**notes["stopped_at"]) if state == "PRUNED" and "stopped_at" in notes else None,
        interruptions=interrupted.get("count", 0),
        interruption=interrupted.get("reason", ""),
        batch=notes.get("batch"),
        seconds=notes.get("seconds", 0.0),
        spent=notes.get("spent", {}),
        torn=tuple(notes.get("torn", ())),
    )


def notes_of(report: EpochReport, earlier: Notes, seconds: float, stopped: StoppedAt | None) -> dict[str, Any]:
    """Return what a trial's notes become by a report. `stopped` says that it ends here, before it does end."""
    before = earlier.get("spent", {})
    spent = {name: before.get(name, 0.0) + report.metrics.get(f"{name}_seconds", 0.0) for name in SPENT}
    notes: dict[str, Any] = {"spent": spent, "seconds": seconds}
    if report.whole and report.best_epoch == report.epoch:
        notes |= {"best_epoch": report.epoch, "metrics": report.metrics}
    if stopped is not None:
        notes["stopped_at"] = asdict(stopped)
    if report.rung is not None:
        notes["rung_scores"] = {**earlier.get("rung_scores", {}), str(report.rung): report.score}
    return notes


def decided_state(trial: Entry) -> RecordState:
    """Return the state of a trial that its driver left running: as was decided, if that was written; else paused."""
    notes, scores = trial.user_attrs, trial.intermediate_values
    if "failure" in notes:
        return "FAIL"
    if "settings" in notes and len(scores) == notes["settings"]["epochs"]:
        return "COMPLETE"
    stopped = notes.get("stopped_at", {})
    at_rung = str(stopped.get("rung")) in notes.get("rung_scores", {})
    return "PRUNED" if at_rung or stopped.get("epoch") in scores else "PAUSED"


def is_repeated(trial: Entry, report: EpochReport) -> bool:
    """Tell whether a report came before, as after a lost worker."""
    if report.whole:
        return report.epoch in trial.intermediate_values
    return str(report.rung) in trial.user_attrs.get("rung_scores", {})
