"""The door to MLflow's runs. In: a tracking URI. Out: the runs of a search, found by tag, and writes to them.

Every method may raise whatever MLflow, its database or the network raises; the Tracker (tracker.py) deals with that.

A server that is away costs a search only delay; one that refuses at the start would refuse the winner hours later.
"""

import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any
from urllib.parse import unquote, urlsplit

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, RunTag, ViewType
from mlflow.entities import Param as StoredParam
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

from xa_search.errors import TrackerAwayError, TrackerRefusedError, XaSearchError
from xa_search.tracking.address import SQLITE, database_of, is_server, refuse_shared_sqlite, without_password
from xa_search.tracking.events import Param, Status, flat_name
from xa_search.tracking.moved_home import EXPERIMENT, artifacts_beside, follow_move

TIMEOUT, RETRIES = "MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
SHORTEST_TIMEOUT = 5
PERMANENT = {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE"}
KIND_TAG, KIND = "mlflow.experimentKind", "custom_model_development"
"""What lets MLflow's UI open an experiment on its training runs, and not on what it has for language-model apps."""
SEARCH_TAG = "xa.search_id"
STUDY_TAG = "xa.study_id"
TRIAL_TAG = "xa.trial"
BATCH = 100
LONGEST_VALUE = 6000
LONGEST_DIGEST = 36
MODEL_TAG = "registered_model"
_one_environment = RLock()


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables, and put them back as they were; one thread at a time, since all threads share them."""
    with _one_environment:
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


def timeouts(seconds: int = SHORTEST_TIMEOUT) -> AbstractContextManager[None]:
    """Wait some seconds for a server's answer, and ask once, not for the minutes that MLflow would."""
    return environment({TIMEOUT: str(seconds), RETRIES: "0"})


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


def first_line(error: Exception) -> str:
    """Return what an error says, in one line that may be shown."""
    return without_password((str(error).strip() or type(error).__name__).splitlines()[0])[:200]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """A run as MLflow has it. `trial` is none for the run of the search itself; a person may have `deleted` it.

    `metrics` are the last values of each.
    """

    run_id: str
    trial: int | None
    status: str
    params: dict[str, str]
    tags: dict[str, str]
    metrics: dict[str, float]
    deleted: bool

    @property
    def is_untouched(self) -> bool:
        """Whether nothing was written to it since it was created."""
        return self.status == "RUNNING" and not self.params and not self.metrics


def connect(uri: str) -> Any:
    """Return an MLflow client that keeps quiet; the SQLite file and its tables are made where they are missing.

    Where a SQLite file was moved with the artifacts beside it, MLflow is told so.
    """
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)
    logging.getLogger("alembic").setLevel(logging.CRITICAL)
    database = database_of(uri)
    if database is None:
        return MlflowClient(tracking_uri=uri, registry_uri=uri)
    database.parent.mkdir(parents=True, exist_ok=True)
    follow_move(database)
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    _remove_stray_folder(uri, database)
    return client


def _remove_stray_folder(uri: str, database: Path) -> None:
    """Remove the empty folder that MLflow makes for a SQLite file whose address has quotes: it does not read them."""
    stray = Path(uri.removeprefix(SQLITE)).parent
    while stray != database.parent and stray not in database.parents:
        with suppress(OSError):
            stray.rmdir()
        stray = stray.parent


def open_experiment(client: Any) -> str:
    """Return the id of the experiment; it is made, or taken out of the bin, where needed."""
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is None:
        database = database_of(client.tracking_uri)
        place = None if database is None else artifacts_beside(database).as_uri()
        try:
            return str(client.create_experiment(EXPERIMENT, artifact_location=place, tags={KIND_TAG: KIND}))
        except MlflowException as error:  # another search may have been faster
            found = client.get_experiment_by_name(EXPERIMENT)
            if found is None:
                raise error
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    if KIND_TAG not in found.tags:
        client.set_experiment_tag(found.experiment_id, KIND_TAG, KIND)
    return str(found.experiment_id)


def find_runs(client: Any, experiment: str, search_id: str, study_id: str = "") -> dict[int | None, StoredRun]:
    """Return the runs of a search by trial number, also those that a person deleted; its own run is under None.

    They are found by the random id that was made with the study. A search that an earlier version began has none: its
    runs are those of its name without such an id.
    """
    return {number: twins[0] for number, twins in find_twins(client, experiment, search_id, study_id).items()}


