"""The files of a user's own corpus. In: a folder or archive, and what its columns are called. Out: records by part.

A part is what one file holds of a split and a language. The language stands in the file's name (`train.en.csv`), is its
folder's name (`en/train.csv`), or stands in each row (`train.csv` with a column `lang`). A table in pieces
(`train-00000-of-00002.parquet`) is one file; so is a folder that `datasets` saved (`train/data-00000-of-00001.arrow`).

Every part is found by the name that it would have as JSONL, `train.en.jsonl`: so the rest of the program needs to know
of no form.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from xa_search.corpora.own.arrow_form import arrow_records
from xa_search.corpora.own.conll_form import conll_records
from xa_search.corpora.own.json_form import json_records
from xa_search.corpora.own.records import Columns, Record, check_columns, renamed
from xa_search.corpora.own.table_form import table_records
from xa_search.corpora.raw_files import Line, RawFiles
from xa_search.corpora.rows import SPLIT_STEMS
from xa_search.errors import DataError

TRANSLATIONS = "translations"
STEMS = {stem: str(split) for split, stems in SPLIT_STEMS.items() for stem in stems} | {TRANSLATIONS: TRANSLATIONS}
FORMS: dict[str, Callable[[RawFiles, str], Iterator[Record]]] = {
    ".jsonl": json_records,
    ".json": json_records,
    ".csv": table_records,
    ".tsv": table_records,
    ".conll": conll_records,
    ".conllu": conll_records,
    ".parquet": arrow_records,
    ".arrow": arrow_records,
}
TABLES = (".csv", ".tsv", ".parquet", ".arrow")
PIECE = re.compile(r"-(\d{5})-of-(\d{5})$")
FOLDER_LANGUAGE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*")
LANGUAGE = re.compile(r"[\w-]{1,40}")


@dataclass(frozen=True, slots=True)
class Part:
    """A split (or the translations) in one language: the pieces of a file, or the rows of one that holds several."""

    split: str
    lang: str
    pieces: tuple[str, ...]
    by_column: bool


@dataclass(frozen=True, slots=True)
class OwnFiles(RawFiles):
    """A folder or archive with a user's own corpus. It keeps no file open."""

    columns: Columns = ()
    parts: tuple[Part, ...] = ()

    @classmethod
    def open_own(cls, root: Path, columns: Columns = ()) -> "OwnFiles":
        """Look at a folder or archive, and which parts it holds. Raises DataError."""
        plain = RawFiles.open(root)
        files = cls(plain.root, plain.members, plain.is_folder, columns)
        return replace(files, parts=tuple(_parts(files)))

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that have a split."""
        return tuple(sorted({part.lang for part in self.parts if part.split != TRANSLATIONS}))

    def find(self, candidates: tuple[str, ...]) -> str | None:
        """Give the first file that holds what would have one of these names as JSONL; two of them are an error."""
        for name in candidates:
            found = sorted({part.pieces[0] for part in self.parts if f"{part.split}.{part.lang}.jsonl" == name})
            if len(found) > 1:
                raise DataError(
                    f"{self.root} holds {name.removesuffix('.jsonl')} twice, in {found[0]} and in {found[1]}; "
                    "take one of them away"
                )
            if found:
                return found[0]
        return RawFiles.find(self, tuple(name for name in candidates if not name.endswith(".jsonl")))

    def lines(self, name: str) -> Iterator[Line]:
        """Yield the records of a file, whatever its form; the lines of any other file."""
        part = next((part for part in self.parts if part.pieces[0] == name), None)
        if part is None:
            yield from RawFiles.lines(self, name)
            return
        for record in self.records(part.pieces, is_labelled=part.split != TRANSLATIONS):
            if not part.by_column and "lang" in record.values:
                values = {field: value for field, value in record.values.items() if field != "lang"}
                record = replace(record, values=values)
            yield record

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a file, all its pieces, piece by piece."""
        pieces = next((part.pieces for part in self.parts if part.pieces[0] == name), (name,))
        return chain.from_iterable(RawFiles.chunks(self, piece) for piece in pieces)

    def records(self, pieces: tuple[str, ...], *, is_labelled: bool = True) -> Iterator[Record]:
        """Yield the records of a file under our names. Raises DataError where the columns do not fit."""
        plain, before, is_checked = RawFiles(self.root, self.members, self.is_folder), 0, False
        for piece in pieces:
            number, suffix = before, Path(piece).suffix
            for record in FORMS[suffix](plain, piece):
                number = before + record.number
                if not is_checked and record.fault is None:
                    is_table = suffix in TABLES and is_labelled
                    check_columns(self.where(piece), record.values, self.columns, is_table=is_table)
                    is_checked = True
                yield Record(number, record.text, renamed(record.values, self.columns), record.fault)
            before = number


def _parts(files: OwnFiles) -> Iterator[Part]:
    """Find the parts that there are; of a file whose name states no language, its rows are looked at."""
    for stem, lang, pieces in _named_files(files):
        if lang is None:
            folder = pieces[0].split("/")[-2] if "/" in pieces[0] else ""
            if Path(pieces[0]).suffix == ".arrow":
                folder = pieces[0].split("/")[-3] if pieces[0].count("/") > 1 else ""
            first = next((one for one in files.records(pieces, is_labelled=False) if one.fault is None), None)
            stated = "" if first is None else str(first.values.get("lang") or "")
            if FOLDER_LANGUAGE.fullmatch(folder) and (not stated or stated.startswith(folder)):
                lang = folder
            elif first is None:
                continue
            else:
                yield from (Part(stem, one, pieces, True) for one in _stated_languages(files, pieces))
                continue
        yield Part(stem, lang, pieces, False)


def _named_files(files: OwnFiles) -> Iterator[tuple[str, str | None, tuple[str, ...]]]:
    """Yield split, language where the file's own name states it, and pieces of each file that is named as one."""
    found: dict[tuple[str, str, int], list[str]] = defaultdict(list)
    for suffix in FORMS:
        for name in sorted(RawFiles.names(files, suffix)):
            path, count = name.removesuffix(suffix), 1
            if piece := PIECE.search(path):
                path, count = path[: piece.start()], int(piece[2])
            if suffix == ".arrow" and path.rpartition("/")[2] == "data":
                path = path.rpartition("/")[0]
            found[path, suffix, count].append(name)
    for (path, _, count), pieces in found.items():
        stem, _, lang = path.rpartition("/")[2].partition(".")
        if stem not in STEMS:
            continue
        if len(pieces) != count:
            raise DataError(f"{files.where(pieces[0])}: {len(pieces)} of its {count} pieces are there; add the others")
        yield STEMS[stem], lang or None, tuple(pieces)


def _stated_languages(files: OwnFiles, pieces: tuple[str, ...]) -> list[str]:
    """Return the languages that the rows of a file state. Raises DataError where a row states none."""
    found: set[str] = set()
    for record in files.records(pieces, is_labelled=False):
        stated = record.values.get("lang")
        is_name = isinstance(stated, str) and LANGUAGE.fullmatch(stated) is not None
        if record.fault is None and not (is_name and stated in found):
            if not is_name:
                raise DataError(
                    f"{files.where(pieces[0], record.number)}: which language this is stands nowhere: name the file "
                    "train.en.csv or en/train.csv, or give each row one (another column: --columns lang=COLUMN)"
                )
            found.add(str(stated))
    return sorted(found)
