"""What MLflow and the study know of a search, brought together. In: the trials as the study knows them, or a store.
Out: events for what MLflow missed; runs that a person deleted, removed for good.

So a search whose spool was lost, or whose driver died between study and spool, is whole again in MLflow.

MLflow only hides a deleted run; on a server it is the server's owner who removes it for good (`mlflow gc`).
"""

import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from xa_search.records import TrialRecord
from xa_search.tracking.address import database_of
from xa_search.tracking.events import (
    STATUSES,
    EpochLogged,
    Event,
    SearchEnded,
    TrialEnded,
    events_of_record,
    traceback_logged,
)
from xa_search.tracking.store import StoredRun, connect, find_runs, open_experiment, plainly
from xa_search.tracking.tracker import Tracker
from xa_search.tracking.writer import last_step


def reconcile(tracker: Tracker, trials: Collection[TrialRecord], directory_of: Callable[[int], Path]) -> int:
    """Tell what MLflow does not know of these trials, and return how many it were; none while MLflow is away.

    `directory_of` gives a trial's folder, where its traceback lies.
    """
    for event in (event for trial in trials if tracker.knows(trial.number) for event in events_of_record(trial)):
        if isinstance(event, EpochLogged):  # what a torn spool has lost of a trial; of the rest nothing is news
            tracker.note(event)
    runs = tracker.runs() if trials else None
    if runs is None:
        return 0
    reported, count = frozenset(tracker.reported.trials), 0
    for trial in trials:
        missed = _missed(trial, runs, reported)
        for event in missed:
            tracker.repair(event)
        if any(isinstance(event, TrialEnded) for event in missed):
            for file in traceback_logged(trial, directory_of(trial.number)):
                tracker.record(file)
        count += bool(missed)
    return count


def end_abandoned_runs(tracker: Tracker) -> bool:
    """End the search's own run if MLflow takes it for running; only for a search that nobody runs."""
    search = (tracker.runs() or {}).get(None)
    if search is None or search.deleted or search.status != "RUNNING":
        return False
    tracker.repair(SearchEnded(status="KILLED", tags={"state": "its driver died"}))
    return True


def _missed(trial: TrialRecord, runs: Mapping[int | None, StoredRun], reported: frozenset[int]) -> list[Event]:
    """Return what MLflow does not know of a trial; what a person deleted stays deleted."""
    run = runs.get(trial.number)
    if run is None:
        return [] if trial.number in reported else list(events_of_record(trial))
    if run.deleted:
        return []
    last = last_step(run)
    is_known = trial.state == "RUNNING" or (STATUSES[trial.state], trial.state) == (run.status, run.tags.get("state"))
    events = events_of_record(trial)
    epochs = [event for event in events if isinstance(event, EpochLogged) and event.step > last]
    return [*epochs, *(event for event in events if isinstance(event, TrialEnded) and not is_known)]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedRun:
    """A deleted run and the folder of its artifacts, which may be missing."""

    run_id: str
    artifacts: Path


def deleted_runs(uri: str, search_id: str, study_id: str = "") -> tuple[DeletedRun, ...]:
    """Return the deleted runs of a search on a local store; those of registered models stay."""
    database = database_of(uri)
    if database is None or not database.exists():
        return ()
    with plainly(uri):
        client = connect(uri)
        runs = find_runs(client, open_experiment(client), search_id, study_id).values()
        unused = [run for run in runs if run.deleted and not client.search_model_versions(f"run_id='{run.run_id}'")]
        places = [urlsplit(client.get_run(run.run_id).info.artifact_uri) for run in unused]
    return tuple(
        DeletedRun(run_id=run.run_id, artifacts=Path(unquote(place.path)))
        for run, place in zip(unused, places, strict=True)
        if place.scheme in ("", "file")
    )


def remove_for_good(uri: str, run: DeletedRun) -> None:
    """Remove a deleted run and its artifacts."""
    with plainly(uri):
        # What `mlflow gc` calls for each run; the command itself would also remove what others deleted.
        connect(uri)._tracking_client.store._hard_delete_run(run.run_id)
    shutil.rmtree(run.artifacts, ignore_errors=True)
