import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from xa_search.errors import TrackerRefusedError
from xa_search.records import SearchRecord
from xa_search.tracking.address import tracking_uri
from xa_search.tracking.events import (
    EpochLogged,
    Event,
    FileLogged,
    SearchEnded,
    SearchStarted,
    TrialEnded,
    TrialStarted,
    trial_ended,
    trial_started,
)
from xa_search.tracking.spool import Spool
from xa_search.tracking.store import check_access, connect, find_runs, open_experiment
from xa_search.tracking.tracker import Tracker

DEADLINE_SECONDS = 600
TAGS = {"corpus": "rooms", "method": "xeroalign", "selection": "label_free", "zero_shot": "yes"}


def search_events(record: SearchRecord, plot: Path) -> list[Event]:
    """What the driver tells in a whole search."""
    events: list[Event] = [
        SearchStarted(
            search_id=record.search_id,
            params={"trials": 4, **{f"setting_{number}": number for number in range(130)}},
            tags=TAGS,
            texts={"plan.yaml": "corpus: rooms\n"},
        )
    ]
    for trial in record.trials:
        events.append(trial_started(trial))
        events += [
            EpochLogged(number=trial.number, step=step, metrics={"selection_score": score, "dev_intent_acc_zh-TW": 0.5})
            for step, score in enumerate(trial.scores, start=1)
        ]
        events.append(trial_ended(trial))
    return [
        *events,
        FileLogged(path=str(plot), folder="plots"),
        SearchEnded(status="FINISHED", metrics={"trials": 4.0}),
    ]


def everything(uri: str, search_id: str) -> dict[int | None, tuple[Any, ...]]:
    """All that MLflow holds of a search, but for the run ids."""
    client = connect(uri)
    experiment = open_experiment(client)
    found = {}
    for number, stored in find_runs(client, experiment, search_id).items():
        run = client.get_run(stored.run_id)
        history = {
            name: [(m.step, m.timestamp, m.value) for m in client.get_metric_history(stored.run_id, name)]
            for name in run.data.metrics
        }
        artifacts = sorted(file.path for file in client.list_artifacts(stored.run_id))
        tags = {name: value for name, value in run.data.tags.items() if name != "mlflow.parentRunId"}
        times = (run.info.start_time, run.info.end_time)
        found[number] = (run.info.run_name, run.info.status, times, run.data.params, tags, history, artifacts)
    count = len(client.search_runs([experiment], f"tags.`xa.search_id` = '{search_id}'"))
    assert count == len(found), "two runs for one trial"
    return found


@pytest.fixture
def plot(tmp_path: Path) -> Path:
    path = tmp_path / "score.png"
    path.write_bytes(b"png")
    return path


def named(record: SearchRecord, name: str) -> SearchRecord:
    return replace(record, search_id=name)


def test_one_run_a_trial_below_the_search(search_record: SearchRecord, uri: str, tmp_path: Path, plot: Path) -> None:
    record = named(search_record, "whole")
    tracker = Tracker(Spool(tmp_path / "spool.jsonl"), uri, "whole")
    for event in search_events(record, plot):
        tracker.record(event)
    assert tracker.sync().left == 0
    assert tracker.sync().problem == ""
    runs = everything(uri, "whole")
    assert [runs[number][1] for number in (None, 0, 1, 2, 3)] == [
        "FINISHED",
        "FINISHED",
        "FINISHED",
        "KILLED",
        "FAILED",
    ]
    assert runs[0][0] == "trial-000-baseline"
    assert runs[None][6] == ["plan.yaml", "plots"]
    assert len(runs[None][3]) == 131
    assert runs[3][4]["failure_class"] == "non_finite"
    for number in range(4):
        assert runs[number][4].items() >= {"corpus": "rooms", "method": "xeroalign", "zero_shot": "yes"}.items()
    client = connect(uri)
    found = find_runs(client, open_experiment(client), "whole")
    assert {found[n].tags["mlflow.parentRunId"] for n in range(4)} == {found[None].run_id}
    assert client.get_run(found[1].run_id).data.metrics["selection_score"] == pytest.approx(0.7)


def test_replaying_the_whole_spool_changes_nothing(
    search_record: SearchRecord, uri: str, tmp_path: Path, plot: Path
) -> None:
    record = named(search_record, "replayed")
    spool = Spool(tmp_path / "spool.jsonl")
    tracker = Tracker(spool, uri, "replayed")
    for event in search_events(record, plot):
        tracker.record(event)
    tracker.record(TrialEnded(number=1, status="FINISHED", metrics=record.test_metrics[1]))
    assert tracker.sync().left == 0
    before = everything(uri, "replayed")
    for _ in range(2):
        spool.path.with_suffix(".applied.json").unlink()
        assert Tracker(Spool(spool.path), uri, "replayed").sync().left == 0
        assert everything(uri, "replayed") == before


