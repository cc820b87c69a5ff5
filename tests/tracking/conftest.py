"""A real MLflow store for the whole test run, a tiny trained trial, and the record of a small search."""

import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from xa_search.model.decoding import SlotDecoder, transition_scores
from xa_search.model.encoder import load_tokenizer, prepare_encoder
from xa_search.records import EncodedCorpus, EncoderFiles, SearchRecord, TrialJob, TrialRecord, TrialSettings
from xa_search.tracking.address import tracking_uri
from xa_search.tracking.store import connect, open_experiment
from xa_search.training.checkpoint import build_model, save_checkpoint

INTENTS = ("clean", "light_on", "wake_up")
SLOT_TAGS = ("O", "B-room", "I-room", "B-time", "I-time")
TARGETS = ("de", "th")
KNOWN_TEXTS = ("clean the kitchen", "putze die Küche", "เปิดไฟในครัว", "wake me up at 7", "")


@pytest.fixture(scope="session")
def mlflow_home(tmp_path_factory: pytest.TempPathFactory, with_tables: Callable[[Path], Path]) -> Path:
    """A home with one experiment in its store."""
    home = with_tables(tmp_path_factory.mktemp("mlflow"))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        open_experiment(connect(tracking_uri(home)))
    return home


@pytest.fixture(scope="session")
def uri(mlflow_home: Path) -> str:
    return f"sqlite:///{mlflow_home / 'mlflow.db'}"


@pytest.fixture
def closed_uri() -> str:
    """The address of a server that is away."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{closed.getsockname()[1]}"


@pytest.fixture(scope="session")
def tiny_encoder(shared_home: Path) -> EncoderFiles:
    return prepare_encoder("tiny", shared_home)


@pytest.fixture(scope="session")
def make_trial(
    tiny_encoder: EncoderFiles, shared_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple[TrialJob, Path]]:
    """Write the weights of a trial whose parameters are random enough to give slots; nothing is trained."""

    def make(
        seed: int = 1, texts: tuple[str, ...] | None = KNOWN_TEXTS, slot_tags: tuple[str, ...] = SLOT_TAGS
    ) -> tuple[TrialJob, Path]:
        folder = tmp_path_factory.mktemp("trial")
        job = TrialJob(
            settings=TrialSettings(model_size="tiny", precision="fp32", max_tokens=64, seed=seed),
            encoder=tiny_encoder,
            corpus=EncodedCorpus(directory=folder, source="en", targets=TARGETS, intents=INTENTS, slot_tags=slot_tags),
            selection="label_free",
            directory=folder,
            home=shared_home,
            threads=2,
        )
        tokenizer = load_tokenizer(tiny_encoder.directory)
        known = range(len(tokenizer)) if texts is None else {i for t in texts for i in tokenizer(t)["input_ids"]}
        torch.manual_seed(seed)
        model, kept_ids = build_model(tiny_encoder, job.corpus, job.settings, torch.tensor(sorted(known)))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.3 * torch.randn_like(parameter)
        if job.corpus.has_slots:
            model.decoder = SlotDecoder(transition_scores(np.array([0, 1, 2, 0, 3]), np.array([3, 2]), slot_tags))
            model.decoder.weight.fill_(0.3)
        model.temperatures.copy_(torch.tensor([2.0, 0.5]))
        save_checkpoint(model, kept_ids, folder / "best.safetensors")
        return job, folder / "best.safetensors"

    return make


@pytest.fixture(scope="session")
def search_record() -> SearchRecord:
    return small_search()


def small_search(search_id: str = "rooms-1234", score: float = 0.7) -> SearchRecord:
    """A search of four trials: a baseline, a winner, one stopped early, one failed."""
    settings = TrialSettings(model_size="tiny")
    tests = {
        f"test_{kind}_{lang}": 0.5 for kind in ("intent_acc", "slot_f1", "exact_match") for lang in ("en", *TARGETS)
    }
    better = {name: value + (0.25 if name.endswith("th") else 0.1) for name, value in tests.items()}
    done = TrialRecord(
        number=0,
        role="baseline",
        settings=settings.model_copy(update={"method": "zero_shot"}),
        params={"learning_rate": 2e-4, "align_weight": 0.0},
        state="COMPLETE",
        scores=(0.4, 0.5),
        best_epoch=2,
        metrics={"dev_intent_acc_en": 0.9},
        seconds=12.0,
    )
    return SearchRecord(
        search_id=search_id,
        source="en",
        targets=TARGETS,
        selection="label_free",
        trials=(
            done,
            replace(
                done,
                number=1,
                role="published",
                scores=(0.5, score),
                params={"learning_rate": 1e-4, "align_weight": 1.0},
            ),
            replace(
                done,
                number=2,
                role="searched",
                state="PRUNED",
                scores=(0.2,),
                params={"learning_rate": 1e-3, "align_weight": 30.0},
            ),
            replace(
                done,
                number=3,
                role="searched",
                state="FAIL",
                scores=(),
                best_epoch=None,
                metrics={},
                failure="non_finite",
                failure_text="loss is nan",
                params={"learning_rate": 1e-2, "align_weight": 3.0},
            ),
        ),
        winner=1,
        baseline=0,
        test_metrics={0: tests, 1: better},
        importances={"learning_rate": 0.8, "align_weight": 0.2},
    )
