"""The door to MLflow's runs. In: a tracking URI. Out: the runs of a search, found by tag, and writes to them.

Every method may raise whatever MLflow, its database or the network raises; the Tracker (tracker.py) deals with that.

A server that is away costs a search only delay; one that refuses at the start would refuse the winner hours later.
"""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Metric, RunTag, ViewType
from mlflow.entities import Param as StoredParam
from mlflow.exceptions import MlflowException

from xa_search.errors import TrackerAwayError, TrackerRefusedError, XaSearchError
from xa_search.tracking.events import Param, Status, flat_name

SHORT_TIMEOUTS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}
PERMANENT = {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE"}
EXPERIMENT = "xa-search"
SEARCH_TAG = "xa.search_id"
TRIAL_TAG = "xa.trial"
SQLITE = "sqlite:///"
BATCH = 100
LONGEST_VALUE = 6000
PASSWORD_FIELD = re.compile(r"\b(\w*(?:password|passwd|secret|token))=[^&\s'\")]+", re.IGNORECASE)


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables, and put them back as they were."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def short_timeouts() -> AbstractContextManager[None]:
    """Wait a few seconds for a server, not the minutes that MLflow would."""
    return environment(SHORT_TIMEOUTS)


def is_permanent(error: Exception) -> bool:
    """Tell whether a write can never succeed, however often it is tried again."""
    return isinstance(error, FileNotFoundError) or getattr(error, "error_code", None) in PERMANENT


def refusal(error: Exception) -> str:
    """Return why a server turns this program away, and what to do about it; empty where it does not."""
    code = getattr(error, "error_code", None)
    if code == "UNAUTHENTICATED":
        return "refuses this user and password; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    if code != "PERMISSION_DENIED":
        return ""
    if "Host header" in str(error):
        return "does not answer to this name; add it to its --allowed-hosts, or put one of them in MLFLOW_TRACKING_URI"
    return "does not let this user do that; ask for the permission, or set another MLFLOW_TRACKING_USERNAME"


def without_password(uri: str) -> str:
    """Return an address, or a text with addresses, that may be shown; a password may itself have an @ in it."""
    return PASSWORD_FIELD.sub(r"\1=...", re.sub(r"//[^/\s]*@", "//", uri))


def first_line(error: Exception) -> str:
    """Return what an error says, in one line that may be shown."""
    return without_password((str(error).strip() or type(error).__name__).splitlines()[0])[:200]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """A run as MLflow has it. `trial` is none for the run of the search itself; a person may have `deleted` it."""

    run_id: str
    trial: int | None
    status: str
    params: dict[str, str]
    tags: dict[str, str]
    deleted: bool


def tracking_uri(home: Path) -> str:
    """Return MLFLOW_TRACKING_URI, or else the SQLite file in the search home; a file's path is made absolute."""
    given = os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}{home / 'mlflow.db'}"
    return f"{SQLITE}{Path(given.removeprefix(SQLITE)).resolve()}" if given.startswith(SQLITE) else given


def connect(uri: str) -> Any:
    """Return an MLflow client that keeps quiet; the SQLite file and its tables are made where they are missing."""
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)
    logging.getLogger("alembic").setLevel(logging.CRITICAL)
    if uri.startswith(SQLITE):
        Path(uri.removeprefix(SQLITE)).parent.mkdir(parents=True, exist_ok=True)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def open_experiment(client: Any) -> str:
    """Return the id of the experiment; it is made, or taken out of the bin, where needed."""
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is None:
        uri = client.tracking_uri
        root = Path(uri.removeprefix(SQLITE)).parent / "artifacts" if uri.startswith(SQLITE) else None
        return str(client.create_experiment(EXPERIMENT, artifact_location=root and root.as_uri()))
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def find_runs(client: Any, experiment: str, search_id: str) -> dict[int | None, StoredRun]:
    """Return the runs of a search by trial number, also those that a person deleted; its own run is under None."""
    runs: dict[int | None, StoredRun] = {}
    token: str | None = ""
    while token is not None:
        page = client.search_runs(
            [experiment],
            f"tags.`{SEARCH_TAG}` = '{search_id}'",
            ViewType.ALL,
            max_results=1000,
            order_by=["attributes.start_time DESC"],
            page_token=token or None,
        )
        for run in page:  # the oldest comes last and wins
            stored = _stored(run)
            runs[stored.trial] = stored
        token = page.token or None
    return runs


