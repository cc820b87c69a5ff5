"""Temporary folders of this user alone. In: where, and a name. Out: a folder for as long as a context lasts; what
killed processes left of theirs, removed.

A folder has a lock file that says whose it is and that its owner holds, so that the kernel knows whether it lives; on a
machine on which that cannot be asked (a folder shared by containers) its number and its start say it.
"""

import json
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from xa_search.encoding.locks import note_holder, try_lock

OWNER = "owner.lock"
PLACE = "RAY_TMPDIR"
"""The variable in which Ray looks for the place of its files."""
OF_RAY = "xa-ray-"
"""How the names of folders begin that hold the sockets and logs of a search's own Ray."""
WORKING = "xa-tmp-"
"""How the names of folders begin that hold what is worked on for a moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Abandoned:
    """A folder whose owner, of this user and machine, lives no more."""

    path: Path
    owner: str


@contextmanager
def private_folder(prefix: str = WORKING, within: Path | None = None) -> Iterator[Path]:
    """Give a folder that only this user may enter, and remove it in the end."""
    with (
        tempfile.TemporaryDirectory(prefix=prefix, dir=within, ignore_cleanup_errors=True) as folder,
        (Path(folder) / OWNER).open("a+", encoding="utf-8") as lock,
    ):
        try_lock(lock)
        note_holder(lock)
        yield Path(folder)


def place_of_ray() -> Path | None:
    """Return where the folders for Ray's files lie; none for where all temporary files do."""
    # A socket's path has room for some 100 characters; macOS has temporary files at the end of a longer one.
    chosen = os.environ.get(PLACE) or ("/tmp" if sys.platform == "darwin" else None)
    return None if chosen is None else Path(chosen)


def abandoned_folders() -> tuple[Abandoned, ...]:
    """Return such folders that killed processes of this user left on this machine.

    One that says nothing of its owner, or that a living process still names, is nobody's to remove.
    """
    usual = Path(tempfile.gettempdir())
    places = ((OF_RAY, place_of_ray() or usual), (WORKING, usual))
    folders = [folder for prefix, place in places for folder in sorted(place.glob(f"{prefix}*"))]
    dead = [(folder, owner) for folder in folders if (owner := _dead_owner(folder))]
    return tuple(Abandoned(path=folder, owner=owner) for folder, owner in dead if not _is_named(folder))


def remove_abandoned(folder: Abandoned) -> None:
    """Remove a folder that was abandoned; what cannot be removed stays."""
    shutil.rmtree(folder.path, ignore_errors=True)


def _dead_owner(folder: Path) -> str:
    """Return who owned a folder of this user, if it is known to live no more; else nothing."""
    try:
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            return ""
        with (folder / OWNER).open("r+", encoding="utf-8") as lock:
            if not try_lock(lock):
                return ""
            holder = json.loads(lock.read())
        if holder["host"] != socket.gethostname() or _lives(int(holder["pid"]), str(holder["started"])):
            return ""
        return f"process {holder['pid']}, begun {holder['started']}"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _lives(pid: int, started: str) -> bool:
    """Tell whether the process of this number is the one that began then; numbers are given again."""
    noted = datetime.fromisoformat(started)
    try:
        began = datetime.fromtimestamp(psutil.Process(pid).create_time(), UTC)
    except psutil.NoSuchProcess:
        return False
    return abs((began - noted).total_seconds()) <= 1


def _is_named(folder: Path) -> bool:
    """Tell whether a living process was started with a place in the folder: Ray's outlive a killed owner a while."""
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(str(folder) in word for word in words):
            return True
    return False
