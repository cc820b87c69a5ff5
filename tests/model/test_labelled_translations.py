"""Labelled translations: which words match, in which layer, and the tables that come of it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from xa_search.encoding.files import write_table
from xa_search.encoding.store import table_path
from xa_search.encoding.table import EncodedRow, EncodedTable
from xa_search.model import labelled_translations
from xa_search.model.encoder import load_encoder, prepare_encoder
from xa_search.model.labelled_translations import WordEmbeddings, match_words, matching_layer, project_translations
from xa_search.records import EncodedCorpus, EncoderFiles

CPU = torch.device("cpu")
FIRST_ID = 10

pytestmark = pytest.mark.usefixtures("offline")


def columns(sentences: Sequence[str], source_rows: Sequence[int], slots: Sequence[list[str]] | None) -> dict[str, Any]:
    """Each letter is a word of two sub-words; its case is another one."""
    return {
        "id": [str(number) for number in range(len(sentences))],
        "words": [list(sentence) for sentence in sentences],
        "input_ids": [ids(sentence) for sentence in sentences],
        "positions": [list(range(1, 2 * len(sentence), 2)) for sentence in sentences],
        "intent": [f"intent {number}" for number in range(len(sentences))] if slots else [None] * len(sentences),
        "slots": slots or [None] * len(sentences),
        "text": list(range(len(sentences))),
        "template": list(range(len(sentences))),
        "source_row": source_rows,
    }


def ids(sentence: str) -> list[int]:
    return [0, *(token for letter in sentence for token in (FIRST_ID + ord(letter) - ord("A"), FIRST_ID + 60)), 2]


@pytest.fixture
def corpus(tmp_path: Path) -> EncodedCorpus:
    """Translations into `xx` are the source's own words, in another order of rows and with one row of no source."""
    made = EncodedCorpus(directory=tmp_path, source="en", targets=("xx",), intents=(), slot_tags=())
    tags = [["O", "B-x", "I-x"], ["B-y", "O"], ["O"]]
    write_table(table_path(made, "train", "en"), [columns(["ABC", "DE", "F"], [-1] * 3, tags)])
    write_table(table_path(made, "translations", "xx"), [columns(["DE", "G", "ABC"], [1, -1, 0], None)])
    return made


def projected(corpus: EncodedCorpus, files: EncoderFiles, source_rows: Sequence[int] = (0, 1, 2)) -> EncodedTable:
    tables = [
        EncodedTable(table_path(corpus, split, lang)) for split, lang in (("train", "en"), ("translations", "xx"))
    ]
    token_ids = torch.from_numpy(np.unique(np.concatenate([table.token_ids() for table in tables])))
    return project_translations(files, corpus, token_ids, np.array(source_rows), CPU)["xx"]


def test_two_words_match_when_each_is_the_others_most_similar_one() -> None:
    source = functional.normalize(torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]]), dim=-1)
    target = functional.normalize(torch.tensor([[0.0, 1.0], [1.0, 0.05]]), dim=-1)
    assert match_words(source, target) == [(0, 1), (2, 0)]
    assert match_words(source, target[:0]) == []


def test_the_same_words_match_themselves_and_take_their_sources_labels(
    corpus: EncodedCorpus, tiny: EncoderFiles
) -> None:
    table = projected(corpus, tiny)
    rows = table.rows(np.arange(3))
    assert [row.slots for row in rows] == [["B-y", "O"], None, ["O", "B-x", "I-x"]]
    assert [row.intent for row in rows] == ["intent 1", None, "intent 0"]
    before = EncodedTable(table_path(corpus, "translations", "xx"))
    for row, old in zip(rows, before.rows(np.arange(3)), strict=True):
        assert (row.id, row.words, old.intent, old.slots) == (old.id, old.words, None, None)
        assert np.array_equal(row.input_ids, old.input_ids)
        assert np.array_equal(row.positions, old.positions)
    assert table.source_rows.tolist() == before.source_rows.tolist()
    assert table.texts.tolist() == before.texts.tolist()
    assert table.span_counts.tolist() == [1, 0, 1]
    assert before.span_counts.tolist() == [0, 0, 0]


def test_the_tables_are_made_once_for_an_encoder(
    corpus: EncodedCorpus, tiny: EncoderFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    projected(corpus, tiny)
    files = {path.name for path in corpus.directory.glob("projected-*.arrow")}
    projected(corpus, replace(tiny, revision="another"))
    assert len({path.name for path in corpus.directory.glob("projected-*.arrow")} - files) == 1
    monkeypatch.setattr(labelled_translations, "load_trimmed_encoder", lambda *_: pytest.fail("loaded an encoder"))
    projected(corpus, tiny)


def test_only_the_rows_that_trials_learn_from_get_labels(corpus: EncodedCorpus, tiny: EncoderFiles) -> None:
    rows = projected(corpus, tiny, source_rows=[0]).rows(np.arange(3))
    assert [row.slots for row in rows] == [None, None, ["O", "B-x", "I-x"]]
    assert [row.intent for row in rows] == [None, None, "intent 0"]
    assert projected(corpus, tiny).rows(np.arange(1))[0].slots == ["B-y", "O"]


def test_words_that_are_cut_off_are_outside(corpus: EncodedCorpus, tiny: EncoderFiles) -> None:
    cut = columns(["DE", "G", "ABC"], [1, -1, 0], None)
    cut["input_ids"][2], cut["positions"][2] = ids("AB"), [1, 3]
    write_table(table_path(corpus, "translations", "xx"), [cut])
    tags = projected(corpus, tiny).rows(np.array([2]))[0].slots
    assert tags is not None
    assert (len(tags), tags[2]) == (3, "O")


@pytest.mark.parametrize(
    ("model_class", "config_class"),
    [
        ("XLMRobertaModel", "XLMRobertaConfig"),
        ("DebertaV2Model", "DebertaV2Config"),
        ("ModernBertModel", "ModernBertConfig"),
    ],
)
def test_a_words_embedding_is_its_first_sub_words_at_two_thirds_of_the_depth(
    model_class: str, config_class: str, local_model: Callable[..., Path], tmp_path: Path
) -> None:
    files = prepare_encoder(str(local_model(model_class, config_class, num_hidden_layers=3)), tmp_path)
    rows = [
        EncodedRow(
            id="x", words=list(text), input_ids=np.array(ids(text)), positions=np.array([1, 3]), intent=None, slots=None
        )
        for text in ("AB", "CDE")
    ]
    found = WordEmbeddings(load_encoder(files), matching_layer(3), CPU).embed(rows)
    plain: Any = load_encoder(files)
    for row, words in zip(rows, found, strict=True):
        with torch.inference_mode():
            states = plain(input_ids=torch.tensor(row.input_ids)[None], output_hidden_states=True).hidden_states
        assert len(states) == 4
        expected = functional.normalize(states[2][0, [1, 3]], dim=-1)
        torch.testing.assert_close(words, expected, rtol=1e-4, atol=1e-4)


def test_the_layer_that_matches_words() -> None:
    assert [matching_layer(depth) for depth in (1, 2, 12, 24)] == [1, 1, 8, 16]
