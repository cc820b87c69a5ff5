"""A small corpus in three languages, encoded with the tiny encoder: enough to train on within a second."""

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rooms import RoomCorpus

from xa_search.encoding.store import encode_corpus
from xa_search.model.encoder import load_tokenizer, prepare_encoder
from xa_search.records import EncodedCorpus, EncoderFiles, TrialJob, TrialSettings


@pytest.fixture(scope="session")
def room_corpus() -> RoomCorpus:
    return RoomCorpus()


@pytest.fixture(scope="session")
def tiny_encoder(shared_home: Path) -> EncoderFiles:
    return prepare_encoder("tiny", shared_home)


@pytest.fixture(scope="session")
def tiny_tokenizer(tiny_encoder: EncoderFiles) -> Any:
    return load_tokenizer(tiny_encoder.directory)


@pytest.fixture(scope="session")
def encoded_rooms(
    room_corpus: RoomCorpus, tiny_encoder: EncoderFiles, tiny_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory
) -> EncodedCorpus:
    encoded = encode_corpus(
        room_corpus,
        tiny_tokenizer,
        tiny_encoder.tokenizer_fingerprint,
        max_tokens=64,
        with_target_dev=True,
        with_target_train=True,
        home=tmp_path_factory.mktemp("rooms"),
    )
    gc.collect()
    gc.freeze()  # what encoding imported, too, is left out of the search for garbage that each trial begins with
    return encoded


@pytest.fixture
def make_job(
    encoded_rooms: EncodedCorpus, tiny_encoder: EncoderFiles, shared_home: Path, tmp_path: Path
) -> Callable[..., TrialJob]:
    def make(selection: Any = "label_free", name: str = "trial", **settings: Any) -> TrialJob:
        values = {"model_size": "tiny", "epochs": 2, "batch_size": 8, "learning_rate": 1e-3, "precision": "fp32"}
        return TrialJob(
            settings=TrialSettings.model_validate(values | settings),
            encoder=tiny_encoder,
            corpus=encoded_rooms,
            selection=selection,
            directory=tmp_path / name,
            home=shared_home,
            threads=1,
        )

    return make
