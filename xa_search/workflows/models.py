"""Registered models: listed, loaded, promoted, shown in MLflow's UI. In: a home, a model's name. Out: versions for a
table, models that answer, the alias `champion` moved, a command to run.
"""

import shlex
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from xa_search.tracking import registry
from xa_search.tracking.address import is_server, tracking_uri, without_password
from xa_search.tracking.bundle import Bundle
from xa_search.tracking.export import export_bundle
from xa_search.tracking.registration import load_version, promote, version_bundle
from xa_search.tracking.versions import RegisteredVersion
from xa_search.workflows.local_models import answers_of, parts_of, told_version


def registered_models(home: Path) -> tuple[RegisteredVersion, ...]:
    """Return the registered models, the newest version of each first."""
    return registry.list_models(tracking_uri(home))


def predict_texts(
    home: Path,
    model: str | None,
    texts: Sequence[str],
    threshold: float = 0.0,
    note: Callable[[str], None] = lambda _: None,
    log: Path | None = None,
) -> list[dict[str, Any]]:
    """Return intent and slots of each text; no model means the champion of the only one, else its candidate.

    With a log, each answer is added to it, to be judged. An intent less probable than the threshold is null. In the
    place of a text that is not UTF-8 stands its `error`.
    """
    return answers_of(named_bundle(home, model, note), texts, threshold, log)


def named_bundle(home: Path, model: str | None, note: Callable[[str], None] = lambda _: None) -> Bundle:
    """Return a registered model; `model` is NAME, NAME@ALIAS or NAME/VERSION, a NAME alone means its champion.

    Where there is no champion it means the candidate; `note` hears which of them it is. MLflow's own way to write it,
    models:/NAME@ALIAS, will do too.
    """
    uri = tracking_uri(home)
    return load_version(uri, _named_version(uri, model, note))


def export_model(
    home: Path, model: str, directory: Path, note: Callable[[str], None] = lambda _: None
) -> tuple[Path, ...]:
    """Write a registered model, named as for `named_bundle`, as a folder that needs no xa-search; return its files."""
    with named_folder(home, model, note) as bundle:
        return export_bundle(bundle, directory)


@contextmanager
def named_folder(home: Path, model: str, note: Callable[[str], None] = lambda _: None) -> Iterator[Path]:
    """Give the folder of a registered model's bundle, for as long as it is looked at."""
    uri = tracking_uri(home)
    with version_bundle(uri, _named_version(uri, model, note)) as bundle:
        yield bundle


def _named_version(uri: str, model: str | None, note: Callable[[str], None]) -> RegisteredVersion:
    """Find the version that somebody named, and say which one it is where no alias or number was given."""
    name, alias_or_version = parts_of(model)
    version = registry.find_version(uri, name, alias_or_version)
    if alias_or_version is None:
        note(told_version(version))
    return version


def promote_version(home: Path, name: str, version: int) -> str:
    """Let `champion` point at a version, and say so in one line."""
    promoted = promote(tracking_uri(home), name, version)
    return f"{promoted.name} version {promoted.version} is the champion now"


def mlflow_page(home: Path) -> str:
    """Return the page that an MLflow server shows by itself; empty where the store is none.

    Raises XaSearchError where the server is away or refuses.
    """
    uri = tracking_uri(home)
    if not is_server(uri):
        return ""
    registry.list_models(uri)
    return without_password(uri)


def mlflow_ui_command(home: Path, port: int) -> tuple[list[str], dict[str, str], str]:
    """Return the command that serves the MLflow UI, what its environment needs, and its address."""
    registry.list_models(tracking_uri(home))
    command = [sys.executable, "-P", "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    # Else uvicorn would take what lies in the folder that the user stands in for the libraries.
    command += ["--workers", "1", "--uvicorn-opts", shlex.join(["--app-dir", sysconfig.get_path("purelib")])]
    environment = {
        "MLFLOW_BACKEND_STORE_URI": tracking_uri(home),  # a command line, with its password, can be read by all
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONSAFEPATH": "1",
    }
    return command, environment, f"http://127.0.0.1:{port}"
