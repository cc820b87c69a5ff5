"""Trimmed encoders on disk: equal to the bit, written once, written anew when damaged or outdated, never changed."""

import dataclasses
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file, save_file

from xa_search.encoding.store import table_path
from xa_search.errors import ModelError
from xa_search.model import trimming as trimmed
from xa_search.model.encoder import load_encoder, prepare_encoder
from xa_search.model.trimming import distinct_token_ids, load_trimmed_encoder, trim_vocabulary
from xa_search.records import EncodedCorpus, EncoderFiles

pytestmark = pytest.mark.usefixtures("offline")

IDS = torch.tensor([0, 2, 5, 40, 41, 300])
PAD = 1
TABLES = [("train", "en"), ("translations", "th")]


def trimmed_in_memory(files: EncoderFiles) -> Any:
    encoder = load_encoder(files)
    trim_vocabulary(encoder, IDS, [PAD])
    return encoder


def assert_equal(left: Any, right: Any) -> None:
    assert not left.training
    assert left.config._attn_implementation == right.config._attn_implementation
    for tensors in ("named_parameters", "named_buffers"):
        pairs = list(zip(getattr(left, tensors)(), getattr(right, tensors)(), strict=True))
        for (name, ours), (same_name, theirs) in pairs:
            assert name == same_name
            assert (ours.dtype, ours.requires_grad) == (theirs.dtype, theirs.requires_grad), name
            assert torch.equal(ours, theirs), name
    inputs = {"input_ids": IDS.repeat(2, 3), "attention_mask": torch.ones(2, 18, dtype=torch.int64)}
    inputs["input_ids"][1, 9:], inputs["attention_mask"][1, 9:] = PAD, 0
    for ours, theirs in zip(left(**inputs).to_tuple(), right(**inputs).to_tuple(), strict=True):
        assert torch.equal(ours, theirs)


def only_file(directory: Path, prefix: str) -> Path:
    (path,) = directory.iterdir()
    assert path.name.startswith(prefix)
    return path


# ---- the encoder


@pytest.mark.parametrize(
    ("model_class", "config_class", "embedding"),
    [
        ("XLMRobertaModel", "XLMRobertaConfig", "mean"),
        ("XLMRobertaModel", "XLMRobertaConfig", "pooler"),
        ("BertModel", "BertConfig", "cls"),
        ("BertModel", "BertConfig", "pooler"),
        ("DebertaV2Model", "DebertaV2Config", "cls"),
        ("ModernBertModel", "ModernBertConfig", "mean"),
    ],
)
def test_each_architecture_is_the_same_to_the_bit_when_written_and_when_read(
    model_class: str, config_class: str, embedding: str, local_model: Callable[..., Path], tmp_path: Path
) -> None:
    files = prepare_encoder(str(local_model(model_class, config_class)), tmp_path)
    files = dataclasses.replace(files, embedding=embedding)
    (tmp_path / "corpus").mkdir()
    expected = trimmed_in_memory(files)
    for _ in range(2):
        encoder, kept_ids = load_trimmed_encoder(files, IDS, tmp_path / "corpus")
        assert kept_ids.tolist() == [0, 1, 2, 5, 40, 41, 300]
        assert_equal(encoder, expected)
    only_file(tmp_path / "corpus", "encoder-")


