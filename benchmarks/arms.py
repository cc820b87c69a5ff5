"""The arms that are compared. In: a corpus and settings. Out: a TrialJob for each arm, and what trains it on some rows.

`published` is the published step, `ours` the product's, `ours_batch_10` the product's with as many steps as the
published one takes, `ours_as_published` the product's with the published hyper-parameters: between the first and the
last only the execution differs.
"""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from published_step import PublishedLearner, build_published, published_batches

from xa_search.errors import UsageError
from xa_search.model.encoder import prepare_encoder
from xa_search.model.hub import quiet_transformers
from xa_search.records import Plan, TrialJob
from xa_search.training.data import TrialData
from xa_search.training.steps import step_batches
from xa_search.training.trainer import Trainer, build_trainer
from xa_search.workflows.plan import make_plan
from xa_search.workflows.preflight import Prepared, prepare_search
from xa_search.workflows.run import make_trial_job

AnyLearner = Trainer | PublishedLearner

SPACE = "mtod-small"
PUBLISHED_SETTINGS = {"batch_size": 10, "pairing": "independent", "embedding": "cls"}
ARMS: dict[str, dict[str, Any]] = {
    "published": PUBLISHED_SETTINGS,
    "ours": {"batch_size": 32},
    "ours_batch_10": {"batch_size": 10},
    "ours_as_published": PUBLISHED_SETTINGS,
}
DIMENSIONS: dict[str, dict[str, Any]] = {
    "base": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072},
    "large": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096},
}


def prepare_arms(data: Path, home: Path, threads: int, encoders: list[str]) -> tuple[Plan, Prepared]:
    """Encode the corpus for these encoders, once."""
    changes = (f"cpus_per_trial={threads}", "trials=2")
    plan = make_plan(SPACE, changes, home=home.absolute(), data=data.resolve())
    return plan, prepare_search(plan, tuple(encoders), lambda _: None)


def arm_job(plan: Plan, prepared: Prepared, arm: str, encoder: str, **settings: Any) -> TrialJob:
    """Return the job of an arm with further settings, which are the same for all arms unless the caller differs."""
    values = plan.trial_settings({"model_size": encoder, "frozen_share": 0.0, **ARMS[arm], **settings})
    return make_trial_job(plan, prepared, values, f"benchmark-{arm}")


def build_arm(arm: str, job: TrialJob, pad_length: int) -> AnyLearner:
    """Load an arm's data and model. Sets the thread count and the random state of this process."""
    return build_published(job, pad_length) if arm == "published" else build_trainer(job)


def batches_of(trainer: AnyLearner, data: TrialData, epoch: int) -> Iterator[Any]:
    """Yield the inputs of the steps of one pass over `data`."""
    settings = trainer.job.settings
    if isinstance(trainer, PublishedLearner):
        return published_batches(data, trainer.padder, settings, epoch)
    return step_batches(data, trainer.collator, settings, epoch)


def train(trainer: AnyLearner, data: TrialData, epoch: int) -> None:
    """Take one pass over `data`."""
    trainer.model.train()
    for batch in batches_of(trainer, data, epoch):
        trainer.take_step(batch)


def draw_rows(data: TrialData, count: int, seed: int, turn: int) -> TrialData:
    """Return the data with `count` of its training rows, drawn anew for each turn, the same for all arms."""
    if count > len(data.train):
        raise UsageError(f"--examples {count}: there are {len(data.train)} training utterances; give at most as many")
    chosen = np.random.default_rng([seed, turn]).permutation(len(data.train))[:count]
    pairs = {lang: rows[chosen] for lang, rows in data.train_pairs.items()}
    return replace(data, train=data.train[chosen], train_pairs=pairs)


def encoder_of(size: str, home: Path) -> str:
    """Return the model size to ask for: base and large are random weights in a directory, which is written once."""
    if size not in DIMENSIONS:
        return size
    directory = home / "random_encoders" / size
    if not directory.exists():
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory.parent) as folder:
            _write_random_encoder(size, prepare_encoder("small", home).directory, Path(folder) / size)
            (Path(folder) / size).replace(directory)
    return str(directory)


def _write_random_encoder(size: str, small: Path, directory: Path) -> None:
    """XLM-R's dimensions with the tokenizer and so the number of embedding rows of the small encoder."""
    from transformers import AutoConfig, XLMRobertaConfig, XLMRobertaModel

    vocabulary = AutoConfig.from_pretrained(small).vocab_size
    config = XLMRobertaConfig(
        vocab_size=vocabulary, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5, **DIMENSIONS[size]
    )
    with torch.random.fork_rng(devices=[]), quiet_transformers():
        torch.manual_seed(0)
        XLMRobertaModel(config, add_pooling_layer=False).save_pretrained(directory)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(small / name, directory)
