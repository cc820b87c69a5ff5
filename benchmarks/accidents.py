"""What else may happen to a search than that a process dies. In: its folder, chance. Out: a full disk, a torn file, a
home in another place, a clock that goes back.

The disk is a small file system in memory (tmpfs) with the homes on it, which a large file fills: that needs root. The
clock is libfaketime's, preloaded into the driver and all that it starts; the times of files stay the kernel's, so that
all files lie in the future then, and what waits for a time to pass goes by the monotonic clock, as it should.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Literal, get_args

Accident = Literal["disk", "torn", "moved", "clock"]
ACCIDENTS: tuple[Accident, ...] = get_args(Accident)
DISK_BYTES = 768 << 20
PIECE = 1 << 16
LONGEST_BACK_HOURS = 72
GROWING = ("study.journal", "spool.jsonl", "search.log")
"""Files that only grow: of these a crash tears the last line."""
LOCKS = ("driver.lock", "driver.gate")


class SmallDisk:
    """A folder on a file system of its own, where that is wanted and may be made; else on another, and never full."""

    def __init__(self, folder: Path, *, own: bool = True) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"
        folder.mkdir(parents=True, exist_ok=True)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
        self.can_be_full = own and os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0

    def fill(self) -> None:
        """Leave no byte."""
        with self._ballast.open("wb", buffering=0) as file:
            try:
                os.posix_fallocate(
                    file.fileno(), 0, os.statvfs(self.folder).f_bavail * os.statvfs(self.folder).f_frsize
                )
                while True:
                    file.seek(0, os.SEEK_END)
                    file.write(bytes(PIECE))
            except OSError:
                return

    def free(self) -> None:
        """Give back what was taken."""
        self._ballast.unlink(missing_ok=True)

    def remove(self) -> None:
        """Take the file system away, with all that is on it."""
        self.free()
        if self.can_be_full:
            subprocess.run(["umount", "-l", str(self.folder)], check=True)


@contextmanager
def small_disk(folder: Path) -> Iterator[SmallDisk]:
    """Give a small disk while a context lasts."""
    disk = SmallDisk(folder)
    try:
        yield disk
    finally:
        disk.remove()


def clock_library() -> Path | None:
    """Return libfaketime, which `pip install libfaketime` brings; none where it is not installed."""
    found = find_spec("libfaketime")
    places = [] if found is None else list(found.submodule_search_locations or ())
    return next((path for place in places for path in Path(place).rglob("libfaketime.so.1")), None)


def clock_set_back(random: Random) -> tuple[float, dict[str, str]]:
    """Return by how many hours the clock of a process goes back, and the environment that does it."""
    hours, library = random.uniform(1, LONGEST_BACK_HOURS), clock_library()
    assert library is not None
    fake = {"FAKETIME": f"-{hours:.2f}h", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}
    return hours, {"LD_PRELOAD": str(library), "FAKETIME_NO_CACHE": "0", **fake}


def possible(accident: Accident, disk: SmallDisk) -> bool:
    """Tell whether this can be made to happen on this machine."""
    if accident == "disk":
        return disk.can_be_full
    return accident != "clock" or clock_library() is not None


def tear(search: Path, ended: set[str], random: Random) -> str:
    """Cut a file of a search's folder at random, and return which; `ended` are the folders of ended trials.

    Weights of ended trials were on the disk before the study said so: no crash tears them. Of a file that only grows
    the last line is torn.
    """
    files = [path for path in sorted(search.rglob("*")) if path.is_file() and _may_be_torn(path, search, ended)]
    if not files:
        return "nothing to tear"
    path = random.choice(files)
    content = path.read_bytes()
    begin = content.rstrip(b"\n").rfind(b"\n") + 1 if path.name in GROWING else 0
    end = random.randrange(begin, len(content))
    os.truncate(path, end)
    return f"{path.relative_to(search)} cut from {len(content)} to {end} bytes"


def _may_be_torn(path: Path, search: Path, ended: set[str]) -> bool:
    parts = path.relative_to(search).parts
    is_kept = path.name == "best.safetensors" and len(parts) > 1 and parts[1] in ended
    return path.name not in LOCKS and parts[0] != "ray" and not is_kept and path.stat().st_size > 0
