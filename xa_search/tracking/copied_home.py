"""A home that was copied. In: a search's folder, its notes, where MLflow keeps it. Out: nothing, or an error.

A copy has the original's study with its random id, by which MLflow finds runs: on one MLflow both would write into the
same ones. A home that was moved, or whose original is gone, is the one there is. A copy with an MLflow of its own, in
the home, is nobody's rival.
"""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xa_search.errors import UsageError
from xa_search.search.study import PLACE, STUDY_ID, read_notes
from xa_search.tracking.address import database_of, without_password


def place_of(directory: Path) -> dict[str, str]:
    """Return where a search lies: machine and path."""
    return {"host": socket.gethostname(), "path": str(directory.absolute())}


def check_no_copy(directory: Path, uri: str) -> None:
    """Raise UsageError where a search is a copy of one that is still there, and shares its MLflow."""
    notes = read_notes(directory)
    original = _original(directory, notes)
    database, home = database_of(uri), directory.resolve().parents[1]
    if original is None or (database is not None and database.resolve().is_relative_to(home)):
        return
    raise UsageError(
        f"search {directory.name} in {directory} is a copy of the one in {original}, which is still there, and both "
        f"would write into the same runs of MLflow at {without_password(uri)}; type --home {original.parents[1]} to go "
        f"on with that one, remove {original} if this one takes its place, or unset MLFLOW_TRACKING_URI to give this "
        "home an MLflow of its own"
    )


def _original(directory: Path, notes: Mapping[str, Any]) -> Path | None:
    """Return the folder that a search was run in before, if that is another one of this machine with the same study."""
    before, here = notes.get(PLACE), place_of(directory)
    if not before or before["host"] != here["host"] or before["path"] == here["path"]:
        return None
    original = Path(before["path"])
    if not original.is_dir() or original.samefile(directory):
        return None
    return original if read_notes(original).get(STUDY_ID) == notes.get(STUDY_ID) else None
