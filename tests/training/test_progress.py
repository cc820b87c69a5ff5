"""A trial that was interrupted goes on from its last epoch, as if nothing had happened."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from xa_search.records import EpochReport, TrialJob
from xa_search.training.progress import BEST_WEIGHTS, PROGRESS, STATES, load_progress, remove_progress
from xa_search.training.trial import best_weights, train_trial

MakeJob = Callable[..., TrialJob]
DEADLINE_SECONDS = 600


def untimed(reports: list[EpochReport]) -> list[Any]:
    return [
        (report.epoch, report.score, report.best_epoch, report.best_score, report.final)
        + tuple(value for name, value in sorted(report.metrics.items()) if not name.endswith("_seconds"))
        for report in reports
    ]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"schedule": "linear", "pairing": "independent"},
        {"precision": "bf16"},
        {"method": "cross_aligner", "loss_weighting": "coefficient_of_variation"},
    ],
)
@pytest.mark.parametrize("epochs_before", [1, 2])
def test_a_trial_that_goes_on_gives_the_numbers_of_one_that_never_stopped(
    make_job: MakeJob, settings: dict[str, Any], epochs_before: int
) -> None:
    whole = list(train_trial(make_job(name="whole", epochs=4, **settings)))
    job = make_job(name="parts", epochs=4, **settings)
    before = list(islice(train_trial(job), epochs_before))
    after = list(train_trial(job))
    assert untimed(before) == untimed(whole[:epochs_before])
    assert untimed(after) == untimed(whole[epochs_before - 1 :])
    assert best_weights(job.directory).read_bytes() == best_weights(make_job(name="whole").directory).read_bytes()


def test_after_the_last_epoch_only_the_report_and_the_best_weights_are_left(make_job: MakeJob) -> None:
    job = make_job(epochs=2)
    last = list(train_trial(job))[-1]
    assert sorted(path.name for path in job.directory.iterdir()) == sorted([PROGRESS, best_weights(Path()).name])
    assert untimed(list(train_trial(job))) == untimed([last])
    remove_progress(job.directory)
    assert [path.name for path in job.directory.iterdir()] == [best_weights(Path()).name]


def test_one_state_is_kept_while_the_trial_runs(make_job: MakeJob) -> None:
    job = make_job(epochs=4)
    for report in islice(train_trial(job), 3):
        assert [path.name for path in job.directory.glob(STATES)] == [STATES.replace("*", str(report.epoch))]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"report": {"epoch": 1}}'])
def test_damaged_progress_means_to_begin_anew(make_job: MakeJob, content: str) -> None:
    job = make_job(epochs=2)
    next(train_trial(job))
    (job.directory / PROGRESS).write_text(content)
    assert load_progress(job.directory) is None
    assert [report.epoch for report in train_trial(job)] == [1, 2]


def test_a_state_that_is_gone_means_to_begin_anew(make_job: MakeJob) -> None:
    job = make_job(epochs=2)
    next(train_trial(job))
    for path in job.directory.glob(STATES):
        path.unlink()
    assert [report.epoch for report in train_trial(job)] == [1, 2]


@pytest.mark.parametrize("torn", [STATES, BEST_WEIGHTS])
@pytest.mark.parametrize("left", [0.0, 0.5])
def test_a_torn_file_means_to_begin_anew(make_job: MakeJob, torn: str, left: float) -> None:
    job = make_job(epochs=2)
    next(train_trial(job))
    (path,) = job.directory.glob(torn)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(left * len(whole))])
    assert [report.epoch for report in train_trial(job)] == [1, 2]


def _train_and_tell(job: TrialJob, told: Any) -> None:
    for report in train_trial(job):
        told.put(report.epoch)


def test_a_killed_process_leaves_a_trial_that_goes_on(make_job: MakeJob) -> None:
    job = make_job(name="killed", epochs=6)
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    process = context.Process(target=_train_and_tell, args=(job, told))
    process.start()
    assert [told.get(timeout=DEADLINE_SECONDS) for _ in range(2)] == [1, 2]
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    progress = load_progress(job.directory)
    assert progress is not None
    assert progress.report.epoch >= 2
    after = list(train_trial(job))
    whole = list(train_trial(make_job(name="whole", epochs=6)))
    assert untimed(after) == untimed(whole[progress.report.epoch - 1 :])
