"""A server whose answer comes too late creates a run twice: one is kept, the other, which is empty, is deleted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType

from xa_search.records import SearchRecord
from xa_search.tracking.events import EpochLogged, SearchStarted, trial_ended, trial_started
from xa_search.tracking.reconcile import reconcile
from xa_search.tracking.spool import Spool
from xa_search.tracking.store import connect, find_runs, find_twins, open_experiment
from xa_search.tracking.tracker import Tracker

NAME = "twins-12345678"


class LateServer:
    """Loses the answer to the first creations; what they create is there only when the next one is asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, losses: int) -> None:
        self._losses, self._late = losses, list[Callable[[], Any]]()
        self._create = MlflowClient.create_run
        monkeypatch.setattr(MlflowClient, "create_run", lambda client, *a, **k: self.create(client, *a, **k))

    def create(self, client: MlflowClient, *args: Any, **options: Any) -> Any:
        if self._losses:
            self._losses -= 1
            self._late.append(lambda: self._create(client, *args, **options))
            raise TimeoutError("Read timed out")
        self.arrive()
        return self._create(client, *args, **options)

    def arrive(self) -> None:
        while self._late:
            self._late.pop(0)()


def living(uri: str, study_id: str) -> dict[int | None, int]:
    client = connect(uri)
    found = find_twins(client, open_experiment(client), NAME, study_id)
    return {number: sum(not run.deleted for run in twins) for number, twins in found.items()}


def tell(tracker: Tracker, *events: Any) -> None:
    for event in events:
        tracker.note(event)


def test_a_run_whose_creation_was_answered_too_late_is_left_once(
    search_record: SearchRecord, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LateServer(monkeypatch, losses=1)
    tracker = Tracker(Spool(tmp_path / "spool.jsonl"), uri, NAME, "late")
    complete = search_record.trials[0]
    tell(tracker, SearchStarted(search_id=NAME, params={"trials": 1}), trial_started(complete))
    assert "Read timed out" in tracker.sync().problem
    tell(tracker, EpochLogged(number=0, step=1, metrics={"a": 1.0}), trial_ended(complete))
    assert tracker.sync().problem == ""
    assert living(uri, "late") == {None: 1, 0: 1}
    client = connect(uri)
    runs = find_runs(client, open_experiment(client), NAME, "late")
    assert (runs[None].params["trials"], runs[0].status) == ("1", "FINISHED")


def test_what_arrives_after_a_search_is_cleared_by_the_next_look(
    search_record: SearchRecord, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = Tracker(Spool(tmp_path / "spool.jsonl"), uri, NAME, "later")
    complete = search_record.trials[0]
    tell(tracker, SearchStarted(search_id=NAME, params={"trials": 1}), trial_started(complete), trial_ended(complete))
    assert tracker.sync().problem == ""
    server = LateServer(monkeypatch, losses=1)
    client, number = connect(uri), {"xa.trial": "0"}
    marks = {"xa.study_id": "later", "xa.search_id": NAME} | number
    with pytest.raises(TimeoutError):
        client.create_run(open_experiment(client), start_time=1, tags=marks)  # older than the one that is used
    server.arrive()
    mine = client.create_run(open_experiment(client), start_time=2, tags=marks)
    client.log_param(mine.info.run_id, "of_a_person", 1)
    assert living(uri, "later") == {None: 1, 0: 3}
    again = Tracker(Spool(tmp_path / "spool.jsonl"), uri, NAME, "later")
    assert reconcile(again, [complete], lambda _: tmp_path) in (0, 1)
    assert living(uri, "later")[0] == 2, "a run that somebody has written to stays"
    deleted = client.search_runs([open_experiment(client)], "tags.`xa.study_id` = 'later'", ViewType.DELETED_ONLY)
    assert [run.data.params for run in deleted] == [{}]
