"""Files that appear whole or not at all, and their copies on a node's own disk. In: what to write, or a file that is
never changed in place. Out: a file, or where to read it.

Trials of a node read the same tables and weights: what lies behind a network is fetched once a node, not once a trial.
"""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa

from xa_search.encoding.locks import one_at_a_time
from xa_search.records.whole_files import put_in_place

ROWS_A_CHUNK = 1000

SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "words": pa.list_(pa.string()),
        "input_ids": pa.list_(pa.int32()),
        "positions": pa.list_(pa.int32()),
        "intent": pa.string(),
        "slots": pa.list_(pa.string()),
        "text": pa.int64(),
        "template": pa.int64(),
        "source_row": pa.int64(),
    }
)
FOLDER = "XA_SEARCH_NODE_FILES"
"""The variable with the folder for copies: of all files, wherever they lie; empty for none at all."""
NETWORKS = (
    *("nfs", "nfs4", "cifs", "smb3", "ceph", "glusterfs", "lustre", "gpfs", "beegfs", "9p", "virtiofs", "fuse."),
    *("smbfs", "afpfs", "macfuse"),  # on macOS
)
LEFT_FREE = 0.1
UNUSED_SECONDS = 7 * 24 * 3600
LOCK = "lock"


def write_table(path: Path, chunks: Iterable[dict[str, Any]]) -> None:
    """Write an encoded table of these chunks of columns."""

    def write(target: Path) -> None:
        with pa.OSFile(str(target), "wb") as file, pa.ipc.new_stream(file, SCHEMA) as writer:
            for columns in chunks:
                writer.write_batch(pa.RecordBatch.from_pydict(columns, schema=SCHEMA))

    write_whole(path, write)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside its place, then move it there; several processes may do so at once."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        temporary = Path(folder) / path.name
        write(temporary)
        put_in_place(temporary, path)


def node_copy(path: Path) -> Path:
    """Return a node's copy of a file that lies behind a network, else the file itself.

    The copy is made once for a state of the file. Where there is no room for it, and where anything else goes wrong,
    the file itself is returned: whoever opens it will say what is wrong.
    """
    try:
        folder, state = _folder(path), path.stat()
        if folder is None:
            return path
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid != os.getuid():
            return path
        name = hashlib.sha256(f"{path}\0{state.st_size}\0{state.st_mtime_ns}".encode()).hexdigest()[:16]
        copy = folder / f"{name}-{path.name}"
        if _is_whole(copy, state.st_size):
            return copy
        with one_at_a_time(folder / LOCK):
            if _is_whole(copy, state.st_size):
                return copy
            _forget_unused(folder)
            disk = shutil.disk_usage(folder)
            if disk.free - state.st_size < disk.total * LEFT_FREE:
                return path
            write_whole(copy, lambda part: shutil.copyfile(path, part))
            return copy
    except OSError:
        return path


def _folder(path: Path) -> Path | None:
    chosen = os.environ.get(FOLDER)
    if chosen is not None:
        return Path(chosen) if chosen else None
    if not _behind_network(path.resolve().parent):
        return None
    return Path(tempfile.gettempdir(), f"xa-search-{os.getuid()}", "files")


@cache
def _behind_network(folder: Path) -> bool:
    return is_network(file_system(folder))


def is_network(kind: str) -> bool:
    """Tell whether files of a file system of this kind lie on another machine."""
    return kind.startswith(NETWORKS)


def file_system(folder: Path) -> str:
    """Return the kind of file system that a folder without links in its path lies on; empty where nobody knows."""
    mounts = {Path(mount.mountpoint): mount.fstype for mount in psutil.disk_partitions(all=True)}
    return next((mounts[place] for place in (folder, *folder.parents) if place in mounts), "")


def _is_whole(copy: Path, size: int) -> bool:
    """Tell whether there is such a copy, and keep it from being forgotten."""
    try:
        os.utime(copy)
        return copy.stat().st_size == size
    except FileNotFoundError:
        return False


def _forget_unused(folder: Path) -> None:
    """Remove old copies, and what killed processes left of theirs. Whoever calls it has the lock."""
    for part in folder.glob("tmp*"):
        shutil.rmtree(part, ignore_errors=True)
    for copy in folder.glob("*-*"):
        if time.time() - copy.stat().st_mtime > UNUSED_SECONDS:
            copy.unlink(missing_ok=True)
