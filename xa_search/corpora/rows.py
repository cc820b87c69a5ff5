"""A row as a reader hands it on, and what a corpus format is. In: nothing. Out: the types that each reader fills.

`REPAIRS` and `DROPS` name every kind of fault; the policy that acts on them is in `repair`.

A reader takes the lines of one file and yields every row of it, faulty ones too, in order, holding only one at a time.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from xa_search.corpora.raw_files import Line
from xa_search.records import Split

REPAIRS: dict[str, str] = {
    "invisible_character": "an invisible character inside a word, taken out",
    "empty_word": "a word without a visible character, taken out with its tag",
    "split_word": "a word with a space inside, split in two",
    "stray_inside_tag": "an I- tag that continues nothing, made B-",
    "snapped_span": "a slot that begins or ends inside a word, widened to the word",
    "nested_slot": "a slot inside another slot, left out",
    "byte_offsets": "slot offsets that count bytes, turned into characters",
    "unescaped_quote": "a quotation mark that breaks the JSON, escaped",
    "odd_intent": "words that state another intent than the row's header, which counts",
}
DROPS: dict[str, str] = {
    "wrong_columns": "wrong number of columns",
    "bad_json": "JSON that cannot be parsed, or of the wrong shape",
    "not_utf8": "bytes that are not UTF-8",
    "different_lengths": "different number of words and labels",
    "no_words": "no words",
    "no_intent": "no intent",
    "two_intents": "words that state different intents, and no header that decides",
    "unknown_split": "a row of no split: its partition is neither train, dev nor test",
    "bad_markup": "slot brackets that are not [label : words], or do not pair",
    "text_differs": "a text that differs from its annotated form",
    "not_translated": "a sentence that is NS: its translators left it out",
    "pair_mark": "a sentence with the word that stands between two sentences",
    "bad_label": "a label that is neither 0 nor 1",
    "bad_tag": "a tag that is neither O, B-X nor I-X",
    "bad_span": "a slot that is not start:end:label",
    "span_misfit": "a slot that fits no word boundary, or overlaps another slot",
    "duplicate_id": "an id that an earlier row of the file has",
}
NO_INTENT = "none"
"""The one intent of rows that are labelled by slots alone."""
SPLIT_STEMS: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "dev": ("dev", "eval", "valid", "validation"),
    "test": ("test",),
}


class RowError(Exception):
    """One row cannot be used; `reason` is a key of DROPS. It never leaves the readers."""

    def __init__(self, reason: str) -> None:
        super().__init__(DROPS[reason])
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of a raw file. `dropped` is None for a row that can be used."""

    line: int
    id: str
    own_id: bool  # the id stands in the file, so that languages may share it
    words: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    intent: str = ""
    repairs: tuple[str, ...] = ()
    dropped: str | None = None
    running_text: bool = False


def full_lines(lines: Iterator[Line]) -> Iterator[Line]:
    """Leave out the blank lines at the end; one in the middle is a (faulty) row, so that line files stay parallel."""
    blank: list[Line] = []
    for line in lines:
        if not line.text.strip():
            blank.append(line)
            continue
        yield from blank
        blank.clear()
        yield line


def no_files(_lang: str) -> tuple[str, ...]:
    """Name no file."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One format. Each function that names files gives the candidates in order of preference."""

    split_files: Callable[[str, Split], tuple[str, ...]]
    read: Callable[[str, Iterator[Line], str, Split], Iterator[Row]]  # file, lines, language, split
    line_translations: Callable[[str], tuple[str, ...]] = no_files  # one line for each row of the source training file
    id_translations: Callable[[str], tuple[str, ...]] = no_files  # rows with the ids of source training rows
    read_translation_rows: Callable[[Iterator[Line], str], Iterator[Row]] | None = None


def line_id(lang: str, split: Split, line: int) -> str:
    """Make the id of a row that has none in its file."""
    return f"{lang}-{split}-{line}"
