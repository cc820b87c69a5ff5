"""What MLflow missed. In: the trials as the study knows them. Out: events for what MLflow does not know of them.

So a search whose spool was lost, or whose driver died between study and spool, is whole again in MLflow.
"""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from xa_search.records import TrialRecord
from xa_search.tracking.events import (
    STATUSES,
    EpochLogged,
    Event,
    SearchEnded,
    TrialEnded,
    events_of_record,
    traceback_logged,
)
from xa_search.tracking.runs import LAST_STEP_TAG, Tracker
from xa_search.tracking.store import StoredRun


def catch_up(tracker: Tracker, trials: Collection[TrialRecord], directory_of: Callable[[int], Path]) -> int:
    """Tell what MLflow does not know of these trials, and return how many it were; none while MLflow is away.

    `directory_of` gives a trial's folder, where its traceback lies.
    """
    runs = tracker.runs() if trials else None
    if runs is None:
        return 0
    told, count = frozenset(tracker.told.trials), 0
    for trial in trials:
        missed = _missed(trial, runs, told)
        if any(isinstance(event, TrialEnded) for event in missed):
            missed += traceback_logged(trial, directory_of(trial.number))
        for event in missed:
            tracker.record(event)
        count += bool(missed)
    return count


def end_abandoned(tracker: Tracker) -> bool:
    """End the search's own run if MLflow takes it for running; only for a search that nobody runs."""
    search = (tracker.runs() or {}).get(None)
    if search is None or search.deleted or search.status != "RUNNING":
        return False
    tracker.record(SearchEnded(status="KILLED", tags={"state": "its driver died"}))
    return True


def _missed(trial: TrialRecord, runs: Mapping[int | None, StoredRun], told: frozenset[int]) -> list[Event]:
    """Return what MLflow does not know of a trial; what a person deleted stays deleted."""
    run = runs.get(trial.number)
    if run is None:
        return [] if trial.number in told else list(events_of_record(trial))
    if run.deleted:
        return []
    last_step = int(run.tags.get(LAST_STEP_TAG, 0))
    is_known = trial.state == "RUNNING" or (STATUSES[trial.state], trial.state) == (run.status, run.tags.get("state"))
    events = events_of_record(trial)
    epochs = [event for event in events if isinstance(event, EpochLogged) and event.step > last_step]
    return [*epochs, *(event for event in events if isinstance(event, TrialEnded) and not is_known)]
