"""A bundle as an MLflow model. In: a bundle and a trial's run. Out: the logged model, which serves itself.

The model carries this program's code and the exact versions of the packages it needs; nothing in it is pickled.
"""

import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from xa_search.tracking.store import StoredRun

PACKAGE = Path(__file__).resolve().parents[1]
SERVED_MODEL = Path(__file__).with_name("served_model.py")
NEEDED = (
    *("mlflow", "torch", "transformers", "tokenizers", "safetensors", "datasets", "seqeval"),
    *("numpy", "pandas", "pydantic"),
)
EXAMPLE = ["Set an alarm for 7:30 tomorrow morning.", "Wie wird das Wetter morgen in Berlin?"]


def log_model(client: Any, experiment: str, run: StoredRun, name: str, bundle: Path) -> str:
    """Upload the bundle as the run's model of this name, and return the model's id."""
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus

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
        _save(path, model, run.run_id, bundle)
        client.log_model_artifacts(model.model_id, str(path))
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    model_id: str = model.model_id
    return model_id


def requirements() -> list[str]:
    """Return what a server of the model installs: the versions that are installed here."""
    return [f"{name}=={version(name).partition('+')[0]}" for name in NEEDED]


def _save(path: Path, model: Any, run_id: str, bundle: Path) -> None:
    from mlflow.models import Model
    from mlflow.pyfunc import save_model

    save_model(
        path,
        mlflow_model=Model(
            artifact_path=model.artifact_location, model_uuid=model.model_id, run_id=run_id, model_id=model.model_id
        ),
        python_model=str(SERVED_MODEL),
        artifacts={"bundle": str(bundle)},
        code_paths=[str(PACKAGE)],
        signature=_signature(),
        input_example=EXAMPLE,
        pip_requirements=requirements(),
    )
    for left_over in list(path.rglob("__pycache__")):
        shutil.rmtree(left_over)


def _signature() -> Any:
    """Texts go in, as a list or as a table of one column; an intent and slots come out."""
    from mlflow.models import ModelSignature
    from mlflow.types.schema import Array, ColSpec, DataType, Object, Property, Schema

    text, whole, number = DataType.string, DataType.long, DataType.double
    slot = Object(
        [
            Property("slot", text),
            Property("value", text),
            Property("start_word", whole),
            Property("end_word", whole),
        ]
    )
    answer = [ColSpec(text, "intent"), ColSpec(number, "intent_probability"), ColSpec(Array(slot), "slots")]
    return ModelSignature(inputs=Schema([ColSpec(text)]), outputs=Schema([*answer]))


def _copy_metrics(client: Any, run_id: str, model_id: str) -> None:
    """Show the run's scores on the model's page too; a metric with the same time and step is stored once a run."""
    from mlflow.entities import Metric

    names = [name for name in client.get_run(run_id).data.metrics if name.startswith(("test_", "selection_score"))]
    latest = [max(client.get_metric_history(run_id, name), key=lambda m: (m.step, m.timestamp)) for name in names]
    client.log_batch(run_id, [Metric(m.key, m.value, m.timestamp, m.step, model_id=model_id) for m in latest])
