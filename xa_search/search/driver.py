"""The driver's process. In: a folder or a file. Out: one driver a search, one writer of a journal or a registry;
contexts that put back the signals and logs that they, or Ray, change.

The locks end with the process that holds them, however it ends.
"""

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

from xa_search.encoding.locks import holder_of, note_holder, try_lock, wait_for_lock
from xa_search.errors import XaSearchError
from xa_search.records.torn_files import tell_torn

DRIVER_LOCK = "driver.lock"
DRIVER_GATE = "driver.gate"


@contextmanager
def only_driver(directory: Path) -> Iterator[None]:
    """Be the one process that runs the search in `directory`; raises XaSearchError while another one is."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / DRIVER_LOCK).open("a+", encoding="utf-8") as lock:
        with (directory / DRIVER_GATE).open("a", encoding="utf-8") as gate:
            # Who only looks holds the lock for a moment, within the gate: behind it, a lock in use is a driver's.
            wait_for_lock(gate)
            if not try_lock(lock):
                raise XaSearchError(
                    f"search {directory.name} is already run by process {holder_of(lock)}; "
                    "wait for it to end, or stop it and type the same command"
                )
            note_holder(lock)
        yield


def driver_of(directory: Path) -> str:
    """Return the process that runs the search in `directory`; empty when none does, or when nobody may look.

    It keeps no driver from it.
    """
    try:
        with _opened(directory / DRIVER_GATE) as gate, _opened(directory / DRIVER_LOCK) as lock:
            wait_for_lock(gate)
            return "" if try_lock(lock) else holder_of(lock)
    except OSError:
        return ""


def _opened(path: Path) -> IO[str]:
    """Open a lock file that is there: for writing, which a network file system asks for, if that may be."""
    try:
        return path.open("r+", encoding="utf-8")
    except OSError:
        return path.open(encoding="utf-8")


class JournalLock:
    """What Optuna holds while it writes to the journal; a half line that a dead process left is cut off first."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._held: BinaryIO | None = None

    def acquire(self) -> bool:
        """Wait for the lock and take it."""
        self._held = self._journal.open("r+b")
        wait_for_lock(self._held)
        if _cut_half_line(self._held):
            tell_torn(self._journal, "its last line has no end", "that line is cut off, and what it told is lost")
        return True

    def release(self) -> None:
        """Give the lock back."""
        if self._held is not None:
            self._held.close()
            self._held = None


def _cut_half_line(journal: BinaryIO) -> bool:
    """Cut off a last line that has no end, and tell whether there was one."""
    size = journal.seek(0, os.SEEK_END)
    if size == 0:
        return False
    journal.seek(size - 1)
    if journal.read(1) == b"\n":
        return False
    journal.seek(0)
    journal.truncate(journal.read().rfind(b"\n") + 1)
    return True


@contextmanager
def own_signals() -> Iterator[None]:
    """Put back the handlers of SIGTERM and SIGUSR1, which Ray and Tune replace for good, and that of Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM, which `docker stop`, `kill` and a cloud that takes a node back send, interrupt as Ctrl-C does."""
    with own_signals():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        yield


@contextmanager
def quiet_log(name: str) -> Iterator[None]:
    """Keep a library's log lines off the terminal."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
