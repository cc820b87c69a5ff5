"""MLflow's model registry, read without MLflow, whose import takes longer than a model's answer. In: a tracking URI.
Out: versions and the folders of their bundles, or none where MLflow itself is to be asked.

Only a SQLite file is read so, and only what a few columns hold that are checked to be there; it is never written, but
for what `follow_move` notes anew. A server, another database, another shape of the tables, a file that is locked or
damaged, artifacts elsewhere than on this disk: all that is left to MLflow, which says what is wrong.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from xa_search.tracking.address import database_of
from xa_search.tracking.moved_home import follow_move
from xa_search.tracking.versions import MODELS, PREFIX, RegisteredVersion, in_order, registered_version

READ: Mapping[str, tuple[str, ...]] = {
    "model_versions": (
        *("workspace", "name", "version", "creation_time", "current_stage", "status"),
        *("source", "storage_location"),
    ),
    "model_version_tags": ("workspace", "name", "version", "key", "value"),
    "registered_model_aliases": ("workspace", "name", "alias", "version"),
    "logged_models": ("model_id", "artifact_location", "lifecycle_stage"),
}
WORKSPACE, DELETED, READY = "default", "Deleted_Internal", "READY"
BUNDLE = "artifacts/bundle"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """A row of the table of versions."""

    name: str
    version: int
    creation_timestamp: int


def versions_here(uri: str) -> tuple[RegisteredVersion, ...] | None:
    """Return what `registry.list_models` does, read from a SQLite file; none where MLflow is to be asked."""
    try:
        with _opened(uri) as store:
            return None if store is None else _versions(store)
    except (OSError, sqlite3.Error, ValueError):
        return None


def bundle_here(uri: str, version: RegisteredVersion) -> Path | None:
    """Return the folder of a version's bundle, where it lies on this disk; none where MLflow is to be asked."""
    try:
        with _opened(uri) as store:
            return None if store is None else _bundle(store, version)
    except (OSError, sqlite3.Error, ValueError):
        return None


@contextmanager
def _opened(uri: str) -> Iterator[sqlite3.Connection | None]:
    """Open a store that exists and has the columns that are read; none for any other."""
    database = database_of(uri)
    if database is None or not database.is_file():
        yield None
        return
    follow_move(database)
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as store:
        known = all(
            {row[1] for row in store.execute(f"PRAGMA table_info({table})")}.issuperset(columns)
            for table, columns in READ.items()
        )
        yield store if known else None


def _versions(store: sqlite3.Connection) -> tuple[RegisteredVersion, ...] | None:
    rows = store.execute("SELECT workspace, name, version, creation_time, current_stage, status FROM model_versions")
    kept = [row for row in rows if row[1].startswith(PREFIX) and row[4] != DELETED]
    if any(row[0] != WORKSPACE or row[5] != READY for row in kept):
        return None
    found = []
    for _, name, number, created, *_ in kept:
        of_model, of_version = (WORKSPACE, name), (WORKSPACE, name, number)
        aliases = store.execute(
            "SELECT alias, version FROM registered_model_aliases WHERE workspace = ? AND name = ?", of_model
        )
        tags = store.execute(
            "SELECT key, value FROM model_version_tags WHERE workspace = ? AND name = ? AND version = ?", of_version
        )
        row = _Row(name=name, version=number, creation_timestamp=created)
        found.append(registered_version(row, dict(tags.fetchall()), dict(aliases.fetchall())))
    return in_order(found)


def _bundle(store: sqlite3.Connection, version: RegisteredVersion) -> Path | None:
    source = store.execute(
        "SELECT coalesce(storage_location, source) FROM model_versions"
        " WHERE workspace = ? AND name = ? AND version = ?",
        (WORKSPACE, version.name, version.version),
    ).fetchone()
    place = "" if source is None else str(source[0])
    if place.startswith(MODELS):
        logged = store.execute(
            "SELECT artifact_location FROM logged_models WHERE model_id = ? AND lifecycle_stage = 'active'",
            (place.removeprefix(MODELS),),
        ).fetchone()
        place = "" if logged is None else str(logged[0])
    parts = urlsplit(place)
    folder = Path(unquote(parts.path), BUNDLE)
    return folder if place and parts.scheme in ("", "file") and folder.is_dir() else None
