"""The room on disk: a budget that is never exceeded, and searches that stop for want of room and go on."""

import shutil
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_trainers import rising
from searches import PARAMS, Recorder, job_maker, plan_of, states

from xa_search.errors import StoppedEarly
from xa_search.records import EpochReport, Plan, TrialJob, TrialRecord
from xa_search.search.budgets import MB, folder_bytes, shared_bytes, trials_bytes
from xa_search.search.runner import run_trials
from xa_search.search.study import SearchStudy, open_study

Disk = namedtuple("Disk", "total used free")
ONE_SIZE = {**PARAMS, "model_size": {"choices": ["tiny"]}}
SHARED = shared_bytes(["tiny"], models=1)
LAST_ROOM = MB // 2
"""What else lies in a search's folder, such as its journal."""


MOST: list[int] = []
"""What the search's folder held each time that a trial had written a file."""


def saving(job: TrialJob) -> Iterator[EpochReport]:
    """Leave files as large as those of real trials, in their order; they have holes and take no room."""
    for report in rising(job):
        write(job.directory / "best.partial", MB)
        (job.directory / "best.partial").replace(job.directory / "best.safetensors")
        write(job.directory / f"last-{report.epoch}.safetensors", 3 * MB)
        (job.directory / f"last-{report.epoch - 1}.safetensors").unlink(missing_ok=True)
        yield report


def write(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)
    MOST.append(folder_bytes(path.parents[2]))


class Tidy(Recorder):
    """Removes an ended trial's checkpoint, as a real search does."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._make_job = job_maker(plan)

    def trial_ended(self, record: TrialRecord) -> None:
        super().trial_ended(record)
        for path in self._make_job(record).directory.glob("last-*"):
            path.unlink()


def run(plan: Plan) -> tuple[SearchStudy, str]:
    study = open_study(plan)
    try:
        return study, run_trials(plan, study, job_maker(plan), Tidy(plan), saving)
    except StoppedEarly as stopped:
        return study, str(stopped)


def test_what_was_estimated_is_enough_and_never_exceeded(tmp_path: Path) -> None:
    MOST.clear()
    budget = SHARED + trials_bytes(["tiny"], trials=8, slots=1, models=1) + LAST_ROOM
    study, stopped = run(plan_of(tmp_path, params=ONE_SIZE, disk_budget=budget))
    assert (states(study), stopped) == ({"COMPLETE": 8}, "")
    assert SHARED + max(MOST) <= budget


def test_no_trial_begins_that_could_exceed_the_budget_and_more_room_lets_it_go_on(tmp_path: Path) -> None:
    MOST.clear()
    budget = SHARED + trials_bytes(["tiny"], trials=5, slots=1, models=1) + LAST_ROOM
    study, stopped = run(plan_of(tmp_path, params=ONE_SIZE, disk_budget=budget))
    assert states(study) == {"COMPLETE": 5, "PAUSED": 1}
    assert SHARED + max(MOST) <= budget
    assert stopped.startswith("trial 5 and what runs may take 7 MB more, 6 MB are left of its ")
    assert stopped.endswith("raise --disk-budget")
    study, stopped = run(plan_of(tmp_path, params=ONE_SIZE, disk_budget=budget + 3 * MB))
    assert (states(study), stopped) == ({"COMPLETE": 8}, "")


def test_a_trial_larger_than_was_estimated_corrects_the_estimate(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, params=ONE_SIZE, disk_budget=SHARED + 100 * MB)
    make_job = job_maker(plan)

    def huge(job: TrialJob) -> Iterator[EpochReport]:
        write(job.directory / "best.safetensors", 13 * MB)
        yield from rising(job)

    study = open_study(plan)
    with pytest.raises(StoppedEarly, match="after 1 of 8 trials: trial 1 and what runs may take 91 MB more, 87 MB are"):
        run_trials(plan, study, make_job, Recorder(), huge)


def test_no_trial_begins_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(10**9, 10**9 - 5 * MB, 5 * MB))
    study, stopped = run(plan_of(tmp_path, params=ONE_SIZE))
    assert states(study) == {"PAUSED": 1}
    assert f"may take 7 MB more, 5 MB are free in {tmp_path}, free some space there; the same command" in stopped
