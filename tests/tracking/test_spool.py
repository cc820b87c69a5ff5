import json
from pathlib import Path
from typing import Any

import pytest

from xa_search.errors import XaSearchError
from xa_search.records import EpochReport, SearchRecord, SearchSpace, TrialRecord, TrialSettings
from xa_search.tracking.events import (
    EpochLogged,
    FileLogged,
    SearchEnded,
    SearchStarted,
    TrialEnded,
    TrialStarted,
    epoch_logged,
    flat_name,
    search_tags,
    trial_ended,
    trial_started,
    trial_tags,
)
from xa_search.tracking.spool import Progress, Spool

EVENTS = [
    SearchStarted(
        search_id="s", params={"trials": 4, "x": None}, tags={"corpus": "rooms"}, texts={"plan.yaml": "a: ü\n"}
    ),
    TrialStarted(number=0, params={"learning_rate": 1e-5}, tags={"role": "baseline"}),
    EpochLogged(number=0, step=1, metrics={"selection_score": 0.25}),
    TrialEnded(number=0, status="FINISHED", metrics={"selection_score": 0.25}),
    FileLogged(path="/a/b.png", folder="plots"),
    SearchEnded(status="FINISHED"),
]


def test_every_event_comes_back_with_its_number_and_a_rising_time(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "search" / "spool.jsonl")
    written = [spool.append(event) for event in EVENTS]
    read = Spool(spool.path).read()
    assert read == written
    assert [spooled.event for spooled in read] == EVENTS
    assert [spooled.sequence for spooled in read] == list(range(1, 7))
    assert len({spooled.time for spooled in read}) == len(read)


def test_a_torn_last_line_is_dropped_and_the_next_one_takes_its_place(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.jsonl")
    for event in EVENTS[:2]:
        spool.append(event)
    with spool.path.open("ab") as file:
        file.write(b'{"sequence": 3, "kind": "Epo')
    again = Spool(spool.path)
    assert len(again.read()) == 2
    assert again.append(EVENTS[2]).sequence == 3
    assert [spooled.event for spooled in Spool(spool.path).read()] == EVENTS[:3]


def test_a_damaged_line_is_named_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "spool.jsonl"
    path.write_text('{"sequence": 1, "time": 1, "kind": "Unheard"}\n')
    with pytest.raises(XaSearchError) as caught:
        Spool(path)
    assert f"{path}:1" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_spool_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(XaSearchError, match="free some space"):
        Spool(blocked / "spool.jsonl").append(EVENTS[0])


def test_progress_is_kept_by_store_and_may_be_lost(tmp_path: Path) -> None:
    path = tmp_path / "spool.applied.json"
    Progress(path, "http://user:secret@one").write(5)
    Progress(path, "http://two").write(7)
    assert Progress(path, "http://user:secret@one").read() == 5
    assert "secret" not in path.read_text()
    path.write_text("{ torn")
    assert Progress(path, "http://two").read() == 0


def test_events_of_a_trial(search_record: SearchRecord) -> None:
    _, winner, pruned, failed = search_record.trials
    started = trial_started(winner)
    assert started.params["model_size"] == "tiny"
    assert json.loads(json.dumps(started.params)) == started.params
    ended = [trial_ended(trial) for trial in (winner, pruned, failed)]
    assert [event.status for event in ended] == ["FINISHED", "KILLED", "FAILED"]
    assert ended[0].metrics["selection_score"] == 0.7
    assert ended[2].tags == {"state": "FAIL", "failure_class": "non_finite", "failure_text": "loss is nan"}
    report = EpochReport(epoch=2, score=0.5, best_score=0.5, best_epoch=2, final=True, metrics={"gradient_norm": 1.0})
    assert epoch_logged(3, report) == EpochLogged(
        number=3, step=2, metrics={"gradient_norm": 1.0, "selection_score": 0.5}
    )


def test_names_and_tags() -> None:
    assert flat_name("test_intent_acc_zh-TW") == "test_intent_acc_zh_tw"


def space(**changes: Any) -> SearchSpace:
    params = {"learning_rate": {"low": 1e-5, "high": 1e-3}}
    return SearchSpace.model_validate({"corpus": "mtop", "targets": ["th"], "params": params} | changes)


@pytest.mark.parametrize(
    ("changes", "method", "zero_shot"),
    [
        ({}, "xeroalign", "yes"),
        ({"selection": "target_dev"}, "xeroalign", "no"),
        ({"method": "translate_train"}, "translate_train", "yes"),
        ({"method": "target"}, "target", "no"),
        ({"params": {"method": {"choices": ["xeroalign", "target_english"]}}}, "xeroalign, target_english", "no"),
    ],
)
def test_a_search_that_reads_target_labels_is_tagged(changes: dict[str, Any], method: str, zero_shot: str) -> None:
    tags = search_tags(space(**changes))
    assert (tags["method"], tags["zero_shot"]) == (method, zero_shot)


@pytest.mark.parametrize(
    ("method", "selection", "zero_shot"),
    [("xeroalign", "label_free", "yes"), ("target", "label_free", "no"), ("zero_shot", "target_dev", "no")],
)
def test_a_trial_says_for_itself_whether_it_is_zero_shot(method: str, selection: str, zero_shot: str) -> None:
    searched = space(selection=selection, params={"method": {"choices": ["xeroalign", "target"]}})
    settings = TrialSettings.model_validate({"method": method})
    started = trial_started(TrialRecord(number=1, role="searched", settings=settings, params={}))
    assert trial_tags(search_tags(searched), started.tags)["zero_shot"] == zero_shot
