"""JSON. In: a file with one object a line, or with one array of objects. Out: records, one at a time.

Which of the two it is, its first character says, not its name.
"""

import codecs
import json
from collections.abc import Iterator

from xa_search.corpora.own.records import Record, record_of
from xa_search.corpora.raw_files import LONGEST_LINE, Line, RawFiles
from xa_search.corpora.rows import full_lines
from xa_search.errors import DataError

SPACE = " \t\r\n"


class _BrokenArray(Exception):  # noqa: N818 (it never leaves this module)
    """The rest of the file is no array of JSON values."""


def json_records(files: RawFiles, name: str) -> Iterator[Record]:
    """Yield a record for each line, or for each element of the array."""
    first = next(files.chunks(name), b"").removeprefix(codecs.BOM_UTF8)
    if first.lstrip()[:1] == b"[":
        yield from _array_records(files, name)
    else:
        yield from map(json_record, full_lines(files.lines(name)))


def json_record(line: Line) -> Record:
    """Read one line."""
    try:
        return record_of(line.number, json.loads(line.text))
    except (ValueError, RecursionError):
        return record_of(line.number, None)


def _array_records(files: RawFiles, name: str) -> Iterator[Record]:
    text = _Text(codecs.iterdecode(files.chunks(name), "utf-8-sig", "surrogateescape"))
    read = 0
    try:
        text.take("[")
        while not text.take("]"):
            if read and not text.take(","):
                raise _BrokenArray("a comma is missing")
            if text.take("]"):
                break
            line, value = text.line, text.value()
            read += 1
            yield record_of(line, value)
        if text.next():
            raise _BrokenArray("there is more after its end")
    except _BrokenArray as error:
        place = files.where(name, text.line)
        raise DataError(f"{place}: not a JSON array after {read} elements ({error}); write the file again") from None


class _Text:
    """A text that comes in pieces, read value by value."""

    def __init__(self, pieces: Iterator[str]) -> None:
        self._pieces = pieces
        self._text = ""
        self._place = 0
        self._decoder = json.JSONDecoder()
        self.line = 1

    def next(self) -> str:
        """Return the next character that is no white space, and stay before it; an empty one at the end."""
        while True:
            while self._place < len(self._text):
                if self._text[self._place] not in SPACE:
                    return self._text[self._place]
                self._go_to(self._place + 1)
            if not self._more():
                return ""

    def take(self, mark: str) -> bool:
        """Step over a mark if it is the next one."""
        found = self.next() == mark
        if found:
            self._place += 1
        return found

    def value(self) -> object:
        """Read one JSON value. Raises _BrokenArray."""
        self.next()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._place)
            except RecursionError:
                raise _BrokenArray("it is nested too deep") from None
            except ValueError as error:
                if len(self._text) - self._place > LONGEST_LINE or not self._more():
                    raise _BrokenArray(getattr(error, "msg", str(error)).lower()) from None
                continue
            if end < len(self._text) or not self._more():
                self._go_to(end)
                return value

    def _more(self) -> bool:
        piece = next(self._pieces, None)
        if piece is not None:
            self._text = self._text[self._place :] + piece
            self._place = 0
        return piece is not None

    def _go_to(self, place: int) -> None:
        self.line += self._text.count("\n", self._place, place)
        self._place = place
