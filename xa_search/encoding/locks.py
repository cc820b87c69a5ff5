"""Locks on files. In: a file. Out: one process at a time that holds it, and who that is.

The lock belongs to the kernel (`flock` on Unix): it ends with the process that holds it, however that ends. What stands
in the file only says who took it last; on a folder that machines share it names the machine too.
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import psutil
from filelock import lock_descriptor

UNKNOWN = "unknown"
BETWEEN_TRIES = 0.002
"""The seconds between two tries to get a lock that is held for a moment only."""
BETWEEN_LOOKS = 0.05


def try_lock(file: IO[str] | IO[bytes]) -> bool:
    """Lock an open file until it is closed, unless another process has it; tell whether it is locked."""
    return lock_descriptor(file.fileno(), blocking=False)


def wait_for_lock(file: IO[str] | IO[bytes], between: float = BETWEEN_TRIES) -> None:
    """Lock an open file until it is closed, as soon as no other process has it."""
    lock_descriptor(file.fileno(), poll_interval=between)


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Wait until no other process is in here with the lock file `path`."""
    with path.open("a+", encoding="utf-8") as lock:
        wait_for_lock(lock, BETWEEN_LOOKS)
        note_holder(lock)
        yield


def note_holder(lock: IO[str]) -> None:
    """Write into a lock file, opened to append, that this process has it."""
    started = datetime.fromtimestamp(psutil.Process().create_time(), UTC)
    holder = {"host": socket.gethostname(), "pid": os.getpid(), "started": started.isoformat(timespec="seconds")}
    lock.truncate(0)
    lock.write(json.dumps(holder) + "\n")
    lock.flush()


def holder_of(lock: IO[str]) -> str:
    """Return who took a lock file last, in words that follow "process"."""
    lock.seek(0)
    text = lock.read().strip()
    try:
        holder = json.loads(text)
        return f"{holder['pid']} on {holder['host']}"
    except (ValueError, TypeError, KeyError):
        return text or UNKNOWN  # a version before this one wrote its number alone
