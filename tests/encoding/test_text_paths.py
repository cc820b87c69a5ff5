"""One text, one reading: the words and the token ids of any text are the same on every path of the program."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xa_search.corpora import Corpus, own
from xa_search.corpora.raw_files import RawFiles
from xa_search.corpora.text import clean_words
from xa_search.encoding.store import encode_corpus, encode_split, table_path
from xa_search.encoding.table import EncodedRow, EncodedTable
from xa_search.encoding.tokenisation import tokenise_running_text
from xa_search.model.encoder import load_tokenizer, prepare_encoder
from xa_search.records import EncodedCorpus, TrialSettings
from xa_search.tracking.bundle import Bundle
from xa_search.training.evaluation import Prediction

PIECES = st.sampled_from([
    "a", "7", "</s>", "<pad>", "<unk>", "|||", " ", "\u00a0", "\u3000", "\u200b", "\u200d", "\ufeff", "\x85", "\x1c",
    "e\u0301", "\u0301", "ตั้ง", "ปลุก", "\u0e48\u0e38", "明日", "か\u3099", "\u1100\u1161",
    "½", "ﬁ", "क्\u200dष", "👩\u200d💻",
])  # fmt: skip
TEXTS = st.lists(PIECES | st.text(max_size=3), max_size=8).map("".join)


class Recorder:
    """Stands for a trained model: keeps what it is asked, and finds a slot at each word."""

    def __init__(self, *slot_tags: str) -> None:
        self.corpus = EncodedCorpus(
            directory=Path(), source="en", targets=(), intents=("x",), slot_tags=("O", *slot_tags)
        )
        self.rows: list[EncodedRow] = []

    def predict(self, rows: Sequence[EncodedRow]) -> list[Prediction]:
        self.rows = list(rows)
        return [
            Prediction(
                intent="x",
                intent_probability=1.0,
                slots=("B-x",) * len(row.words),
                slot_probabilities=(0.5,) * len(row.words),
            )
            for row in rows
        ]


@pytest.fixture(scope="module")
def tokenizer(shared_home: Path) -> Any:
    return load_tokenizer(prepare_encoder("tiny", shared_home).directory)


def bundle_of(tokenizer: Any, *slot_tags: str) -> tuple[Bundle, Recorder]:
    recorder = Recorder(*slot_tags)
    settings = TrialSettings(model_size="tiny", max_tokens=512)
    return Bundle(predictor=recorder, tokenizer=tokenizer, settings=settings, provenance={}), recorder  # type: ignore[arg-type]


def serve(bundle: Bundle, texts: list[object]) -> list[dict[str, Any]]:
    from xa_search.tracking.served_model import ServedModel

    model = ServedModel()
    model._bundle = bundle
    answers: list[dict[str, Any]] = model.predict(pd.DataFrame({"text": texts}, dtype=object))
    return answers


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(TEXTS, min_size=1, max_size=6), has_slots=st.booleans())
def test_a_text_is_read_the_same_way_everywhere(
    tokenizer: Any, tmp_path_factory: pytest.TempPathFactory, texts: list[str], has_slots: bool
) -> None:
    """As the words of a corpus, as the text of a translation, asked of a model, and of a served one."""
    texts = [text for text in texts if clean_words(text)]
    root, home = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("home")
    label = "B-x" if has_slots else "O"
    rows = [{"id": "first", "tokens": ["a"], "intent": "x", "slots": [label]}]
    rows += [{"id": str(n), "tokens": [text], "intent": "x", "slots": ["O"]} for n, text in enumerate(texts)]
    translations = [{"id": str(n), "text": text} for n, text in enumerate(texts)]
    for name, items in (("train.en.jsonl", rows), ("dev.en.jsonl", rows), ("translations.de.jsonl", translations)):
        (root / name).write_text("\n".join(map(json.dumps, items)))
    corpus = Corpus("own", "en", ("de",) if texts else (), RawFiles.open(root), own.LAYOUT)
    encoded = encode_corpus(
        corpus, tokenizer, "t", max_tokens=512, with_target_dev=False, with_target_train=False, home=home
    )
    words, lines = (
        [ids for _, ids in table_of(encoded, split, lang)] for split, lang in (("train", "en"), ("translations", "de"))
    )
    bundle, asked = bundle_of(tokenizer, *(("B-x", "I-x") if has_slots else ()))
    bundle.predict(texts)
    predicted = [row.input_ids.tolist() for row in asked.rows]
    serve(bundle, list(texts))
    assert words[1:] == (lines if texts else []) == predicted == [row.input_ids.tolist() for row in asked.rows]
    assert [row.words for row in asked.rows] == [found for found, _ in table_of(encoded, "translations", "de")]


def table_of(encoded: EncodedCorpus, split: str, lang: str) -> list[tuple[list[str], list[int]]]:
    path = table_path(encoded, split, lang)
    if not path.exists():
        return []
    table = EncodedTable(path)
    return [(row.words, row.input_ids.tolist()) for row in table.rows(pd.RangeIndex(len(table)).to_numpy())]


@settings(max_examples=200, deadline=None)
@given(text=TEXTS)
def test_places_cover_the_words_and_answers_quote_the_text(tokenizer: Any, text: str) -> None:
    (found,) = tokenise_running_text(tokenizer, [text], 512)
    end = 0
    for word, place in zip(found.words, found.places, strict=True):
        assert end <= place[0] < place[1] <= len(text)
        assert clean_words(text[slice(*place)]) == (word,)
        end = place[1]
    assert "".join(found.words) == "".join(word for word in clean_words(text)) or "\u200c" in text or "\u200d" in text
    bundle, _ = bundle_of(tokenizer, "B-x", "I-x")
    (answer,) = bundle.predict([text])
    assert [slot.text for slot in answer.slots] == [text[slice(*place)] for place in found.places]
    assert all(text[slot.start : slot.end] == slot.text for slot in answer.slots)
    assert (answer.intent is None) == (not clean_words(text))


def test_a_row_that_is_no_text_is_an_error_of_its_own(tokenizer: Any) -> None:
    bundle, asked = bundle_of(tokenizer, "B-x", "I-x")
    answers = serve(bundle, ["go", None, float("nan"), pd.NA, 5, ["go"], "caf\udce9", "", "\u200b", "on"])
    assert [row.words for row in asked.rows] == [["go"], ["on"]]
    assert answers[0]["slots"] == [
        {"slot": "x", "value": "go", "start_word": 0, "end_word": 0, "start": 0, "end": 2, "probability": 0.5}
    ]
    null = {"error": "null is no text; send a string in its place"}
    assert answers[1:4] == [null, null, null]
    assert answers[4:6] == [
        {"error": "5 is no text; send a string in its place"},
        {"error": "['go'] is no text; send a string in its place"},
    ]
    assert answers[6] == {"error": "'caf\ufffd' has bytes that are not UTF-8; save it as UTF-8"}
    assert answers[7:9] == [{"intent": None, "intent_probability": 0.0, "slots": []}] * 2
    assert answers[9]["intent"] == "x"


def test_characters_are_counted_in_the_text_as_it_came(tokenizer: Any) -> None:
    bundle, _ = bundle_of(tokenizer, "B-x", "I-x")
    text = " um\u00a0cafe\u0301  \u200bzwei"
    (answer,) = bundle.predict([text])
    assert answer.words == ("um", "caf\u00e9", "zwei")
    assert [(slot.start, slot.end, slot.text) for slot in answer.slots] == [
        (1, 3, "um"), (4, 9, "cafe\u0301"), (11, 16, "\u200bzwei")
    ]  # fmt: skip


def test_the_encoded_rows_of_a_test_split_are_read_so_too(tokenizer: Any, tmp_path: Path) -> None:
    item = {"tokens": ["5\u00a0heures"], "intent": "x", "slots": ["B-x"]}
    for name in ("train.en.jsonl", "dev.en.jsonl", "test.en.jsonl"):
        (tmp_path / name).write_text(json.dumps(item))
    corpus = Corpus("own", "en", (), RawFiles.open(tmp_path), own.LAYOUT)
    encoded = encode_corpus(
        corpus, tokenizer, "t", max_tokens=64, with_target_dev=False, with_target_train=False, home=tmp_path / "home"
    )
    encode_split(encoded, corpus, tokenizer, 64, "test", ["en"])
    bundle, asked = bundle_of(tokenizer, "B-x", "I-x")
    bundle.predict(["5 heures"])
    ((words, ids),) = table_of(encoded, "test", "en")
    assert (words, ids) == (asked.rows[0].words, asked.rows[0].input_ids.tolist()) == (["5", "heures"], ids)
