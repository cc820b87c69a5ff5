"""What the study holds of one trial. In: a trial's state, values and notes. Out: its TrialRecord.

The notes are a trial's user attributes; those that older versions did not write have defaults.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Protocol

from xa_search.records import EpochReport, FailureClass, StoppedAt, TrialRecord, TrialSettings
from xa_search.records import TrialState as RecordState

NOT_CHARGED: tuple[FailureClass, ...] = ("interrupted", "lost_worker")
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
        settings=TrialSettings.model_validate(notes["settings"]),
        params=dict(trial.params),
        state=state,
        scores=tuple(scores[epoch] for epoch in sorted(scores)),
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
    )


class Records:
    """The records of a study's trials. That of an ended trial is made once, as nothing changes it any more."""

    def __init__(self) -> None:
        self._ended: dict[int, TrialRecord] = {}

    def of(self, trial: Entry) -> TrialRecord | None:
        """Return the record of a trial; none where it never began."""
        known = self._ended.get(trial.number)
        if known is not None:
            return known
        record = record_of(trial)
        if record is not None and trial.state.is_finished():
            self._ended[trial.number] = record
        return record


def notes_of(report: EpochReport, earlier: Notes, seconds: float, stopped: StoppedAt | None) -> dict[str, Any]:
    """Return what a trial's notes become by an epoch's report. `stopped` says that it ends here, before it does end."""
    before = earlier.get("spent", {})
    spent = {name: before.get(name, 0.0) + report.metrics.get(f"{name}_seconds", 0.0) for name in SPENT}
    notes: dict[str, Any] = {"spent": spent, "seconds": seconds}
    if report.best_epoch == report.epoch:
        notes |= {"best_epoch": report.epoch, "metrics": report.metrics}
    return notes if stopped is None else notes | {"stopped_at": asdict(stopped)}


def decided_state(trial: Entry) -> RecordState:
    """Return the state of a trial that its driver left running: as was decided, if that was written; else paused."""
    notes, scores = trial.user_attrs, trial.intermediate_values
    if "failure" in notes:
        return "FAIL"
    if "settings" in notes and len(scores) == notes["settings"]["epochs"]:
        return "COMPLETE"
    return "PRUNED" if notes.get("stopped_at", {}).get("epoch") in scores else "PAUSED"


def is_charged(trial: Entry) -> bool:
    """Tell whether a trial counts among those that the user asked for."""
    return bool(trial.state.is_finished()) and trial.user_attrs.get("failure") not in NOT_CHARGED


def is_paused(trial: Entry) -> bool:
    """Tell whether a trial that began waits to go on."""
    return trial.state.name == "WAITING" and "settings" in trial.user_attrs
