"""A row as a reader hands it on, a format, a corpus. In: nothing. Out: the types that each corpus's module fills.

`REPAIRS` and `DROPS` name every kind of fault; the policy that acts on them is in `repair`.

A reader takes the lines of one file and yields every row of it, faulty ones too, in order, holding only one at a time.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from xa_search.corpora.raw_files import Line, RawFiles
from xa_search.records import Split

REPAIRS: dict[str, str] = {
    "invisible_character": "an invisible character in or around a word, taken out",
    "composed_letters": "letters typed in parts, composed",
    "cleaned_label": "a label with invisible characters, letters typed in parts or odd spaces, cleaned",
    "empty_word": "a word without a visible character, taken out with its tag",
    "split_word": "a word with a space inside, split in two",
    "stray_inside_tag": "an I- tag that continues nothing, made B-",
    "broken_slot": "a slot begun or ended against the tag scheme of its file, taken as it stands",
    "snapped_span": "a slot that begins or ends inside a word, widened to the word",
    "nested_slot": "a slot inside another slot, left out",
    "byte_offsets": "slot offsets that count bytes, turned into characters",
    "unescaped_quote": "a quotation mark that breaks the JSON, escaped",
    "joined_intent": "two intents joined otherwise than in the source's training set, written as there",
    "stand_in_intent": "no row of its file has an intent: `none` stands for it, which says nothing",
    "kept_untranslated": "a sentence that is NS or empty, kept as the published scores count it",
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
    "not_translated": "a sentence that is NS or empty: its translators left it out, as published",
    "pair_mark": "a sentence with the word that stands between two sentences",
    "bad_label": "a label that is neither 0 nor 1",
    "bad_tag": "a tag that fits no scheme of its file",
    "bad_span": "a slot that is not start:end:label",
    "span_misfit": "a slot that fits no word boundary, or overlaps another slot",
    "duplicate_id": "a row given twice: its id, words and labels are those of an earlier one",
}
LEFT_OUT_AS_PUBLISHED = frozenset({"not_translated"})
"""Drops that the corpus's own documents tell of: no row is lost by them."""
NOT_LOST = LEFT_OUT_AS_PUBLISHED | {"duplicate_id"}
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
    had_slots: bool = False  # its file gives it slots, whatever becomes of the row
    converted: bool = False  # its tags stood in another scheme than IOB2
    example: str = ""  # what is wrong with it, for a message: the tag that fits no scheme


def full_lines(lines: Iterator[Line]) -> Iterator[Line]:
    """Leave out the blank lines at the end; one in the middle is a (faulty) row, so that line files stay parallel."""
    blank: list[Line] = []
    for line in lines:
        if not line.text or line.text.isspace():
            blank.append(line)
            continue
        if blank:
            yield from blank
            blank.clear()
        yield line


def every_file(_name: str) -> bool:
    """Tell that the rows of each file have the tags that stand in it."""
    return True


def no_file(_name: str) -> bool:
    """Tell that tags are made of spans, or that there are none."""
    return False


def no_files(_lang: str) -> tuple[str, ...]:
    """Name no file."""
    return ()


def by_its_name(lang: str) -> str:
    """Return a language as it is given."""
    return lang


def lines_beside(lang: str) -> tuple[str, ...]:
    """Name the files that may hold translations by line beside the data of any corpus."""
    return (f"translations.{lang}.txt", f"translations/{lang}.txt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One format. Each function that names files gives the candidates in order of preference."""

    split_files: Callable[[str, Split], tuple[str, ...]]
    read: Callable[[str, Iterator[Line], str, Split], Iterator[Row]]  # file, lines, language, split
    tagged: Callable[[str], bool] = every_file  # whether the tags of its rows stand in a file, in a scheme of its own
    same_intent: Callable[[str, frozenset[str]], str | None] | None = None  # which of the source's intents one means
    line_translations: Callable[[str], tuple[str, ...]] = (
        lines_beside  # one line for each row of the source training file
    )
    language_of: Callable[[str], str] = by_its_name  # the name by which the catalogue lists a language
    others: tuple["Layout", ...] = ()  # other layouts in which the corpus is given, which come before this one
    id_translations: Callable[[str], tuple[str, ...]] = no_files  # rows with the ids of source training rows
    read_translation_rows: Callable[[Iterator[Line], str], Iterator[Row]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueEntry:
    """What is known of one corpus; it is registered by its import in `catalogue`. No other place holds an address.

    `languages` is empty where the files themselves tell, by `find_languages`. `sha256` is None where none is published.
    `generate` makes the files in a folder where nothing is to be had from elsewhere. `open_files` is given where a user
    says what the columns are called: it opens a folder or archive by those names.
    """

    name: str
    title: str
    licence: str
    layout: Layout
    expects: str  # what a folder or zip holds, for messages
    languages: tuple[str, ...] = ()
    find_languages: Callable[[RawFiles], tuple[str, ...]] | None = None
    address: str | None = None
    sha256: str | None = None
    generate: Callable[[Path], Path] | None = None
    open_files: Callable[[Path, Mapping[str, str]], RawFiles] | None = None
    how_to_get: str = ""  # where to turn to, before `--data PATH`

    def files_in(self, root: Path, columns: Mapping[str, str]) -> RawFiles:
        """Open a folder or archive with this corpus. Raises DataError."""
        return RawFiles.open(root) if self.open_files is None else self.open_files(root, columns)

    def languages_in(self, files: RawFiles) -> tuple[str, ...]:
        """Return the languages that these files may be asked for."""
        return self.languages if self.find_languages is None else self.find_languages(files)


def line_id(lang: str, split: Split, line: int) -> str:
    """Make the id of a row that has none in its file."""
    return f"{lang}-{split}-{line}"