def test_a_new_tracker_goes_on_with_the_same_runs(search_record: SearchRecord, uri: str, tmp_path: Path) -> None:
    started = SearchStarted(search_id="resumed", params={"trials": 4}, tags=TAGS)
    path = tmp_path / "spool.jsonl"
    first = Tracker(Spool(path), uri, "resumed")
    for event in (started, trial_started(search_record.trials[1]), EpochLogged(number=1, step=1, metrics={"a": 0.1})):
        first.record(event)
    assert first.sync().left == 0
    second = Tracker(Spool(path), uri, "resumed")
    second.record(SearchStarted(search_id="resumed", params={"trials": 9, "new": 1}, tags=started.tags))
    second.record(trial_started(search_record.trials[1]))
    second.record(EpochLogged(number=1, step=1, metrics={"a": 0.9}))
    second.record(EpochLogged(number=1, step=2, metrics={"a": 0.2}))
    second.record(TrialEnded(number=1, status="FINISHED"))
    assert second.sync().left == 0
    assert second.sync().problem == ""
    runs = everything(uri, "resumed")
    assert set(runs) == {None, 1}
    assert [(step, value) for step, _, value in runs[1][5]["a"]] == [(1, 0.1), (2, 0.2)]
    assert runs[None][3] == {"trials": "4", "new": "1"}
    assert runs[None][4]["resume_1_trials"] == "9"


def test_a_lost_spool_does_not_log_a_step_again(uri: str, tmp_path: Path) -> None:
    for folder, value in (("before", 0.1), ("after", 0.9)):
        tracker = Tracker(Spool(tmp_path / folder / "spool.jsonl"), uri, "lost")
        tracker.record(SearchStarted(search_id="lost"))
        tracker.record(TrialStarted(number=0))
        tracker.record(EpochLogged(number=0, step=1, metrics={"a": value}))
        assert tracker.sync().left == 0
    assert [value for _, _, value in everything(uri, "lost")[0][5]["a"]] == [0.1]


def test_a_server_that_is_away_costs_only_delay(
    search_record: SearchRecord, closed_uri: str, uri: str, tmp_path: Path, plot: Path
) -> None:
    record = named(search_record, "away")
    spool = Spool(tmp_path / "spool.jsonl")
    address = closed_uri.replace("//", "//anna:secret@")
    tracker = Tracker(spool, address, "away")
    events = search_events(record, plot)
    for event in events:
        tracker.record(event)
    state = tracker.sync()
    assert (state.applied, state.left) == (0, len(events))
    assert "secret" not in state.problem
    assert "\n" not in state.problem
    assert Tracker(Spool(spool.path), uri, "away").sync().left == 0
    assert set(everything(uri, "away")) == {None, 0, 1, 2, 3}


def test_a_wiped_store_gets_the_whole_spool_again(tmp_path: Path, uri: str) -> None:
    spool = Spool(tmp_path / "spool.jsonl")
    spool.append(SearchStarted(search_id="wiped"))
    spool.append(TrialStarted(number=0))
    spool.path.with_suffix(".applied.json").write_text("{}")
    tracker = Tracker(spool, uri, "wiped")
    tracker._progress.write(2)
    again = Tracker(Spool(spool.path), uri, "wiped")
    again.record(EpochLogged(number=0, step=1, metrics={"a": 1.0}))
    assert again.sync().left == 0
    assert set(everything(uri, "wiped")) == {None, 0}


def test_a_file_that_is_gone_and_a_deleted_run_do_not_hold_up_the_rest(uri: str, tmp_path: Path) -> None:
    tracker = Tracker(Spool(tmp_path / "spool.jsonl"), uri, "refused")
    tracker.record(SearchStarted(search_id="refused"))
    tracker.record(FileLogged(path=str(tmp_path / "gone.png")))
    assert "gone.png" in tracker.sync().problem
    tracker.record(TrialStarted(number=0))
    assert tracker.sync().left == 0
    client = connect(uri)
    client.delete_run(find_runs(client, open_experiment(client), "refused")[0].run_id)
    tracker.record(EpochLogged(number=0, step=1, metrics={"a": 1.0}))
    tracker.record(TrialStarted(number=1))
    assert tracker.sync().left == 0
    assert "deleted" in tracker.sync().problem
    assert set(find_runs(client, open_experiment(client), "refused")) == {None, 0, 1}


