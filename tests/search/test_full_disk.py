"""A disk that takes no more stops a search, which goes on once there is room; no trial is blamed for it."""

import errno
from collections.abc import Iterator
from pathlib import Path

import fake_trainers
import pytest
from searches import Recorder, job_maker, plan_of, states

from xa_search.errors import StoppedEarly
from xa_search.records import EpochReport, TrialJob
from xa_search.search.full_disk import is_disk_full
from xa_search.search.runner import run_trials
from xa_search.search.study import open_study


def writes(job: TrialJob) -> Iterator[EpochReport]:
    """Write before each report, as a checkpoint is; the second trial finds no room in its second epoch."""
    for report in fake_trainers.rising(job):
        if (job.directory.name, report.epoch) == ("001", 2) and not (job.home / "room").exists():
            with Path("/dev/full").open("wb") as file:
                file.write(b"weights")
        yield report


def test_a_full_disk_pauses_the_search_and_blames_no_trial(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, trials=4)
    study, recorder = open_study(plan), Recorder()
    with pytest.raises(StoppedEarly, match=r"the disk of .*001 is full; free some space there"):
        run_trials(plan, study, job_maker(plan), recorder, writes)
    assert states(study) == {"COMPLETE": 1, "PAUSED": 1}
    assert "is full" in recorder.ended[-1].interruption
    (tmp_path / "room").touch()
    run_trials(plan, study, job_maker(plan), recorder, writes)
    assert states(study) == {"COMPLETE": 4}
    assert [trial.failure for trial in study.trials()] == [None] * 4


def test_what_comes_of_a_full_disk_is_known_however_it_is_called(tmp_path: Path) -> None:
    wrapped = RuntimeError("cannot save")
    wrapped.__cause__ = OSError(errno.EDQUOT, "quota")
    for error in (
        OSError(errno.ENOSPC, "x"),
        RuntimeError("I/O error: No space left on device (os error 28)"),
        wrapped,
    ):
        assert is_disk_full(error, tmp_path)
    assert not is_disk_full(ValueError("x"), tmp_path)
    assert not is_disk_full(FileNotFoundError(errno.ENOENT, "x"), tmp_path / "gone")
