"""Locks on files: one process at a time, until it ends in whatever way, and the file says which it is."""

import json
import os
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import psutil

from xa_search.encoding.locks import holder_of, one_at_a_time, try_lock

HOLDING = """
import sys
from pathlib import Path
from xa_search.encoding.locks import one_at_a_time

with one_at_a_time(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_ends_with_the_process_that_holds_it_and_names_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    arguments = [sys.executable, "-c", HOLDING, str(path)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holding:
        assert holding.stdout is not None
        assert holding.stdout.readline() == "held\n"
        with path.open("a+") as lock:
            assert not try_lock(lock)
            assert holder_of(lock) == f"{holding.pid} on {socket.gethostname()}"
        os.kill(holding.pid, signal.SIGKILL)
    with one_at_a_time(path):
        pass


def test_a_lock_file_says_host_process_and_when_that_started(tmp_path: Path) -> None:
    with one_at_a_time(tmp_path / "lock"):
        held = json.loads((tmp_path / "lock").read_text())
    assert (held["host"], held["pid"]) == (socket.gethostname(), os.getpid())
    started = datetime.fromisoformat(held["started"])
    assert abs((started - datetime.fromtimestamp(psutil.Process().create_time(), UTC)).total_seconds()) < 2


def test_the_number_that_an_older_version_wrote_is_still_told(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("4242\n")
    (tmp_path / "empty").touch()
    with (tmp_path / "lock").open() as lock, (tmp_path / "empty").open() as empty:
        assert (holder_of(lock), holder_of(empty)) == ("4242", "unknown")
