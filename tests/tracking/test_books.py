"""Whose runs and versions these are, what is told twice, and who waits for a slow MLflow."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from xa_search.records import SearchRecord
from xa_search.tracking import tracker as tracking
from xa_search.tracking.datasets import CONTEXTS
from xa_search.tracking.events import (
    DatasetsLogged,
    EpochLogged,
    Event,
    FileLogged,
    SearchEnded,
    SearchStarted,
    TrialEnded,
    trial_ended,
    trial_started,
)
from xa_search.tracking.spool import Spool
from xa_search.tracking.store import KIND, KIND_TAG, StoredRun, connect, find_runs, open_experiment
from xa_search.tracking.tracker import Tracker

NAME = "toy-12345678"
DATA = {"name": "rooms train", "digest": "d" * 64, "context": CONTEXTS["train"], "source": "/data", "rows": {"en": 7}}
TESTED = {**DATA, "name": "rooms test", "context": CONTEXTS["test"], "rows": {"en": 3, "de": 2}}


def runs_of(uri: str, study_id: str, name: str = NAME) -> dict[int | None, StoredRun]:
    client = connect(uri)
    return find_runs(client, open_experiment(client), name, study_id)


def a_search(record: SearchRecord, report: Path) -> list[Event]:
    """What the driver tells in a whole search of two trials that are tested in the end."""
    told: list[Event] = [SearchStarted(search_id=NAME, params={"trials": 2}), DatasetsLogged(datasets=[DATA])]
    for trial in record.trials[:2]:
        told.append(trial_started(trial))
        told += [
            EpochLogged(number=trial.number, step=step, metrics={"selection_score": score, "dev_intent_acc_en": 0.1})
            for step, score in enumerate(trial.scores, 1)
        ]
        told.append(trial_ended(trial))
    return told + the_end(record, report)


def the_end(record: SearchRecord, report: Path) -> list[Event]:
    tested = [replace(trial, metrics=trial.metrics | record.test_metrics[trial.number]) for trial in record.trials[:2]]
    return [
        *map(trial_ended, tested),
        DatasetsLogged(datasets=[TESTED]),
        FileLogged(path=str(report), folder="report"),
        SearchEnded(status="FINISHED", metrics={"selection_score": 0.7}, tags={"state": "finished"}),
    ]


def dumped(uri: str, study_id: str) -> dict[Any, Any]:
    """All that MLflow has of a search, point by point."""
    client = connect(uri)
    found = {}
    for number, stored in runs_of(uri, study_id).items():
        run = client.get_run(stored.run_id)
        points = {name: client.get_metric_history(stored.run_id, name) for name in run.data.metrics}
        found[number] = (
            {**dict(run.info), "experiment_id": 0},
            run.data.params,
            run.data.tags,
            {name: [(point.step, point.timestamp, point.value) for point in of] for name, of in points.items()},
            sorted((one.dataset.name, one.dataset.digest) for one in run.inputs.dataset_inputs),
        )
    return found


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "home" / "searches" / NAME / "report" / "report.md"
    path.parent.mkdir(parents=True)
    path.write_text("# Report")
    return path


def tell(uri: str, study_id: str, spool: Path, events: list[Event]) -> Tracker:
    tracker = Tracker(Spool(spool), uri, NAME, study_id)
    for event in events:
        tracker.record(event)
    state = tracker.sync()
    assert (state.left, state.problem) == (0, "")
    return tracker


def test_two_homes_on_one_mlflow_are_two_searches(search_record: SearchRecord, uri: str, tmp_path: Path) -> None:
    for study_id, score in (("one", 0.1), ("two", 0.9)):
        started = trial_started(search_record.trials[0])
        epoch = EpochLogged(number=0, step=1, metrics={"selection_score": score})
        events: list[Event] = [SearchStarted(search_id=NAME), started, epoch]
        tell(uri, study_id, tmp_path / study_id / "searches" / NAME / "spool.jsonl", events)
    runs = {study_id: runs_of(uri, study_id) for study_id in ("one", "two")}
    assert [runs[study_id][0].metrics["selection_score"] for study_id in runs] == [0.1, 0.9]
    assert len({run.run_id for found in runs.values() for run in found.values()}) == 4
    assert runs_of(uri, "") == {}, "a search of an earlier version, which has no id, owns none of them"


def test_a_search_without_an_id_is_found_by_its_name(search_record: SearchRecord, uri: str, tmp_path: Path) -> None:
    spool = tmp_path / "earlier" / "spool.jsonl"
    tracker = Tracker(Spool(spool), uri, "earlier-11111111")
    tracker.record(SearchStarted(search_id="earlier-11111111"))
    tracker.record(trial_started(search_record.trials[0]))
    assert tracker.sync().left == 0
    assert set(runs_of(uri, "", "earlier-11111111")) == {None, 0}
    assert runs_of(uri, "another id", "earlier-11111111") == {}


def test_a_finished_search_that_is_run_again_tells_nothing(search_record: SearchRecord, uri: str, report: Path) -> None:
    spool = report.parents[1] / "spool.jsonl"
    first = tell(uri, "again", spool, a_search(search_record, report))
    assert first.has_news
    before, size = dumped(uri, "again"), spool.stat().st_size
    for last in (None, SearchEnded(status="KILLED", tags={"state": "stopped early"})):
        started = SearchStarted(search_id=NAME, params={"trials": 2}, tags={"new": "tag"}, texts={"plan.json": "{}"})
        end: list[Event] = the_end(search_record, report) if last is None else [last]
        again = tell(uri, "again", spool, [started, DatasetsLogged(datasets=[DATA]), *end])
        assert not again.has_news
        assert (dumped(uri, "again"), spool.stat().st_size) == (before, size)
    report.write_text("# Another report")
    changed = tell(uri, "again", spool, [SearchStarted(search_id=NAME), *the_end(search_record, report)])
    assert changed.has_news
    assert runs_of(uri, "again")[None].status == "FINISHED"


def test_only_curves_have_steps(search_record: SearchRecord, uri: str, report: Path) -> None:
    tell(uri, "steps", report.parents[1] / "spool.jsonl", a_search(search_record, report))
    points = dumped(uri, "steps")[1][3]
    steps = {name: [step for step, _, _ in of] for name, of in points.items()}
    assert steps.pop("selection_score") == [1, 2]
    assert steps.pop("dev_intent_acc_en") == [1, 2, 2], "in the end, that of the best epoch"
    assert set(map(tuple, steps.values())) == {(0,)}
    assert {"test_slot_f1_th", "seconds", "best_epoch"} <= steps.keys()


def test_the_experiment_opens_on_training_runs_that_name_their_data(
    search_record: SearchRecord, uri: str, report: Path
) -> None:
    tell(uri, "data", report.parents[1] / "spool.jsonl", a_search(search_record, report))
    client = connect(uri)
    assert client.get_experiment(open_experiment(client)).tags[KIND_TAG] == KIND
    runs = runs_of(uri, "data")
    inputs = {number: client.get_run(run.run_id).inputs.dataset_inputs for number, run in runs.items()}
    assert {one.dataset.name for one in inputs[None]} == {"rooms train", "rooms test"}
    (trained,) = inputs[1]
    assert (trained.dataset.digest, trained.tags[0].value) == ("d" * 36, "training")
    assert '"num_rows": 7' in trained.dataset.profile


def test_runs_of_others_with_marks_like_ours_break_nothing(
    search_record: SearchRecord, uri: str, tmp_path: Path
) -> None:
    client = connect(uri)
    marks = {"xa.study_id": "mine", "xa.search_id": NAME}
    foreign = client.create_run(open_experiment(client), tags={**marks, "xa.trial": "the best one"})
    tracker = tell(uri, "mine", tmp_path / "spool.jsonl", [SearchStarted(search_id=NAME)])
    tracker.record(trial_started(search_record.trials[0]))
    assert tracker.sync().problem == ""
    client.set_tag(runs_of(uri, "mine")[0].run_id, "xa.last_step", "none")
    tell(uri, "mine", tmp_path / "spool.jsonl", [EpochLogged(number=0, step=1, metrics={"a": 1.0})])
    assert client.get_run(foreign.info.run_id).data.metrics == {}


class SlowStore:
    """A store whose every call takes until it is let go."""

    def __init__(self) -> None:
        self.go, self.calls = threading.Event(), 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*_: Any, **__: Any) -> StoredRun:
            self.calls += 1
            self.go.wait()
            return StoredRun(run_id="r", trial=None, status="", params={}, tags={}, metrics={}, deleted=False)

        return call

    @property
    def runs(self) -> dict[int | None, StoredRun]:
        return {}


def test_who_records_an_event_does_not_wait_for_mlflow(
    search_record: SearchRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = SlowStore()
    monkeypatch.setattr(tracking, "RunStore", lambda *_: slow)
    tracker = Tracker(Spool(tmp_path / "spool.jsonl"), "http://slow", NAME)
    tracker.record(SearchStarted(search_id=NAME))
    for number in range(20):
        tracker.record(EpochLogged(number=number, step=1, metrics={}))
    assert tracker.state.left == 21, "MLflow has not answered once, and all is recorded"
    assert slow.calls <= 1
    slow.go.set()
    assert tracker.sync().left == 0


def test_the_time_outs_grow_and_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    waited: list[int] = []

    def times_out(*_: Any) -> None:
        waited.append(int(os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"]))
        raise TimeoutError("Read timed out")

    monkeypatch.setattr(tracking, "RunStore", times_out)
    tracker = Tracker(Spool(tmp_path / "spool.jsonl"), "http://slow", NAME)
    tracker.note(SearchStarted(search_id=NAME))
    for _ in range(6):
        assert "Read timed out" in tracker.sync().problem
    assert waited == [5, 10, 20, 40, 60, 60]
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "120"


def test_the_end_of_a_search_is_told_before_its_driver_ends(uri: str, tmp_path: Path) -> None:
    tracker = Tracker(Spool(tmp_path / "spool.jsonl"), uri, NAME, "stopped")
    tracker.record(SearchStarted(search_id=NAME))
    tracker.record(SearchEnded(status="KILLED", tags={"state": "stopped early"}))
    deadline = time.monotonic() + 60
    while tracker.state.left and time.monotonic() < deadline:
        time.sleep(0.05)
    assert runs_of(uri, "stopped")[None].status == "KILLED"


def test_a_trial_that_ended_as_was_told_is_not_told_again(search_record: SearchRecord, tmp_path: Path) -> None:
    tracker = Tracker(Spool(tmp_path / "spool.jsonl"), "http://127.0.0.1:9", NAME)
    ended = trial_ended(search_record.trials[3])
    for event in (trial_started(search_record.trials[3]), ended, ended):
        tracker.note(event)
    assert tracker.state.left == 2
    tracker.note(replace(ended, metrics={"test_accuracy_en": float("nan")}))
    tracker.note(replace(ended, metrics={"test_accuracy_en": float("nan")}))
    last = Spool(tmp_path / "spool.jsonl").read()[-1].event
    assert tracker.state.left == 3
    assert isinstance(last, TrialEnded)
    assert (list(last.metrics), last.tags) == (["test_accuracy_en"], {})
