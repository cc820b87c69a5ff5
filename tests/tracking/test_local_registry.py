"""What is read from MLflow's SQLite file without MLflow is what MLflow says; what cannot be read so is left to it."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from mlflow.entities import LoggedModelStatus

from xa_search.tracking.address import URI, sqlite_uri
from xa_search.tracking.local_registry import bundle_here, versions_here
from xa_search.tracking.registry import create_version, list_models, mark_checked, set_alias
from xa_search.tracking.store import connect, open_experiment
from xa_search.tracking.versions import OUR_TAGS

NAME = "xa-search-rooms"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, with_tables: Callable[[Path], Path]) -> Path:
    """A store with three versions of ours, a deleted one, one of somebody else, and another model.

    MLflow reads in its environment where a version's model is looked for, as a search says it there.
    """
    home = tmp_path_factory.mktemp("local")
    database = with_tables(home) / "mlflow.db"
    uri = sqlite_uri(database)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(URI, uri)
        fill(uri)
    return database


def fill(uri: str) -> None:
    client = connect(uri)
    experiment = open_experiment(client)
    run = client.create_run(experiment).info.run_id
    ours = dict.fromkeys(OUR_TAGS, "a") | {"trial": "3", "selection_score": "0.5", "test_intent_acc_mean": "0.25"}
    for number, tags in enumerate([ours, ours | {"zero_shot": "no"}, {"made": "by hand"}, ours, ours], 1):
        model = client.create_logged_model(experiment, name=f"model{number}", source_run_id=run)
        folder = Path(unquote(urlsplit(model.artifact_location).path)) / "artifacts" / "bundle"
        folder.mkdir(parents=True)
        client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
        assert create_version(client, NAME, run, model.model_id, tags, "text") == number
    client.delete_model_version(NAME, "4")
    client.create_registered_model("another")
    mark_checked(uri, NAME, 2)
    set_alias(uri, NAME, "champion", 2)
    set_alias(uri, NAME, "candidate", 5)


def test_it_reads_what_mlflow_reads(store: Path) -> None:
    uri = sqlite_uri(store)
    found = versions_here(uri)
    assert found == list_models(uri)
    assert found is not None
    assert [(one.version, one.aliases) for one in found] == [(5, ("candidate",)), (2, ("champion",)), (1, ())]
    for version in found:
        source = connect(uri).get_model_version_download_uri(version.name, str(version.version))
        assert bundle_here(uri, version) == Path(unquote(urlsplit(source).path)) / "artifacts" / "bundle"


def test_what_it_does_not_know_is_left_to_mlflow(store: Path, tmp_path: Path) -> None:
    found = versions_here(sqlite_uri(store))
    assert found is not None
    for uri in ("http://127.0.0.1:1", sqlite_uri(tmp_path / "none.db")):
        assert versions_here(uri) is None
        assert bundle_here(uri, found[0]) is None
    assert not (tmp_path / "none.db").exists()
    changes = {
        "renamed": "ALTER TABLE registered_model_aliases RENAME TO aliases",
        "pending": "UPDATE model_versions SET status = 'PENDING_REGISTRATION'",
        "elsewhere": "UPDATE model_versions SET storage_location = 's3://bucket/' || version",
    }
    for name, change in changes.items():
        copy = tmp_path / f"{name}.db"
        copy.write_bytes(store.read_bytes())
        with closing(sqlite3.connect(copy)) as changed, changed:
            changed.execute(change)
        uri = sqlite_uri(copy)
        assert (versions_here(uri) if name != "elsewhere" else bundle_here(uri, found[0])) is None
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(b"no database at all" * 100)
    assert versions_here(sqlite_uri(damaged)) is None


@pytest.mark.parametrize(
    ("modules", "spared"),
    [
        ("xa_search.workflows.local_models", ("mlflow", "ray", "optuna")),
        ("xa_search.tracking.local_registry, xa_search.cli.light_tables", ("mlflow", "ray", "torch", "transformers")),
        ("xa_search.search.history, xa_search.cli.search_tables", ("mlflow", "ray", "torch", "transformers")),
    ],
)
def test_what_answers_first_imports_little(modules: str, spared: tuple[str, ...]) -> None:
    program = f"import sys, {modules}; print([one for one in {spared} if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
