"""Drivers and Rays that are killed or interrupted: a search on a real Ray pauses, and loses no epoch."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import fake_trainers
import pytest
import ray
from searches import plan_of, run, states

from xa_search.search import RAY_ENVIRONMENT
from xa_search.search.study import open_study

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("local_ray")]


KILLED_DRIVER = """
import os, signal
from pathlib import Path
from fake_trainers import going_on
from searches import Recorder, job_maker, plan_of
from xa_search.records import EpochReport, TrialRecord
from xa_search.search.runner import run_trials
from xa_search.search.study import open_study


class Killing(Recorder):
    def epoch_reported(self, record: TrialRecord, report: EpochReport) -> None:
        if (record.number, report.epoch) == (2, 2):
            os.kill(os.getpid(), signal.SIGKILL)


plan = plan_of(Path({home!r}), local=False, address={address!r}, trials=6)
run_trials(plan, open_study(plan), job_maker(plan), Killing(), going_on)
"""


def test_a_driver_killed_on_a_cluster_loses_no_epoch(tmp_path: Path) -> None:
    address = ray.get_runtime_context().gcs_address
    code = KILLED_DRIVER.format(home=str(tmp_path), address=address)
    driver = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True)
    assert driver.returncode == -signal.SIGKILL, driver.stderr
    plan = plan_of(tmp_path, local=False, trials=6)
    before = open_study(plan).trials()
    assert (before[2].state, len(before[2].scores)) == ("RUNNING", 2)
    study, recorder = run(plan, fake_trainers.going_on)
    assert [(trial.number, trial.state) for trial in study.trials()] == [(number, "COMPLETE") for number in range(6)]
    assert [trial.params for trial in study.trials()[: len(before)]] == [trial.params for trial in before]
    assert (study.trial(2).interruptions, recorder.epochs[2]) == (1, [3, 4])
    for number in range(6):
        assert (plan.directory / "trials" / f"{number:03d}" / "trained").read_text().split() == ["1", "2", "3", "4"]


DRIVER = """
from pathlib import Path
from fake_trainers import silent
from searches import Recorder, job_maker, plan_of
from xa_search.errors import StoppedEarly
from xa_search.records import TrialRecord
from xa_search.search.runner import run_trials
from xa_search.search.study import open_study


class Telling(Recorder):
    def trial_started(self, record: TrialRecord) -> None:
        print("started", flush=True)


plan = plan_of(Path({home!r}), local=False, cpus_per_trial=1)
try:
    run_trials(plan, open_study(plan), job_maker(plan), Telling(), silent)
except StoppedEarly as error:
    print(error)
"""


@contextmanager
def started_driver(home: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a driver with its own Ray, and give it when a trial has begun whose first epoch never ends."""
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER.format(home=str(home))],
        cwd=Path(__file__).parent,
        env={**os.environ, **RAY_ENVIRONMENT},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert driver.stdout is not None
        assert driver.stdout.readline() == "started\n"
        yield driver
    finally:
        with suppress(ProcessLookupError):
            os.killpg(driver.pid, signal.SIGKILL)


def check_paused(home: Path, reason: str) -> None:
    study = open_study(plan_of(home))
    assert states(study).keys() == {"PAUSED"}
    assert reason in {trial.interruption for trial in study.trials()}


def test_ctrl_c_stops_a_search_on_its_own_quiet_ray(tmp_path: Path) -> None:
    """Ctrl-C reaches the whole process group, and waits for no epoch; the driver's own Ray writes nothing."""
    with started_driver(tmp_path) as driver:
        os.killpg(driver.pid, signal.SIGINT)
        output, _ = driver.communicate()
    last = output.removeprefix("started\n").splitlines()
    assert len(last) == 1, output
    assert "stopped after 0 of 8 trials: it was interrupted; the same command resumes it" in last[0]
    check_paused(tmp_path, "it was interrupted")


@pytest.mark.parametrize("daemon", ["raylet", pytest.param("gcs_server", marks=pytest.mark.proof)])
def test_a_ray_that_is_killed_pauses_what_it_ran(tmp_path: Path, daemon: str) -> None:
    with started_driver(tmp_path) as driver:
        children = subprocess.run(
            ["ps", "-o", "pid=,comm=", "--ppid", str(driver.pid)], capture_output=True, text=True, check=True
        )
        (number,) = [line.split()[0] for line in children.stdout.splitlines() if line.split()[1] == daemon]
        os.kill(int(number), signal.SIGKILL)
        output, _ = driver.communicate()
    assert "stopped after 0 of 8 trials: Ray stopped running; the same command resumes it" in output
    check_paused(tmp_path, "Ray stopped running")