@contextmanager
def plainly(uri: str) -> Iterator[None]:
    """Turn whatever MLflow raises into one line."""
    try:
        yield
    except MlflowException as error:
        where, remedy = f"MLflow at {without_password(uri)}", "check MLFLOW_TRACKING_URI, then run this again"
        if isinstance(error.__context__, OSError):  # of the connection: what MLflow makes of it fills many lines
            raise TrackerAwayError(f"{where} does not answer; start it, or {remedy}") from error
        if reason := refusal(error):
            raise TrackerRefusedError(f"{where} {reason}, then run this again") from error
        raise XaSearchError(f"{where}: {first_line(error)}; {remedy}") from error


def download(uri: str, source: str, directory: Path) -> Path:
    """Return where artifacts lie on this machine; those of a server are copied into `directory` first."""
    place = urlsplit(source)
    if place.scheme in ("", "file"):
        return Path(unquote(place.path))
    return Path(download_artifacts(source, dst_path=str(directory), tracking_uri=uri))


class RunStore:
    """The runs of one search on one MLflow store."""

    def __init__(self, uri: str, search_id: str) -> None:
        self._client = connect(uri)
        self._experiment = open_experiment(self._client)
        self._search_id = search_id
        self.runs = find_runs(self._client, self._experiment, search_id)

    def create(self, trial: int | None, name: str, tags: dict[str, str], time: int) -> StoredRun:
        """Create the run of a trial, below the run of the search, or the run of the search itself."""
        marks = {SEARCH_TAG: self._search_id, "mlflow.source.name": "xa-search", "mlflow.source.type": "LOCAL"}
        if trial is not None:
            marks |= {TRIAL_TAG: str(trial), "mlflow.parentRunId": self.runs[None].run_id}
        run = self._client.create_run(self._experiment, start_time=time, tags={**tags, **marks}, run_name=name)
        self.runs[trial] = _stored(run)
        return self.runs[trial]

    def log(
        self,
        run: StoredRun,
        *,
        time: int = 0,
        step: int = 0,
        metrics: dict[str, float] | None = None,
        params: dict[str, Param] | None = None,
        tags: dict[str, str] | None = None,
    ) -> None:
        """Write metrics, params and tags in batches. The same metric, step, time and value twice is stored once."""
        entries: list[Any] = [Metric(flat_name(name), float(v), time, step) for name, v in (metrics or {}).items()]
        entries += [StoredParam(name, str(value)[:LONGEST_VALUE]) for name, value in (params or {}).items()]
        entries += [RunTag(name, str(value)[:LONGEST_VALUE]) for name, value in (tags or {}).items()]
        for start in range(0, len(entries), BATCH):
            batch = entries[start : start + BATCH]
            self._client.log_batch(
                run.run_id,
                metrics=[entry for entry in batch if isinstance(entry, Metric)],
                params=[entry for entry in batch if isinstance(entry, StoredParam)],
                tags=[entry for entry in batch if isinstance(entry, RunTag)],
            )

    def reopen(self, run: StoredRun) -> None:
        """Mark a run as running again."""
        self._client.update_run(run.run_id, status="RUNNING")

    def end(self, run: StoredRun, status: Status, time: int) -> None:
        """Mark a run as ended."""
        self._client.set_terminated(run.run_id, status=status, end_time=time)

    def log_text(self, run: StoredRun, text: str, name: str) -> None:
        """Store a text as an artifact."""
        self._client.log_text(run.run_id, text, name)

    def log_file(self, run: StoredRun, path: Path, folder: str) -> None:
        """Store a copy of a file as an artifact. Raises FileNotFoundError where it is gone."""
        if not path.is_file():
            raise FileNotFoundError(f"{path} is gone")
        self._client.log_artifact(run.run_id, str(path), folder or None)


def _stored(run: Any) -> StoredRun:
    trial = run.data.tags.get(TRIAL_TAG)
    return StoredRun(
        run_id=run.info.run_id,
        trial=None if trial is None else int(trial),
        status=run.info.status,
        params=dict(run.data.params),
        tags=dict(run.data.tags),
        deleted=run.info.lifecycle_stage == "deleted",
    )


def check_access(uri: str) -> str:
    """Return what to know of a server that cannot be asked now; else nothing. Raises TrackerRefusedError."""
    if urlsplit(uri).scheme not in ("http", "https"):
        return ""
    try:
        with plainly(uri), short_timeouts():
            connect(uri).get_experiment_by_name(EXPERIMENT)
    except TrackerRefusedError:
        raise
    except XaSearchError:
        return f"MLflow at {without_password(uri)} does not answer now; what it should know waits until it does"
    return ""
