"""Every kind of failure of a trial, forced in one real search; and a search that runs beside it in the same home."""

import os
import re
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from failure_classes import TINY, outcome_of, start

from xa_search.search.history import SearchHistory, searches_in

pytestmark = pytest.mark.long
FAILING = (
    "baseline={align_weight: 1, learning_rate: 10}",
    "published={align_weight: 1.0e+30, learning_rate: 0.001}",
    "fixed.epochs=1",
    "fixed.precision=fp32",
    "trials=7",
)
WHOLE = ("fixed.epochs=1", "fixed.precision=fp32", "trials=3")
CLASSES = {
    0: ("collapsed", "collapsed by step "),
    1: ("collapsed", "collapsed by step "),
    2: ("non_finite", "gradient_norm not finite in epoch 1 by step "),
    3: ("oom", "OutOfMemoryError: CUDA out of memory."),
    4: ("code", "ValueError: nothing trains at batch size 16 (broken_trials/sitecustomize.py:"),
    5: ("data", "/trials/5/damaged/train.en.arrow is unreadable ("),
}
"""The baseline fails and is tried once more, which is not charged."""


@dataclass(frozen=True)
class Both:
    """A home, and what the failing search and the one beside it printed."""

    home: Path
    failing: list[str]
    whole: list[str]

    def searches(self) -> tuple[SearchHistory, SearchHistory]:
        failing, whole = sorted(searches_in(self.home), key=lambda search: -search.wanted)
        return failing, whole


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, with_tables: Callable[[Path], Path]) -> Both:
    """Run two searches of one space at once, in a home without trials: here, and on this machine's Ray."""
    home = with_tables(tmp_path_factory.mktemp("both"))
    running = [
        start(home, (*TINY, *FAILING), "--local", "--new", "--seed", "1", broken="3=oom,4=code,5=data"),
        start(home, (*TINY, *WHOLE), "--new", "--seed", "2"),
    ]
    try:
        printed = [process.communicate()[0] for process in running]
    finally:
        for process in running:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert [process.returncode for process in running] == [0, 0], printed
    return Both(home, *(text.splitlines() for text in printed))


@pytest.mark.parametrize("number", CLASSES)
def test_a_failure_has_its_class_in_study_and_mlflow_and_on_the_terminal(both: Both, number: int) -> None:
    failure, text = CLASSES[number]
    outcome = outcome_of(both.home, both.searches()[0].search_id, number)
    assert (outcome["optuna"], outcome["mlflow"]) == ("FAIL", "FAILED")
    tags = outcome["tags"]
    assert (tags["state"], tags["failure_class"]) == ("FAIL", failure)
    assert text in tags["failure_text"]
    assert any(f"trial {number} FAIL [{failure}] " in line and text in line for line in both.failing)


def test_the_other_trials_go_on_and_the_report_shows_where_settings_failed(both: Both) -> None:
    failing, _ = both.searches()
    assert failing.is_over
    assert {trial.number for trial in failing.complete} <= {6, 7}
    region = re.compile(r"collapsed: \d trials?, learning_rate 10 \(complete: 0\.00")
    assert any(region.match(line) for line in both.failing)
    assert region.search((failing.directory / "report" / "report.md").read_text(encoding="utf-8"))


def test_a_whole_search_says_what_it_found_and_what_to_type_next(both: Both) -> None:
    assert sum("starts:" in line for line in both.whole) == 3
    assert sum(" COMPLETE" in line for line in both.whole if line.startswith("[")) == 3
    assert any(line.startswith("Test scores in percent") for line in both.whole)
    assert any(line.startswith("  xa-search predict --model xa-search-mtop-mini") for line in both.whole)
    assert not any("Traceback" in line for line in both.whole)


def test_two_searches_at_once_do_not_see_each_other(both: Both) -> None:
    from xa_search.tracking.address import tracking_uri
    from xa_search.tracking.registry import list_models
    from xa_search.tracking.store import connect, find_runs, open_experiment

    searches = both.searches()
    assert [len(search.trials) for search in searches] == [8, 3]
    client = connect(tracking_uri(both.home))
    for search in searches:
        runs = find_runs(client, open_experiment(client), search.search_id, search.study_id)
        assert runs.keys() == {None, *(trial.number for trial in search.trials)}
        assert "RUNNING" not in {run.status for run in runs.values()}
    versions = {version.search_id: version for version in list_models(tracking_uri(both.home))}
    assert versions.keys() == {search.search_id for search in searches}
    (candidate,) = [version for version in versions.values() if "candidate" in version.aliases]
    assert candidate.checked
    champions = [version for version in versions.values() if "champion" in version.aliases]
    # One epoch of a tiny encoder need not be shown to beat the frozen one: then there is no champion.
    assert len(champions) <= 1
    assert candidate.verdict
