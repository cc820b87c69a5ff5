"""What Ctrl-C does to a search. In: interruptions. Out: the first pauses it, the second ends it at once.

SIGTERM, which `docker stop`, `kill` and a cloud that takes a node back send, counts as one.
"""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import psutil

from xa_search.errors import StoppedEarly
from xa_search.search.driver import own_signals

SHOW_CURSOR = "\x1b[?25h"
BETWEEN_LOOKS = 0.02
TOGETHER_SECONDS = 0.5
"""What comes this soon after the first is the same interruption: `timeout` signals a process, and then its group."""


@contextmanager
def ended_by_two_interrupts() -> Iterator[None]:
    """Let the first interruption raise KeyboardInterrupt, and the second end this process and all that it started."""
    first: float | None = None

    def heed(number: int, frame: FrameType | None) -> None:
        nonlocal first
        if first is None:
            first = time.monotonic()
            signal.default_int_handler(number, frame)
        elif time.monotonic() - first >= TOGETHER_SECONDS:
            _end_at_once()

    with own_signals():
        signal.signal(signal.SIGINT, heed)
        signal.signal(signal.SIGTERM, heed)
        yield


def _end_at_once() -> None:
    """Kill what this process started, then end it: the study on disk is the truth, whatever else was under way."""
    me = psutil.Process()
    while children := [child for child in me.children(recursive=True) if _lives(child)]:
        for child in children:
            with suppress(psutil.Error):
                child.kill()
        time.sleep(BETWEEN_LOOKS)  # what was killed may have started something just before
    text = f"{SHOW_CURSOR if sys.stderr.isatty() else ''}stopped at once; the same command resumes it\n"
    with suppress(OSError):
        os.write(sys.stderr.fileno(), text.encode())
    os._exit(StoppedEarly.exit_code)


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