def test_every_metric_can_be_filtered_without_quotes(
    search_record: SearchRecord, uri: str, tmp_path: Path, plot: Path
) -> None:
    import mlflow

    record = named(search_record, "filtered")
    tracker = Tracker(Spool(tmp_path / "spool.jsonl"), uri, "filtered")
    for event in search_events(record, plot):
        tracker.record(event)
    assert tracker.sync().left == 0
    client = connect(uri)
    experiment = open_experiment(client)
    runs = find_runs(client, experiment, "filtered")
    names = {name for run in runs.values() for name in client.get_run(run.run_id).data.metrics}
    assert "dev_intent_acc_zh_tw" in names
    before = mlflow.get_tracking_uri()
    try:
        mlflow.set_tracking_uri(uri)
        for name in names:
            filter_string = f"metrics.{name} > -1 and tags.corpus = 'rooms' and params.model_size = 'tiny'"
            assert len(mlflow.search_runs([experiment], filter_string=filter_string)) or name == "trials"
    finally:
        mlflow.set_tracking_uri(before)
        os.environ.pop("MLFLOW_TRACKING_URI", None)


def test_where_the_runs_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str, mlflow_home: Path) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert tracking_uri(tmp_path) == f"sqlite:///{tmp_path.resolve()}/mlflow.db"
    client = connect(uri)
    experiment = client.get_experiment(open_experiment(client))
    assert experiment.artifact_location == (mlflow_home / "artifacts").as_uri()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mine.db")
    assert tracking_uri(tmp_path) == f"sqlite:///{tmp_path.resolve()}/mine.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere")
    assert tracking_uri(tmp_path) == "http://elsewhere"


def test_what_is_noted_waits_for_what_is_recorded(
    search_record: SearchRecord, uri: str, tmp_path: Path, plot: Path
) -> None:
    first, second, *_ = search_events(named(search_record, "noted"), plot)
    path = tmp_path / "spool.jsonl"
    tracker = Tracker(Spool(path), uri, "noted")
    tracker.note(first)
    assert tracker.state.left == 1
    assert [spooled.event for spooled in Spool(path).read()] == [first]
    assert everything(uri, "noted") == {}
    tracker.record(second)
    assert tracker.sync().left == 0
    assert set(everything(uri, "noted")) == {None, 0}


@contextmanager
def mlflow_server(uri: str, port: int, folder: Path) -> Iterator[str]:
    """Run a real server until the block ends, then kill it with its children."""
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri, "--port", str(port)]
    command += ["--artifacts-destination", str(folder), "--workers", "1", "--allowed-hosts", f"127.0.0.1:{port}"]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "server.log").open("ab") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True, cwd=folder)
    try:
        _await_port(port, server)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _await_port(port: int, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the server does not answer")


def test_a_real_server_comes_late_and_is_killed(
    search_record: SearchRecord,
    uri: str,
    tmp_path: Path,
    plot: Path,
    closed_uri: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    events = search_events(named(search_record, "killed"), plot)
    path = tmp_path / "spool.jsonl"
    tracker = Tracker(Spool(path), closed_uri, "killed")
    for event in events[:3]:
        tracker.record(event)
    assert tracker.sync().left == 3
    assert check_access(closed_uri).startswith(f"MLflow at {closed_uri} does not answer now")
    with mlflow_server(uri, int(closed_uri.rpartition(":")[2]), tmp_path):
        assert tracker.sync().problem == ""
        for event in events[3:6]:
            tracker.record(event)
        assert tracker.sync().left == 0
        assert set(everything(uri, "killed")) == {None, 0, 1}
        assert check_access(closed_uri) == ""
        with pytest.raises(TrackerRefusedError, match="does not answer to this name"):
            check_access(closed_uri.replace("127.0.0.1", "localhost"))
    for event in events[6:]:
        tracker.record(event)
    assert tracker.sync().left == len(events) - 6
    assert Tracker(Spool(path), uri, "killed").sync().left == 0
    runs = everything(uri, "killed")
    assert [runs[number][1] for number in (None, 0, 1, 2, 3)] == [
        "FINISHED",
        "FINISHED",
        "FINISHED",
        "KILLED",
        "FAILED",
    ]
    assert [(step, value) for step, _, value in runs[1][5]["dev_intent_acc_zh_tw"]] == [(1, 0.5), (2, 0.5)]
    assert capsys.readouterr().out == "", "MLflow prints where each run can be seen"
