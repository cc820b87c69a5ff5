"""A disk that is full. In: an error, and where its files lie. Out: whether it is to blame, and what to say.

Libraries raise many kinds of errors then, some without a word of the disk: the disk itself is asked, too.
"""

import errno
import shutil
from pathlib import Path

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
LEAST_FREE = 256 * 1024
"""With fewer bytes than this left, whatever failed to write failed for that."""


def is_disk_full(error: BaseException, place: Path) -> bool:
    """Tell whether an error comes of a disk that takes no more, at `place` or wherever the error says."""
    found: BaseException | None = error
    while found is not None:
        if (isinstance(found, OSError) and found.errno in NO_ROOM) or "No space left on device" in str(found):
            return True
        found = found.__cause__ or found.__context__
    try:
        return shutil.disk_usage(place).free < LEAST_FREE
    except OSError:
        return False


def told_full_disk(place: Path) -> str:
    """Say that there is no room, and what to do about it."""
    return f"the disk of {place} is full; free some space there"
