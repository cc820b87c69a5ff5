"""The door to MLflow's model registry. In: a tracking URI, or a bundle and a trial's run. Out: logged models that serve
themselves, the registered models, and one alias at a time moved.

The model carries this program's code and the exact versions of the packages it needs; nothing in it is pickled.

What a version is, and which one is meant: versions.
"""

import json
import shutil
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Metric
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.pyfunc import save_model
from mlflow.types.schema import AnyType, Array, ColSpec, DataType, Object, Property, Schema

from xa_search.config.shipped import PACKAGE
from xa_search.tracking.model_card import CARD
from xa_search.tracking.store import MODEL_TAG, StoredRun, connect, plainly, timeouts
from xa_search.tracking.versions import (
    CHECKED_TAG,
    MODELS,
    PREFIX,
    RegisteredVersion,
    chosen_version,
    in_order,
    registered_version,
)

SERVED_MODEL = Path(__file__).with_name("served_model.py")
NEEDED = (
    *("mlflow", "torch", "transformers", "tokenizers", "safetensors", "datasets", "seqeval"),
    *("numpy", "pandas", "pydantic", "filelock", "psutil", "ruamel.yaml"),
)
EXAMPLE = ["Set an alarm for 7:30 tomorrow morning.", "Wie wird das Wetter morgen in Berlin?"]
NEEDED_FILES = {"bundle.json", "heads.safetensors", "model.safetensors", "config.json", "tokenizer.json"}
"""Without which a bundle does not answer."""


def log_model(client: Any, experiment: str, run: StoredRun, name: str, bundle: Path) -> str:
    """Upload the bundle as the run's model of this name, and return the model's id."""
    # One that was begun before, and whose process was killed, goes on.
    begun = client.search_logged_models([experiment], filter_string=f"source_run_id = '{run.run_id}'")
    model = next((one for one in begun if one.name == name), None) or client.create_logged_model(
        experiment, name=name, source_run_id=run.run_id, params=run.params, model_type="intents-and-slots"
    )
    if model.model_id not in {output.model_id for output in client.get_run(run.run_id).outputs.model_outputs}:
        client.log_outputs(run.run_id, [LoggedModelOutput(model.model_id, step=0)])
    _copy_metrics(client, run.run_id, model.model_id)
    with tempfile.TemporaryDirectory(dir=bundle.parent) as folder:
        path = Path(folder) / "model"
        save_served_model(path, model, run.run_id, bundle)
        client.log_model_artifacts(model.model_id, str(path))
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    model_id: str = model.model_id
    return model_id


def requirements() -> list[str]:
    """Return what a server of the model installs: the versions that are installed here."""
    return [f"{name}=={version(name).partition('+')[0]}" for name in NEEDED]


def save_served_model(path: Path, model: Any, run_id: str, bundle: Path) -> None:
    """Write what MLflow loads and serves into a folder; `model` is the logged model that it is uploaded as."""
    save_model(
        path,
        mlflow_model=Model(
            artifact_path=model.artifact_location, model_uuid=model.model_id, run_id=run_id, model_id=model.model_id
        ),
        python_model=str(SERVED_MODEL),
        artifacts={"bundle": bundle.as_uri()},  # MLflow takes a path for an address, too
        code_paths=[str(PACKAGE)],
        signature=_signature(),
        input_example=EXAMPLE,
        pip_requirements=requirements(),
    )
    card = bundle / CARD
    if card.exists():
        shutil.copyfile(card, path / CARD)
    for left_over in list(path.rglob("__pycache__")):
        shutil.rmtree(left_over)


def _signature() -> Any:
    """Texts go in, as a list or as a table of one column; an intent and slots come out, or what is wrong with a row.

    The column is of any type: MLflow would make the word "None" of a null, and refuse all rows for a list among them.
    """
    text, whole, number = DataType.string, DataType.long, DataType.double
    slot = Object(
        [
            Property("slot", text),
            Property("value", text),
            Property("start_word", whole),
            Property("end_word", whole),
            Property("start", whole),
            Property("end", whole),
            Property("probability", number),
        ]
    )
    any_value: Any = AnyType  # without types of its own
    answer = [
        ColSpec(text, "intent", required=False),
        ColSpec(number, "intent_probability", required=False),
        ColSpec(Array(slot), "slots", required=False),
        ColSpec(text, "error", required=False),
    ]
    return ModelSignature(inputs=Schema([ColSpec(any_value())]), outputs=Schema([*answer]))


