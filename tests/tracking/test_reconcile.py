from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import pytest

from xa_search.records import SearchRecord, TrialRecord
from xa_search.tracking import reconcile as reconciling
from xa_search.tracking.events import (
    EpochLogged,
    Event,
    SearchStarted,
    TrialEnded,
    TrialStarted,
    events_of_record,
    traceback_logged,
    trial_ended,
    trial_started,
)
from xa_search.tracking.reconcile import end_abandoned_runs
from xa_search.tracking.spool import Spool
from xa_search.tracking.store import StoredRun, connect, find_runs, open_experiment
from xa_search.tracking.tracker import Tracker


def runs_of(uri: str, search_id: str) -> dict[int | None, StoredRun]:
    client = connect(uri)
    return find_runs(client, open_experiment(client), search_id)


def history_of(uri: str, search_id: str, number: int, metric: str) -> list[tuple[int, float]]:
    client = connect(uri)
    run_id = runs_of(uri, search_id)[number].run_id
    return [(point.step, point.value) for point in client.get_metric_history(run_id, metric)]


def tracker_of(folder: Path, uri: str, search_id: str, *events: Event) -> Tracker:
    tracker = Tracker(Spool(folder / "spool.jsonl"), uri, search_id)
    for event in (SearchStarted(search_id=search_id), *events):
        tracker.record(event)
    assert tracker.sync().problem == ""
    return tracker


def reconcile(tracker: Tracker, trials: Collection[TrialRecord], directory_of: Callable[[int], Path]) -> int:
    """Reconcile, and wait for MLflow."""
    count = reconciling.reconcile(tracker, trials, directory_of)
    tracker.sync()
    return count


def directory_of(number: int) -> Path:
    return Path(f"/nowhere/{number}")


@pytest.fixture
def paused(search_record: SearchRecord) -> TrialRecord:
    """A trial that was interrupted in its second epoch."""
    trial = search_record.trials[1]
    return replace(trial, state="PAUSED", scores=(0.5,), interruptions=1, interruption="the driver of the search died")


def test_an_interrupted_trial_is_killed_and_goes_on_in_its_run(
    search_record: SearchRecord, paused: TrialRecord, uri: str, tmp_path: Path
) -> None:
    tracker = tracker_of(tmp_path, uri, "paused", trial_started(paused), trial_ended(paused))
    first = runs_of(uri, "paused")[1]
    assert (first.status, first.tags["state"]) == ("KILLED", "PAUSED")
    assert first.tags["interruption"] == "the driver of the search died"
    assert history_of(uri, "paused", 1, "selection_score") == []
    tracker.record(trial_started(paused))
    tracker.sync()
    again = runs_of(uri, "paused")[1]
    assert (again.run_id, again.status, again.tags["state"]) == (first.run_id, "RUNNING", "RUNNING")
    tracker.record(trial_ended(search_record.trials[1]))
    tracker.sync()
    ended = runs_of(uri, "paused")[1]
    assert (ended.run_id, ended.status, ended.tags["state"]) == (first.run_id, "FINISHED", "COMPLETE")


def test_a_failed_trial_has_its_frame_and_its_traceback(search_record: SearchRecord, uri: str, tmp_path: Path) -> None:
    failed = replace(search_record.trials[3], failure="code", failure_frame="mine/train.py:7 in step")
    assert traceback_logged(failed, tmp_path) == ()
    (tmp_path / "traceback.txt").write_text("Traceback ...")
    events = traceback_logged(failed, tmp_path)
    assert traceback_logged(search_record.trials[1], tmp_path) == ()
    tracker_of(tmp_path, uri, "traceback", trial_started(failed), trial_ended(failed), *events)
    run = runs_of(uri, "traceback")[3]
    assert run.tags["failure_frame"] == "mine/train.py:7 in step"
    assert [file.path for file in connect(uri).list_artifacts(run.run_id)] == ["traceback.txt"]
    late = tracker_of(tmp_path / "late", uri, "late")
    assert reconcile(late, [failed], lambda _: tmp_path) == 1
    run = runs_of(uri, "late")[3]
    assert [file.path for file in connect(uri).list_artifacts(run.run_id)] == ["traceback.txt"]