def test_a_second_trial_reads_neither_the_full_weights_nor_random_numbers_and_says_nothing(
    tiny: EncoderFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    load_trimmed_encoder(tiny, IDS, tmp_path)
    monkeypatch.setattr(trimmed, "load_encoder", lambda files: pytest.fail("read in full"))
    load_trimmed_encoder(tiny, IDS, tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
    assert capfd.readouterr() == ("", "")


def test_training_does_not_change_the_file(tiny: EncoderFiles, tmp_path: Path) -> None:
    load_trimmed_encoder(tiny, IDS, tmp_path)
    before = only_file(tmp_path, "encoder-").read_bytes()
    encoder, _ = load_trimmed_encoder(tiny, IDS, tmp_path)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.fill_(3.0)
    assert only_file(tmp_path, "encoder-").read_bytes() == before
    assert_equal(load_trimmed_encoder(tiny, IDS, tmp_path)[0], trimmed_in_memory(tiny))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def scramble(path: Path) -> None:
    path.write_bytes(b"{nonsense" * 100)


def drop_a_tensor(path: Path) -> None:
    tensors = load_file(path, backend="pread")
    del tensors["encoder.layer.0.output.dense.bias"]
    save_file(tensors, path)


def cut_a_tensor(path: Path) -> None:
    tensors = load_file(path, backend="pread")
    tensors["embeddings.word_embeddings.weight"] = tensors["embeddings.word_embeddings.weight"][1:].clone()
    save_file(tensors, path)


@pytest.mark.parametrize("damage", [truncate, empty, scramble, drop_a_tensor, cut_a_tensor])
def test_a_damaged_file_is_written_anew(damage: Callable[[Path], None], tiny: EncoderFiles, tmp_path: Path) -> None:
    load_trimmed_encoder(tiny, IDS, tmp_path)
    path = only_file(tmp_path, "encoder-")
    whole = path.read_bytes()
    damage(path)
    assert_equal(load_trimmed_encoder(tiny, IDS, tmp_path)[0], trimmed_in_memory(tiny))
    assert path.read_bytes() == whole


def test_another_encoder_in_the_same_folder_is_read_anew(tmp_path: Path) -> None:
    files = prepare_encoder("tiny", tmp_path)
    (tmp_path / "corpus").mkdir()
    load_trimmed_encoder(files, IDS, tmp_path / "corpus")
    weights = load_file(files.directory / "model.safetensors", backend="pread")
    save_file(
        {name: weight + 1 for name, weight in weights.items()}, files.directory / "model.safetensors", {"format": "pt"}
    )
    assert_equal(load_trimmed_encoder(files, IDS, tmp_path / "corpus")[0], trimmed_in_memory(files))


def test_other_rows_and_a_pooler_have_their_own_file(tiny: EncoderFiles, tmp_path: Path) -> None:
    for embedding in ("mean", "cls", "pooler"):
        load_trimmed_encoder(dataclasses.replace(tiny, embedding=embedding), IDS, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    load_trimmed_encoder(tiny, IDS[1:], tmp_path)
    load_trimmed_encoder(tiny, IDS.flip(0), tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_an_encoder_in_use_does_not_depend_on_its_file(tiny: EncoderFiles, tmp_path: Path) -> None:
    load_trimmed_encoder(tiny, IDS, tmp_path)
    encoder, _ = load_trimmed_encoder(tiny, IDS, tmp_path)
    empty(only_file(tmp_path, "encoder-"))
    assert_equal(encoder, trimmed_in_memory(tiny))


def test_ids_outside_the_encoder_are_refused(tiny: EncoderFiles, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="do not belong together"):
        load_trimmed_encoder(tiny, torch.tensor([10**6]), tmp_path)


def test_a_missing_pooler_is_refused(local_model: Callable[..., Path], tmp_path: Path) -> None:
    files = prepare_encoder(str(local_model("ModernBertModel", "ModernBertConfig")), tmp_path)
    with pytest.raises(ModelError, match="no trained pooler"):
        load_trimmed_encoder(dataclasses.replace(files, embedding="pooler"), IDS, tmp_path)


def test_a_place_that_cannot_be_written_is_one_line(tiny: EncoderFiles, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot write .*gone.*free some space there.*--home") as caught:
        load_trimmed_encoder(tiny, IDS, tmp_path / "gone")
    assert "\n" not in str(caught.value)


# ---- the token ids


@pytest.fixture
def corpus(tmp_path: Path) -> EncodedCorpus:
    """Two tables with the token ids that trimming asks for, and nothing else."""
    directory = tmp_path / "encoded"
    directory.mkdir()
    encoded = EncodedCorpus(directory=directory, source="en", targets=("th",), intents=(), slot_tags=())
    write_table(table_path(encoded, "train", "en"), [[0, 7, 2], [0, 9, 7, 2]])
    write_table(table_path(encoded, "translations", "th"), [[0, 500, 2]])
    return encoded


def write_table(path: Path, rows: list[list[int]]) -> None:
    table = pa.table({"input_ids": pa.array(rows, type=pa.list_(pa.int32()))})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)


def stored_ids(corpus: EncodedCorpus) -> list[Path]:
    return sorted(corpus.directory.glob("token-ids-*"))


def test_the_token_ids_of_tables_are_counted_once(corpus: EncodedCorpus, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = distinct_token_ids(corpus, TABLES)
    assert counted.tolist() == [0, 2, 7, 9, 500]
    monkeypatch.setattr(trimmed, "EncodedTable", lambda path: pytest.fail("read a table"))
    again = distinct_token_ids(corpus, TABLES)
    assert torch.equal(again, counted)
    assert again.dtype == torch.int64


def test_workers_that_come_at_once_leave_one_whole_file(corpus: EncodedCorpus) -> None:
    with ThreadPoolExecutor(4) as workers:
        found = list(workers.map(lambda _: distinct_token_ids(corpus, TABLES).tolist(), range(40)))
    assert found == [[0, 2, 7, 9, 500]] * 40
    names = {path.name for path in corpus.directory.iterdir()} - {"train.en.arrow", "translations.th.arrow"}
    assert names == {path.name for path in stored_ids(corpus)}
    assert len(names) == 1


def test_other_tables_have_their_own_token_ids(corpus: EncodedCorpus) -> None:
    distinct_token_ids(corpus, TABLES)
    assert distinct_token_ids(corpus, TABLES[:1]).tolist() == [0, 2, 7, 9]
    assert len(stored_ids(corpus)) == 2


def test_a_table_that_was_encoded_again_is_counted_again(corpus: EncodedCorpus) -> None:
    distinct_token_ids(corpus, TABLES)
    path = table_path(corpus, "train", "en")
    state = path.stat()
    write_table(path, [[0, 8, 2], [0, 9, 8, 2]])
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert distinct_token_ids(corpus, TABLES).tolist() == [0, 2, 8, 9, 500]


@pytest.mark.parametrize("damage", [truncate, empty, scramble])
def test_damaged_token_ids_are_counted_again(damage: Callable[[Path], None], corpus: EncodedCorpus) -> None:
    distinct_token_ids(corpus, TABLES)
    (path,) = stored_ids(corpus)
    damage(path)
    assert distinct_token_ids(corpus, TABLES).tolist() == [0, 2, 7, 9, 500]
    assert stored_ids(corpus) == [path]
    assert load_file(path, backend="pread")["token_ids"].tolist() == [0, 2, 7, 9, 500]
