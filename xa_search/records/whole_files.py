"""Files that are replaced. In: a file or a folder beside its place. Out: the same in its place, old or new, never half.

A rename alone is no promise: after a power cut a file system may have the new name and not yet what is in the file.
"""

import os
from contextlib import suppress
from pathlib import Path


def put_in_place(part: Path, path: Path) -> None:
    """Move a file, or a folder with all that is in it, to its place once its bytes are on the disk."""
    for file in part.rglob("*") if part.is_dir() else (part,):
        if file.is_file():
            _flush(file)
    part.replace(path)
    with suppress(OSError):  # some network file systems flush no folders
        _flush(path.parent)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
