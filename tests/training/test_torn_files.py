"""What could not be read is told: by the trial that went on without it, by the search, in MLflow."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import device

from xa_search.records import TrialJob
from xa_search.records.torn_files import take_torn, tell_torn
from xa_search.search.driver import JournalLock
from xa_search.tracking.spool import Progress, Spool
from xa_search.training.device import FeedForward, choose_precision
from xa_search.training.final_test import OUTCOMES, SCORES, keep_scores, known_scores
from xa_search.training.progress import BEST_WEIGHTS, PROGRESS, STATES
from xa_search.training.trial import best_weights, train_trial

MakeJob = Callable[..., TrialJob]
BLOCK = FeedForward(hidden=8, inner=16)


@pytest.fixture(autouse=True)
def nothing_untold() -> None:
    take_torn()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("name", [PROGRESS, STATES.replace("*", "1"), BEST_WEIGHTS])
def test_a_trial_that_begins_again_says_which_file_was_torn(make_job: MakeJob, name: str) -> None:
    job = make_job(epochs=2)
    assert next(train_trial(job)).torn == ()
    cut(job.directory / name)
    first, last = train_trial(job)
    (line,) = first.torn
    assert line.startswith(f"{name} in {job.directory} is torn (")
    assert "begins again with the first epoch" in line
    assert (first.epoch, last.torn) == (1, ())
    assert "torn" not in json.loads((job.directory / PROGRESS).read_text())["report"]["metrics"]


def test_a_trial_that_goes_on_has_nothing_to_tell(make_job: MakeJob) -> None:
    job = make_job(epochs=2)
    next(train_trial(job))
    assert [report.torn for report in train_trial(job)] == [(), ()]


def test_copies_that_are_made_anew_are_told(make_job: MakeJob) -> None:
    job = make_job(epochs=1, heads="probe")
    next(train_trial(job))
    made = [path for kind in ("token-ids", "encoder", "heads") for path in job.corpus.directory.glob(f"{kind}-*")]
    assert len(made) >= 3
    whole = {path: path.read_bytes() for path in made}
    for path in made:
        cut(path)
    told = next(train_trial(make_job(name="again", epochs=1, heads="probe"))).torn
    assert {line.partition(" in ")[0] for line in told} <= {path.name for path in made}
    assert {line.partition("-")[0] for line in told} == {"token", "encoder", "heads"}
    for path, content in whole.items():
        path.write_bytes(content)


def test_a_torn_choice_of_precision_is_measured_again(tmp_path: Path) -> None:
    choose_precision(device("cpu"), 1, tmp_path, BLOCK)
    (path,) = tmp_path.iterdir()
    cut(path)
    assert choose_precision(device("cpu"), 1, tmp_path, BLOCK).precision in ("fp32", "bf16")
    (line,) = take_torn()
    assert "the precision is measured again" in line
    assert choose_precision(device("cpu"), 1, tmp_path, BLOCK)
    assert take_torn() == ()


def test_half_lines_that_are_cut_off_are_told(tmp_path: Path) -> None:
    journal, spool = tmp_path / "study.journal", tmp_path / "spool.jsonl"
    for path in (journal, spool):
        path.write_text('{"half": ')
    lock = JournalLock(journal)
    lock.acquire()
    lock.release()
    Spool(spool)
    assert [line.split(" in ")[0] for line in take_torn()] == ["study.journal", "spool.jsonl"]
    assert journal.read_text() == ""


def test_a_torn_note_of_what_mlflow_has_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "spool.applied.json"
    path.parent.mkdir(parents=True)
    progress = Progress(path, "http://one")
    assert (progress.read(), take_torn()) == (0, ())
    path.write_text("{ torn")
    assert progress.read() == 0
    assert "MLflow is told again" in take_torn()[0]


def test_each_line_is_told_once() -> None:
    reasons: list[Any] = ["a\n  b", "a\n  b", ValueError("c")]
    for reason in reasons:
        tell_torn(Path("/home/x.json"), reason, "it is made again")
    assert take_torn() == (
        "x.json in /home is torn (a b): it is made again",
        "x.json in /home is torn (c): it is made again",
    )
    assert take_torn() == ()


@pytest.mark.parametrize("name", [SCORES, OUTCOMES])
def test_a_model_whose_test_was_torn_is_tested_again(make_job: MakeJob, name: str) -> None:
    job = make_job(name="tested", epochs=1)
    job.directory.mkdir(parents=True, exist_ok=True)
    weights = best_weights(job.directory)
    weights.touch()
    keep_scores(job, weights, {})
    assert known_scores(job, weights, ()) == {}
    cut(job.directory / name)
    assert known_scores(job, weights, ()) is None
    (line,) = take_torn()
    assert line.startswith(name)
    assert "tested again" in line