def test_the_events_of_a_record_tell_its_start_its_scores_and_its_end(search_record: SearchRecord) -> None:
    started, *epochs, ended = events_of_record(search_record.trials[1])
    assert isinstance(started, TrialStarted)
    assert [(one.step, one.metrics) for one in epochs if isinstance(one, EpochLogged)] == [
        (1, {"selection_score": 0.5}),
        (2, {"selection_score": 0.7}),
    ]
    assert isinstance(ended, TrialEnded)
    running = replace(search_record.trials[1], state="RUNNING")
    assert not any(isinstance(one, TrialEnded) for one in events_of_record(running))


def test_a_search_with_a_lost_spool_is_told_to_a_new_store_and_once_only(
    search_record: SearchRecord, uri: str, tmp_path: Path
) -> None:
    tracker = tracker_of(tmp_path / "new", uri, "forgotten")
    assert reconcile(tracker, search_record.trials, directory_of) == 4
    runs = runs_of(uri, "forgotten")
    assert [runs[number].status for number in range(4)] == ["FINISHED", "FINISHED", "KILLED", "FAILED"]
    assert history_of(uri, "forgotten", 0, "selection_score")[:2] == [(1, 0.4), (2, 0.5)]
    before = {number: history_of(uri, "forgotten", number, "seconds") for number in range(4)}
    assert reconcile(tracker, search_record.trials, directory_of) == 0
    assert reconcile(tracker_of(tmp_path / "lost again", uri, "forgotten"), search_record.trials, directory_of) == 0
    assert {number: history_of(uri, "forgotten", number, "seconds") for number in range(4)} == before


def test_runs_that_only_seem_to_run_get_their_true_status(
    search_record: SearchRecord, paused: TrialRecord, uri: str, tmp_path: Path
) -> None:
    complete, failed = search_record.trials[0], search_record.trials[3]
    first_epoch = events_of_record(complete)[:2]
    tracker = tracker_of(tmp_path, uri, "seems", *first_epoch, trial_started(paused), trial_started(failed))
    assert {run.status for run in runs_of(uri, "seems").values()} == {"RUNNING"}
    trials = (complete, paused, failed)
    assert reconcile(tracker, trials, directory_of) == 3
    runs = runs_of(uri, "seems")
    assert [runs[number].status for number in (0, 1, 3)] == ["FINISHED", "KILLED", "FAILED"]
    assert (1, 0.4) in history_of(uri, "seems", 0, "selection_score")
    assert reconcile(tracker, trials, directory_of) == 0
    assert end_abandoned_runs(tracker)
    tracker.sync()
    assert runs_of(uri, "seems")[None].status == "KILLED"
    assert not end_abandoned_runs(tracker)


def test_what_a_person_deleted_stays_deleted(search_record: SearchRecord, uri: str, tmp_path: Path) -> None:
    tracker = tracker_of(tmp_path, uri, "unwanted")
    reconcile(tracker, search_record.trials, directory_of)
    client = connect(uri)
    client.delete_run(runs_of(uri, "unwanted")[2].run_id)
    assert reconcile(tracker, search_record.trials, directory_of) == 0
    assert runs_of(uri, "unwanted")[2].deleted


def test_while_mlflow_is_away_nothing_is_told_twice(
    search_record: SearchRecord, closed_uri: str, uri: str, tmp_path: Path
) -> None:
    tracker = Tracker(Spool(tmp_path / "spool.jsonl"), closed_uri, "gone")
    tracker.record(SearchStarted(search_id="gone"))
    assert reconcile(tracker, search_record.trials, directory_of) == 0
    assert tracker.sync().left == 1
    assert reconcile(Tracker(Spool(tmp_path / "spool.jsonl"), uri, "gone"), search_record.trials, directory_of) == 4


def test_a_spool_of_another_search_tells_nothing(search_record: SearchRecord, uri: str, tmp_path: Path) -> None:
    tracker_of(tmp_path, uri, "its own", trial_started(search_record.trials[2]))
    copied = tracker_of(tmp_path, uri, "another")
    assert set(runs_of(uri, "another")) == {None}
    assert reconcile(copied, search_record.trials[:2], directory_of) == 2
    assert set(runs_of(uri, "another")) == {None, 0, 1}
