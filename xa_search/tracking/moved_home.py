"""A home that was moved, copied or renamed. In: the SQLite file of an MLflow store. Out: the same, with its artifacts
where they lie now.

MLflow notes the absolute place of every artifact. Those that this program put beside the SQLite file are beside it
still: what was noted is changed when the store is opened, and a copy then reads and writes its own.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

ARTIFACTS = "artifacts"
EXPERIMENT = "xa-search"
PLACES = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
}
"""The columns in which MLflow notes where artifacts lie."""
LONGEST_WAIT = 60.0


def artifacts_beside(database: Path) -> Path:
    """Return the folder of the artifacts of a SQLite store that this program made."""
    return database.parent / ARTIFACTS


def follow_move(database: Path) -> bool:
    """Note anew where the artifacts beside a SQLite file lie, if that has moved; tell whether it has."""
    here = artifacts_beside(database)
    if not database.exists() or not here.is_dir():
        return False
    with closing(sqlite3.connect(database, timeout=LONGEST_WAIT)) as store:
        noted = _noted(store)
        if noted is None or noted == here.as_uri() or not _was_beside(noted, here):
            return False
        with store:
            for table, columns in PLACES.items():
                for column in columns:
                    _move(store, table, column, noted, here.as_uri())
    return True


def _noted(store: sqlite3.Connection) -> str | None:
    """Return where the experiment's artifacts are said to lie; none where there is no such experiment."""
    try:
        row = store.execute("SELECT artifact_location FROM experiments WHERE name = ?", (EXPERIMENT,)).fetchone()
    except sqlite3.OperationalError:  # a store without tables
        return None
    return None if row is None else row[0]


def _was_beside(noted: str, here: Path) -> bool:
    """Tell whether artifacts lay beside the SQLite file in another place.

    Somebody may have put them on another disk or into a cloud, and one folder may be mounted in two places.
    """
    place = urlsplit(noted)
    folder = Path(unquote(place.path))
    is_ours = place.scheme == "file" and folder.name == ARTIFACTS
    return is_ours and not (folder.exists() and folder.samefile(here))


def _move(store: sqlite3.Connection, table: str, column: str, old: str, new: str) -> None:
    known = {row[1] for row in store.execute(f"PRAGMA table_info({table})")}
    if column in known:
        store.execute(
            f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE {column} = ? OR substr({column}, 1, ?) = ?",
            (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
        )