def find_twins(client: Any, experiment: str, search_id: str, study_id: str = "") -> dict[int | None, list[StoredRun]]:
    """Return what `find_runs` does, with all runs of a number: several where the answer to a creation came too late.

    Of several, the one that something was written to comes first, then the oldest.
    """
    runs: dict[int | None, list[StoredRun]] = {}
    token: str | None = ""
    mark = (STUDY_TAG, study_id) if study_id else (SEARCH_TAG, search_id)
    while token is not None:
        page = client.search_runs(
            [experiment],
            f"tags.`{mark[0]}` = '{mark[1]}'",
            ViewType.ALL,
            max_results=1000,
            order_by=["attributes.start_time ASC"],
            page_token=token or None,
        )
        for run in page:
            stored = _stored(run)
            if stored is not None and stored.tags.get(STUDY_TAG, "") == study_id:
                runs.setdefault(stored.trial, []).append(stored)
        token = page.token or None
    for twins in runs.values():
        twins.sort(key=lambda run: (run.is_untouched, run.is_untouched and run.deleted))
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

    def __init__(self, uri: str, search_id: str, study_id: str = "") -> None:
        self._client = connect(uri)
        self._experiment = open_experiment(self._client)
        self._marks = {SEARCH_TAG: search_id} | ({STUDY_TAG: study_id} if study_id else {})
        self._search = search_id, study_id
        self.runs = find_runs(self._client, self._experiment, *self._search)

    def remove_twins(self) -> int:
        """Delete the runs that were created twice, as the answer of a slow server came too late; return how many.

        One that anybody has written to stays, and so does that which this store writes to.
        """
        count = 0
        for number, twins in find_twins(self._client, self._experiment, *self._search).items():
            own = self.runs.get(number, twins[0]).run_id
            for run in twins:
                is_twin = run.run_id != own and run.is_untouched and not run.deleted
                if is_twin and not self._client.list_artifacts(run.run_id):
                    self._client.delete_run(run.run_id)
                    count += 1
        return count

    def create(self, trial: int | None, name: str, tags: dict[str, str], time: int) -> StoredRun:
        """Create the run of a trial, below the run of the search, or the run of the search itself."""
        marks = {**self._marks, "mlflow.source.name": "xa-search", "mlflow.source.type": "LOCAL"}
        if trial is not None:
            marks |= {TRIAL_TAG: str(trial), "mlflow.parentRunId": self.runs[None].run_id}
        run = self._client.create_run(self._experiment, start_time=time, tags={**tags, **marks}, run_name=name)
        stored = _stored(run)
        assert stored is not None
        self.runs[trial] = stored
        return stored

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
        run.metrics.update({flat_name(name): float(value) for name, value in (metrics or {}).items()})

    def reopen(self, run: StoredRun) -> None:
        """Mark a run as running again."""
        self._client.update_run(run.run_id, status="RUNNING")

    def end(self, run: StoredRun, status: Status, time: int) -> None:
        """Mark a run as ended."""
        self._client.set_terminated(run.run_id, status=status, end_time=time)

    def log_text(self, run: StoredRun, text: str, name: str) -> None:
        """Store a text as an artifact."""
        self._client.log_text(run.run_id, text, name)

    def log_datasets(self, run: StoredRun, datasets: Iterable[Mapping[str, Any]]) -> None:
        """Enter data sets as inputs of a run; one that it has already is entered once."""
        inputs = [_dataset_input(one) for one in datasets]
        if inputs:
            self._client.log_inputs(run.run_id, inputs)

    def log_file(self, run: StoredRun, path: Path, folder: str) -> None:
        """Store a copy of a file as an artifact. Raises FileNotFoundError where it is gone."""
        if not path.is_file():
            raise FileNotFoundError(f"{path} is gone")
        self._client.log_artifact(run.run_id, str(path), folder or None)


def _dataset_input(data: Mapping[str, Any]) -> DatasetInput:
    """Return what MLflow keeps of a split of a corpus, as events have it: see `DatasetsLogged`."""
    rows = {lang: int(count) for lang, count in data["rows"].items()}
    dataset = Dataset(
        name=data["name"],
        digest=data["digest"][:LONGEST_DIGEST],
        source_type="local",
        source=json.dumps({"uri": data["source"]}),
        profile=json.dumps({"num_rows": sum(rows.values()), "rows": rows}),
    )
    return DatasetInput(dataset=dataset, tags=[InputTag(key=MLFLOW_DATASET_CONTEXT, value=data["context"])])


def _stored(run: Any) -> StoredRun | None:
    """Return a run as we know it; none for a run of somebody else who marked it so that we cannot read it."""
    trial = run.data.tags.get(TRIAL_TAG)
    if trial is not None and not trial.isdecimal():
        return None
    return StoredRun(
        run_id=run.info.run_id,
        trial=None if trial is None else int(trial),
        status=run.info.status,
        params=dict(run.data.params),
        tags=dict(run.data.tags),
        metrics=dict(run.data.metrics),
        deleted=run.info.lifecycle_stage == "deleted",
    )


def check_access(uri: str) -> str:
    """Return what to know of a server that cannot be asked now; else nothing.

    Raises TrackerRefusedError, and UsageError for a store that would be damaged where it lies.
    """
    refuse_shared_sqlite(uri)
    if not is_server(uri):
        return ""
    try:
        with plainly(uri), timeouts():
            connect(uri).get_experiment_by_name(EXPERIMENT)
    except TrackerRefusedError:
        raise
    except XaSearchError:
        return f"MLflow at {without_password(uri)} does not answer now; what it should know waits until it does"
    return ""
