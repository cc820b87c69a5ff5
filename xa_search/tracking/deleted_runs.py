"""Runs that a person deleted in the UI. In: a local store and a search. Out: their ids and files, removed for good.

MLflow only hides a deleted run; on a server it is the server's owner who removes it for good (`mlflow gc`).
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from xa_search.tracking.store import SQLITE, connect, find_runs, open_experiment, plainly


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedRun:
    """A deleted run and the folder of its artifacts, which may be missing."""

    run_id: str
    artifacts: Path


def deleted_runs(uri: str, search_id: str) -> tuple[DeletedRun, ...]:
    """Return the deleted runs of a search on a local store; those of registered models stay."""
    if not uri.startswith(SQLITE) or not Path(uri.removeprefix(SQLITE)).exists():
        return ()
    with plainly(uri):
        client = connect(uri)
        runs = find_runs(client, open_experiment(client), search_id).values()
        unused = [run for run in runs if run.deleted and not client.search_model_versions(f"run_id='{run.run_id}'")]
        places = [urlsplit(client.get_run(run.run_id).info.artifact_uri) for run in unused]
    return tuple(
        DeletedRun(run_id=run.run_id, artifacts=Path(unquote(place.path)))
        for run, place in zip(unused, places, strict=True)
        if place.scheme in ("", "file")
    )


def remove_for_good(uri: str, run: DeletedRun) -> None:
    """Remove a deleted run and its artifacts."""
    with plainly(uri):
        # What `mlflow gc` calls for each run; the command itself would also remove what others deleted.
        connect(uri)._tracking_client.store._hard_delete_run(run.run_id)
    shutil.rmtree(run.artifacts, ignore_errors=True)
