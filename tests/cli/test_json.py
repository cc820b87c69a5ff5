"""`--json`: one JSON object or array on standard output, made from the records, and nothing else."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from xa_search.cli.json_output import as_json
from xa_search.errors import StoppedEarly
from xa_search.records import Asha, Plan

Command = Callable[..., tuple[int, str, str]]


@dataclass(frozen=True)
class Inner:
    path: Path
    scores: tuple[float, ...]


@dataclass(frozen=True)
class Outer:
    inner: Inner
    settings: Asha
    by_number: dict[int, str]
    languages: frozenset[str]


def test_records_become_json() -> None:
    record = Outer(
        inner=Inner(path=Path("/a/b"), scores=(0.5, float("nan"))),
        settings=Asha(),
        by_number={1: "one"},
        languages=frozenset({"th", "de"}),
    )
    assert as_json(record) == {
        "inner": {"path": "/a/b", "scores": [0.5, None]},
        "settings": {"grace_epochs": 1, "grace_steps": None, "reduction": 3},
        "by_number": {"1": "one"},
        "languages": ["de", "th"],
    }


@pytest.fixture
def told(command: Command) -> Callable[..., Any]:
    """Run a command with --json, and read its standard output."""

    def run(*arguments: str) -> Any:
        ended, printed, _ = command(*arguments, "--json")
        assert ended == 0, arguments
        return json.loads(printed)

    return run


@pytest.fixture
def plan(home: Path) -> Plan:
    """A search that has ended, with one failed trial; its trainer trains nothing."""
    import fake_trainers
    from searches import Recorder, job_maker, plan_of

    from xa_search.search.runner import run_trials
    from xa_search.search.study import open_study

    plan: Plan = plan_of(home)
    with suppress(StoppedEarly):
        run_trials(plan, open_study(plan), job_maker(plan), Recorder(), fake_trainers.raising_at_three)
    return plan


def test_searches_and_trials(told: Callable[..., Any], plan: Plan) -> None:
    (plan.home / "searches" / "damaged").mkdir()
    (plan.home / "searches" / "damaged" / "study.journal").write_text("no journal\n")
    (listed,) = told("status")
    assert listed["search_id"] == plan.search_id
    assert (listed["space"], listed["state"], listed["wanted"], listed["ended"]) == ("toy", "over", 8, 8)
    assert listed["by_state"] == {"COMPLETE": 7, "FAIL": 1}
    found = told("status", "toy")
    assert found["best"] == listed["best"]
    assert [trial["number"] for trial in found["trials"]] == list(range(8))
    failed = found["trials"][3]
    assert (failed["state"], failed["failure"], failed["settings"]["model_size"]) == ("FAIL", "code", "tiny")
    explained = told("explain", "3", plan.search_id)
    assert explained["trial"] == failed
    assert explained["better_trial"]["trial"] != 3
    assert told("explain", "3", "--search", "toy") == explained
    assert told("explain", "3") == explained


def test_sync_and_gc(told: Callable[..., Any], plan: Plan) -> None:
    (synced,) = told("sync")
    assert (synced["search_id"], synced["left"], synced["problem"]) == (plan.search_id, 0, "")
    (folder := plan.directory / "trials" / "1").mkdir(parents=True, exist_ok=True)
    (folder / "best.partial").write_bytes(b"x" * 1000)
    cleaned = told("gc", "toy", "--dry-run")
    assert (cleaned["dry_run"], cleaned["bytes"]) == (True, 1000)
    assert cleaned["places"][0]["garbage"][0]["path"].endswith("best.partial")
    assert told("gc", "toy")["bytes"] == 1000
    assert told("gc")["bytes"] == 0


def test_gc_of_one_search_leaves_the_shared_folders_alone(command: Command, plan: Plan) -> None:
    ended, _, said = command("gc", "toy", "--all")
    assert ended == 2
    assert said.startswith("error: --all: looks at all searches of the home; leave toy out, or --all")


def test_claims_of_the_newest_search(told: Callable[..., Any], plan: Plan) -> None:
    found = told("claims")
    assert len(found["claims"]) >= 9
    assert {one["verdict"] for one in found["claims"]} == {"not measured"}
    assert any(plan.search_id in line for line in found["remarks"])


def test_corpora(told: Callable[..., Any]) -> None:
    check = told("data", "check", "--corpus", "mtop-mini")
    assert (check["name"], check["source"]) == ("mtop-mini", "en")
    assert {(split["split"], split["lang"]) for split in check["splits"]} >= {("train", "en"), ("test", "th")}
    stats = told("data", "stats", "--corpus", "mtop-mini")
    assert stats["pairs"].keys() == {"de", "es", "fr", "hi", "th"}


def test_the_plan_is_printed_and_nothing_run(told: Callable[..., Any], command: Command, home: Path) -> None:
    plan = told("run", "mtop-mini", "--dry-run", "--trials", "7")
    assert (plan["space"]["trials"], plan["name"], plan["seed"]) == (7, "mtop-mini", 1)
    assert plan["search_id"].startswith("mtop-mini-")
    assert plan["held_out"].startswith("held out of the en dev split, with translations: 93 rows")
    assert not home.exists()
    ended, printed, said = command("run", "mtop-mini", "--json", "--cluster", "gpu.yaml")
    assert (ended, printed) == (2, "")
    assert "--json: a job prints lines" in said


def test_models_and_this_machine(told: Callable[..., Any], command: Command) -> None:
    assert told("models") == []
    ended, printed, _ = command("doctor", "--json")
    assert ended in (0, 4)
    assert json.loads(printed)["nodes"][0]["report"]["packages"]["torch"]


def test_a_cluster_file(told: Callable[..., Any]) -> None:
    file = Path(__file__).parents[2] / "cluster" / "gpu.yaml"
    found = told("cluster", "check", str(file))
    assert (found["file"], found["ok"]) == (str(file), True)
