"""Translations of the dev split: by shared ids, and only where they are no accident."""

import json
import random
from pathlib import Path

from tiny_corpora import write_corpus

from xa_search.corpora import open_corpus
from xa_search.corpora.dev_translations import dev_translations

WORDS = ["set", "wake", "call", "stop", "play", "find", "send", "show", "open", "read"]


def dev_of(folder: Path, lang: str, order: list[int]) -> None:
    """Rows of very different lengths, in this order, with ids that count them."""
    lines = []
    for place, number in enumerate(order):
        words = [f"{word}{lang}" for word in WORDS[: 1 + number % 10]] + [f"{number}"]
        row = {"id": str(place), "tokens": words, "intent": "do", "slots": ["O"] * len(words)}
        lines.append(json.dumps(row) + "\n")
    for split in ("train", "dev", "test"):
        (folder / f"{split}.{lang}.jsonl").write_text("".join(lines))


def test_dev_texts_with_the_same_ids_are_translations(tmp_path: Path) -> None:
    dev_of(tmp_path, "en", list(range(200)))
    dev_of(tmp_path, "de", list(range(150)))
    corpus = open_corpus("own", source="en", targets=("de",), data=tmp_path, home=tmp_path / "home")
    found = dev_translations(corpus, "de")
    assert [one.source_id for one in found] == [str(number) for number in range(150)]
    assert found[149].words[-1] == "149"


def test_rows_that_each_language_counts_for_itself_are_none(tmp_path: Path) -> None:
    mixed = list(range(200))
    random.Random(7).shuffle(mixed)
    dev_of(tmp_path, "en", list(range(200)))
    dev_of(tmp_path, "de", mixed)
    corpus = open_corpus("own", source="en", targets=("de",), data=tmp_path, home=tmp_path / "home")
    assert dev_translations(corpus, "de") == ()


def test_a_corpus_without_ids_has_none(tmp_path: Path) -> None:
    write_corpus("mtod", tmp_path)
    corpus = open_corpus("mtod", source="en", targets=("es",), data=tmp_path, home=tmp_path / "home")
    assert dev_translations(corpus, "es") == ()
