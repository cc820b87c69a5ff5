"""What has to hold for anything that is asked of a served model. In: a model, a random generator. Out: an outcome.

Asked as MLflow's server is: a body of JSON. What is no request is refused with status 400, never with 500, and there is
one answer for each row, in their order.
"""

import json
import random
import traceback
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import torch
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PyFuncModel
from mlflow.pyfunc.scoring_server import invocations

from fuzzing.mutations import any_value, mutated
from xa_search.model.encoder import load_tokenizer, prepare_encoder
from xa_search.records import EncodedCorpus, TrialJob, TrialSettings
from xa_search.tracking.bundle import write_bundle
from xa_search.tracking.registry import save_served_model
from xa_search.training.checkpoint import build_model, save_checkpoint

TEXTS = (
    "wake me up at 7",
    "เปิดไฟในครัว",
    "e\u0301\u200bf \u00a0 x",
    "",
    " ",
    "\ud800",
    "x" * 999,
    "a ||| b",
    "\0",
    None,
    7,
)
OURS = "Encountered an unexpected error while evaluating the model"


def untrained_model(folder: Path, home: Path) -> PyFuncModel:
    """Load a served model with a tiny encoder, whose parameters are random."""
    encoder = prepare_encoder("tiny", home)
    corpus = EncodedCorpus(
        directory=folder,
        source="en",
        targets=("de",),
        intents=("clean", "wake_up"),
        slot_tags=("O", "B-time", "I-time"),
    )
    settings = TrialSettings(model_size="tiny", precision="fp32", max_tokens=64)
    job = TrialJob(
        settings=settings,
        encoder=encoder,
        corpus=corpus,
        selection="label_free",
        directory=folder,
        home=home,
        threads=1,
    )
    torch.manual_seed(1)
    model, kept_ids = build_model(encoder, corpus, settings, torch.arange(len(load_tokenizer(encoder.directory))))
    save_checkpoint(model, kept_ids, folder / "best.safetensors")
    write_bundle(job, folder / "best.safetensors", folder / "bundle", {})
    logged = SimpleNamespace(artifact_location=str(folder), model_id="m-1")
    save_served_model(folder / "model", logged, "0", folder / "bundle")
    return mlflow.pyfunc.load_model(str(folder / "model"))


def any_rows(rng: random.Random) -> list[Any]:
    """Return texts, and some values that are none."""
    return [rng.choice(TEXTS) if rng.random() < 0.8 else any_value(rng) for _ in range(rng.randint(1, 4))]


def check_served(model: PyFuncModel, rng: random.Random, _folder: Path) -> str:
    """Ask for some rows, and hold the answers against them; or ask for what are none."""
    rows = any_rows(rng)
    lists: tuple[Any, ...] = (
        {"inputs": rows},
        {"inputs": {"text": rows}},
        {"dataframe_split": {"columns": ["text"], "data": [[row] for row in rows]}},
        {"dataframe_records": [{"text": row} for row in rows]},
    )
    others: tuple[Any, ...] = (
        {"instances": rows},
        {"inputs": any_value(rng)},
        {"dataframe_split": any_value(rng)},
        {"dataframe_records": any_value(rng)},
        {"inputs": rows, "params": any_value(rng)},
        any_value(rng),
    )
    is_list = rng.random() < 0.7
    body = json.dumps(rng.choice(lists if is_list else others))
    if not is_list and rng.random() < 0.5:
        body = mutated(rng, body.encode()).decode("utf-8", "replace")
    try:
        answer = invocations(body, "application/json", model, model.metadata.get_input_schema())
    except MlflowException as error:
        if OURS in error.message:
            raise AssertionError((body[:300], error.stack_trace)) from error
        return f"refused by MLflow: {error.get_http_status_code()}"
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        if any("xa_search" in frame.filename for frame in frames):
            raise
        return "an error of MLflow's own"
    found = json.loads(answer.response)["predictions"]
    assert not is_list or len(found) == len(rows), body[:300]
    assert all("error" in one or {"intent", "slots"} <= one.keys() for one in found), body[:300]
    return "answered"
