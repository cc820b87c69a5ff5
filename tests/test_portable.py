"""The program does without what Linux alone has: in its source, and in a search from which /proc is hidden."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from xa_search.config.shipped import PACKAGE

LINUX_ALONE = re.compile(
    r"/proc/|/sys/|/dev/shm|\bsched_[gs]etaffinity\b|\bprctl\b|\bO_TMPFILE\b|\bO_DIRECT\b|\bpidfd_|\bmemfd_|"
    r"\bposix_fadvise\b|\bSIGRT|\bSIGPWR\b|\bepoll\b|\binotify|\bmallopt\b|\bmalloc_trim\b|\blibc\.so|\brenameat2\b|"
    r"\bcopy_file_range\b|\bsendfile\b|\bsystem\(\"|\bpgrep\b|\bpkill\b|\bps -"
)
HIDDEN = """
import sys

HIDDEN = ("/proc", "/sys")
hits = []


def hide(event, arguments):
    # psutil asks macOS in its own way; whoever else looks here has no other.
    if event in ("open", "os.listdir", "os.scandir") and str(arguments[0]).startswith(HIDDEN):
        frame = sys._getframe(1)
        while frame is not None and "psutil" not in frame.f_code.co_filename:
            frame = frame.f_back
        if frame is None:
            hits.append(str(arguments[0]))
            raise FileNotFoundError(2, "hidden", str(arguments[0]))


sys.addaudithook(hide)
from pathlib import Path

import fake_trainers
from searches import Recorder, job_maker, plan_of
from xa_search.rehearsal.driver import processes_of
from xa_search.search.driver import driver_of, only_driver
from xa_search.search.runner import run_trials
from xa_search.search.study import open_study
from xa_search.workflows.doctor import examine
import os

home = Path(sys.argv[1])
plan = plan_of(home)
with only_driver(plan.directory):
    assert str(os.getpid()) in driver_of(plan.directory)
    study = open_study(plan)
    run_trials(plan, study, job_maker(plan), Recorder(), fake_trainers.rising)
assert {trial.state for trial in study.trials()} == {"COMPLETE"}
assert any(one.pid == os.getpid() for one in processes_of(os.getsid(0)))
(node,) = examine(home, f"sqlite:///{home / 'mlflow.db'}", None).nodes
print("free", node.report.free_memory, "hidden", sorted(set(hits)))
"""


GUARDED = ('Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")', 'if hasattr(os, "sched_getaffinity") else')
"""A container's quota, which macOS has not: files that need not be there, and a function that is looked for first."""


def test_no_module_names_what_linux_alone_has_unguarded() -> None:
    lines = [(path, line) for path in PACKAGE.rglob("*.py") for line in path.read_text(encoding="utf-8").splitlines()]
    found = [(path.name, line) for path, line in lines if LINUX_ALONE.search(line)]
    assert [(name, line) for name, line in found if not any(guarded in line for guarded in GUARDED)] == []


@pytest.mark.proof
def test_a_search_and_doctor_need_no_proc(tmp_path: Path) -> None:
    """In this process; not shown: the libraries' own compiled parts, and macOS itself."""
    paths = [str(Path(__file__).parent / "search"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        [sys.executable, "-c", HIDDEN, str(tmp_path)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.match(r"free [1-9]\d+ hidden ", done.stdout)
