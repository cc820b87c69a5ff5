"""Ctrl-C, twice: a process that does not come to its end is ended, with all that it started."""

import signal
import subprocess
import sys

import psutil
import pytest

STUBBORN = """
import subprocess, sys, time
from xa_search.cli import interrupts

interrupts.TOGETHER_SECONDS = {together}
grandchild = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(1000)'])"
child = subprocess.Popen([sys.executable, "-c", grandchild], start_new_session=True)
with interrupts.ended_by_two_interrupts():
    try:
        print(child.pid, flush=True)
        while True:  # a signal that comes just before a sleep is heeded after it
            time.sleep(0.02)
    except KeyboardInterrupt:
        print("first", flush=True)
    sys.stdin.read()  # until whoever sends signals has sent them all
child.kill()
"""


def stubborn(together: float) -> "subprocess.Popen[str]":
    """Start a process that goes on after the first interruption until its standard input is closed."""
    command = [sys.executable, "-c", STUBBORN.format(together=together)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, start_new_session=True)


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_the_second_interruption_ends_all_at_once_and_resumable(second: signal.Signals) -> None:
    with stubborn(together=0) as process:
        assert process.stdout is not None
        started = psutil.Process(int(process.stdout.readline()))
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "first\n"
        below = started.children(recursive=True)
        process.send_signal(second)
        _, errors = process.communicate()
    assert process.returncode == 75
    assert errors == "stopped at once; the same command resumes it\n"
    assert not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in (started, *below))


def test_a_signal_that_comes_twice_at_once_is_one_interruption() -> None:
    with stubborn(together=1000) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        said, errors = process.communicate()
    assert (process.returncode, said, errors) == (0, "first\n", "")