def _copy_metrics(client: Any, run_id: str, model_id: str) -> None:
    """Show the run's scores on the model's page too; a metric with the same time and step is stored once a run."""
    names = [name for name in client.get_run(run_id).data.metrics if name.startswith(("test_", "selection_score"))]
    latest = [max(client.get_metric_history(run_id, name), key=lambda m: (m.step, m.timestamp)) for name in names]
    client.log_batch(run_id, [Metric(m.key, m.value, m.timestamp, m.step, model_id=model_id) for m in latest])


def list_models(uri: str) -> tuple[RegisteredVersion, ...]:
    """Return all versions of all models that this program registered, by name, the newest version first."""
    with plainly(uri), timeouts():
        client = connect(uri)
        models = client.search_registered_models(f"name LIKE '{PREFIX}%'", max_results=1000)
        found = [
            registered_version(version, version.tags, model.aliases)
            for model in models
            for version in client.search_model_versions(f"name = '{model.name}'", max_results=1000)
        ]
    return in_order(found)


def alias_holder(uri: str, name: str, alias: str) -> int | None:
    """Return the version of a model that an alias points at, whoever made it; none where it points at none."""
    with plainly(uri):
        models = connect(uri).search_registered_models(f"name = '{name}'")
    found = [model.aliases[alias] for model in models if alias in model.aliases]
    return int(found[0]) if found else None


def find_version(uri: str, name: str | None, alias_or_version: str | None) -> RegisteredVersion:
    """Return one version: where none is said the champion, or the candidate where there is no champion.

    Raises ModelError with the valid names, versions and aliases.
    """
    return chosen_version(list_models(uri), name, alias_or_version)


def set_alias(uri: str, name: str, alias: str, version: int) -> None:
    """Let an alias point at a version."""
    with plainly(uri):
        connect(uri).set_registered_model_alias(name, alias, str(version))


def set_tags(uri: str, name: str, version: int, tags: Mapping[str, str]) -> None:
    """Set tags of a version."""
    with plainly(uri):
        client = connect(uri)
        for tag, value in tags.items():
            client.set_model_version_tag(name, str(version), tag, value)


def mark_checked(uri: str, name: str, version: int) -> None:
    """Note that a version was loaded in a fresh process and gave the same answers there."""
    set_tags(uri, name, version, {CHECKED_TAG: "yes"})


def missing_files(uri: str, name: str, version: int) -> set[str]:
    """Return what a version's bundle lacks, looked for where its files should lie."""
    with plainly(uri):
        client = connect(uri)
        source = client.get_model_version(name, str(version)).source
        if not source.startswith(MODELS):
            return set()
        found = client.list_logged_model_artifacts(source.removeprefix(MODELS), "artifacts/bundle")
    return NEEDED_FILES - {Path(file.path).name for file in found if file.file_size}


def link_search(client: Any, search_run: StoredRun, model_id: str, name: str, version: int) -> None:
    """Let the search's own run show the registered model."""
    if model_id not in {output.model_id for output in client.get_run(search_run.run_id).outputs.model_outputs}:
        client.log_outputs(search_run.run_id, [LoggedModelOutput(model_id, step=0)])
    client.set_tag(search_run.run_id, MODEL_TAG, f"{MODELS}{name}/{version}")


def create_version(client: Any, name: str, run_id: str, model_id: str, tags: dict[str, str], text: str) -> int:
    """Register a logged model under a name, and return the version's number."""
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    created = client.create_model_version(
        name, f"models:/{model_id}", run_id, tags=tags, description=text, model_id=model_id, await_creation_for=60
    )
    versions = json.dumps([{"name": name, "version": created.version}])
    client.set_logged_model_tags(model_id, {"mlflow.modelVersions": versions})  # the link that the UI shows
    return int(created.version)
