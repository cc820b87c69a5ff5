"""What our readers give of real corpora is what a second parser gives, which shares nothing with them.

The parsers here are a few lines each. They clean nothing: what `docs/corpora.md` says of invisible marks and composed
letters is done here a second time. The corpora are no part of the project: `XA_SEARCH_REAL_DATA` says where their zips
lie, by default in `../shared/data`; a test whose zip is not there is skipped.
"""

import csv
import io
import json
import os
import random
import re
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from xa_search.corpora import open_corpus
from xa_search.corpora.catalogue import CATALOGUE
from xa_search.records import SPLITS

DATA = Path(os.environ.get("XA_SEARCH_REAL_DATA") or Path(__file__).parents[3] / "shared" / "data")
SAMPLE = 50
"""So many rows a language and split are compared word by word."""
SPACE = re.compile("[ \u00a0\u3000]+")
"""The spaces of PAWS-X. Its controls, as U+001D in Korean, are none, though Python splits there."""
Slot = tuple[str, int, int]


@dataclass(frozen=True)
class Parsed:
    """A row: its words, its slots as (type, first word, word after the last), its intent."""

    words: tuple[str, ...]
    slots: tuple[Slot, ...]
    intent: str


def slots_of(tags: tuple[str, ...]) -> tuple[Slot, ...]:
    """Return the slots of B- and I- tags; any other tag is outside."""
    found: list[Slot] = []
    for place, tag in enumerate(tags):
        if tag.startswith("I-") and found and (found[-1][0], found[-1][2]) == (tag[2:], place):
            found[-1] = (tag[2:], found[-1][1], place + 1)
        elif tag.startswith(("B-", "I-")):
            found.append((tag[2:], place, place + 1))
    return tuple(found)


def parse_conll(text: str) -> Iterator[Parsed]:
    for block in text.strip().split("\n\n"):
        lines = block.split("\n")
        (intent,) = (line.split(" ", 3)[-1].strip() for line in lines if line.startswith("# intent"))
        cells = [line.split("\t") for line in lines if line[0].isdigit()]
        yield Parsed(tuple(cell[1] for cell in cells), slots_of(tuple(cell[3] for cell in cells)), intent)


def parse_mtop(text: str) -> Iterator[Parsed]:
    """Find the words of a slot by how many stand before it in the utterance, whose words have spaces between."""
    for cells in csv.reader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE):
        utterance, slots = cells[3], []
        for start, end, _, label in (slot.split(":") for slot in cells[2].split(",") if slot):
            first = len(utterance[: int(start)].split())
            slots.append((label, first, first + len(utterance[int(start) : int(end)].split())))
        words = tuple(json.loads(cells[7])["tokens"])
        yield Parsed(words, tuple(sorted(slots, key=lambda slot: slot[1])), cells[1].removeprefix("IN:"))


def parse_pawsx(text: str) -> Iterator[Parsed | None]:
    """Give nothing for a pair that its translators left out."""
    for row in csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE):
        first, second = ([word for word in SPACE.split(row[name]) if word] for name in ("sentence1", "sentence2"))
        left_out = any(sentence in ([], ["NS"]) for sentence in (first, second))
        yield None if left_out else Parsed((*first, "|||", *second), (), row["label"])


def as_documented(row: Parsed) -> Parsed:
    """Take invisible marks out and compose letters; a word that is left without any goes, and slots move up."""
    visible = [
        "".join(char for char in word if char in "\u200c\u200d" or unicodedata.category(char) not in ("Cf", "Cc"))
        for word in row.words
    ]
    before = [sum(map(bool, visible[:place])) for place in range(len(visible) + 1)]
    slots = tuple((label, before[first], before[end]) for label, first, end in row.slots)
    return Parsed(tuple(unicodedata.normalize("NFC", word) for word in visible if word), slots, row.intent)


@pytest.mark.parametrize(
    ("name", "archive", "parse"),
    [
        ("mtod", "mtod.zip", parse_conll),
        ("xsid", "xsid-0.7.zip", parse_conll),
        ("mtop", "mtop-part.zip", parse_mtop),
        ("pawsx", "pawsx-part.zip", parse_pawsx),
    ],
)
def test_counts_words_and_tags_are_those_of_a_second_parser(
    name: str, archive: str, parse: Callable[[str], Iterator[Parsed | None]], tmp_path: Path
) -> None:
    if not (DATA / archive).is_file():
        pytest.skip(f"{archive} is not in {DATA}; XA_SEARCH_REAL_DATA says where it lies")
    languages = CATALOGUE[name].languages
    corpus = open_corpus(name, source="en", targets=languages[1:], data=DATA / archive, home=tmp_path, to_train=False)
    read = 0
    with zipfile.ZipFile(DATA / archive) as packed:
        for lang in languages:
            for split in SPLITS:
                if (file := corpus.file_of(lang, split)) is None:
                    continue
                (member,) = (place for place in packed.namelist() if place.endswith(f"/{file}"))
                theirs = list(parse(packed.read(member).decode()))
                rows = list(corpus.rows(lang, split))
                ours = [Parsed(row.words, slots_of(row.tags), row.intent) for row in rows if row.dropped is None]
                kept = [row for row in theirs if row is not None]
                where = f"{name} {split} {lang}"
                assert (len(rows), len(ours)) == (len(theirs), len(kept)), where
                assert {row.dropped for row in rows} <= {None, "not_translated"}, where
                assert Counter(row.intent for row in ours) == Counter(row.intent for row in kept), where
                assert spans(ours) == spans(kept), where
                chosen = random.Random(where).sample(range(len(kept)), min(SAMPLE, len(kept)))
                assert [ours[place] for place in chosen] == [as_documented(kept[place]) for place in chosen], where
                read += 1
    assert read >= 2 * len(languages)


def spans(rows: list[Parsed]) -> Counter[str]:
    return Counter(label for row in rows for label, _, _ in row.slots)
