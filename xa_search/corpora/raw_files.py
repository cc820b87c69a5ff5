"""The raw files of a corpus. In: a folder, zip or tar.gz and a file's name. Out: its lines as UTF-8 text, or CoNLL
blocks.

Nothing is extracted, and one top-level folder (`mtop/en/train.txt` for `en/train.txt`) is looked through.

A block ends at a blank line. A `#` that stands alone before a tab is a word's index gone wrong, not a comment.
"""

import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from xa_search.corpora.tar_index import tar_index
from xa_search.errors import DataError

LONGEST_LINE = 1 << 20
CHUNK = 1 << 20
BYTE_ORDER_MARK = "\ufeff"
TAR_ENDINGS = (".tar.gz", ".tgz")
BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, NotImplementedError, RuntimeError, EOFError)
COMMENT = "# "


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file without its end; a byte that is not UTF-8 stays in it as a lone surrogate."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class RawFiles:
    """A folder, zip or tar.gz that holds a corpus. It keeps no file open."""

    root: Path
    members: tuple[str, ...] | None  # the names in the archive; None for a folder

    @classmethod
    def open(cls, root: Path) -> "RawFiles":
        """Look at a folder, zip or tar.gz; raises DataError where it is none."""
        if root.is_dir():
            return cls(root, None)
        if not root.is_file():
            raise DataError(f"no such folder or zip: {root}; give the raw corpus with --data PATH")
        try:
            names = _names_in(root)
        except BROKEN as error:
            kind = "tar.gz" if _is_tar(root) else "zip"
            raise DataError(f"{root} is neither a folder nor a readable {kind} ({error}); fetch it again") from error
        except OSError as error:
            raise DataError(f"cannot read {root} ({error.strerror}); check its permissions") from error
        return cls(root, tuple(name for name in names if not name.startswith("__MACOSX/")))

    def find(self, candidates: tuple[str, ...]) -> str | None:
        """Give the first of the names that exists, without a top-level folder, or None. Opens nothing."""
        return next((name for name in candidates if self._place(name) is not None), None)

    def names(self, suffix: str) -> list[str]:
        """List the files that end so, at most two folders deep, as they lie."""
        if self.members is None:
            paths = [path for depth in ("*", "*/*", "*/*/*") for path in self.root.glob(depth + suffix)]
            return sorted(path.relative_to(self.root).as_posix() for path in paths)
        return sorted(name for name in self.members if name.endswith(suffix) and name.count("/") <= 2)

    def lines(self, name: str) -> Iterator[Line]:
        """Yield the lines of a file; only `\\n` and `\\r\\n` end a line."""
        with self._stream(name) as stream:
            number = 0
            while raw := stream.readline(LONGEST_LINE + 1):
                number += 1
                if len(raw) > LONGEST_LINE:
                    raise DataError(f"{self.where(name, number)}: a line of over {LONGEST_LINE} bytes; is it text?")
                text = raw.decode("utf-8", "surrogateescape").rstrip("\r\n")
                yield Line(number, text.removeprefix(BYTE_ORDER_MARK) if number == 1 else text)

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a file piece by piece."""
        with self._stream(name) as stream:
            while chunk := stream.read(CHUNK):
                yield chunk

    def stamp(self, name: str) -> tuple[int, int]:
        """Return what changes when a file does: size and time of it, or of the archive that holds it."""
        status = (Path(self.where(name)) if self.members is None else self.root).stat()
        return status.st_size, status.st_mtime_ns

    def where(self, name: str, line: int | None = None) -> str:
        """Name a place for a message: path, and line if there is one."""
        place = f"{self.root}/{self._place(name) or name}"
        return place if line is None else f"{place}:{line}"

    @contextmanager
    def _stream(self, name: str) -> Iterator[IO[bytes]]:
        place = self._place(name)
        if place is None:
            raise DataError(f"no file {name} in {self.root}")
        try:
            if self.members is None:
                with (self.root / place).open("rb") as stream:
                    yield stream
            else:
                with _member(self.root, place) as stream:
                    yield stream
        except BROKEN as error:
            kind = "tar.gz" if _is_tar(self.root) else "zip"
            raise DataError(f"{self.root} is a broken {kind}, at {place} ({error}); fetch it again") from error
        except OSError as error:
            raise DataError(f"cannot read {self.where(name)} ({error.strerror or error})") from error

    def _place(self, name: str) -> str | None:
        """Find a file at the root or in one top-level folder; two of them are an error."""
        if self._exists(name):
            return name
        if self.members is None:
            folders = sorted(path.name for path in self.root.iterdir() if path.is_dir())
        else:
            folders = sorted({member.split("/")[0] for member in self.members if "/" in member})
        places = [f"{folder}/{name}" for folder in folders if self._exists(f"{folder}/{name}")]
        if len(places) > 1:
            raise DataError(f"{self.root} holds both {places[0]} and {places[1]}; give one of the folders by --data")
        return places[0] if places else None

    def _exists(self, place: str) -> bool:
        return (self.root / place).is_file() if self.members is None else place in self.members


def _is_tar(root: Path) -> bool:
    return root.name.endswith(TAR_ENDINGS)


def _names_in(root: Path) -> tuple[str, ...]:
    """List the files in an archive."""
    if _is_tar(root):
        return tuple(tar_index(root).members)
    with zipfile.ZipFile(root) as packed:
        return tuple(name for name in map(_slashed, packed.namelist()) if not name.endswith("/"))


def _slashed(name: str) -> str:
    """Return a name in a zip as it ought to be: some programs on Windows write backslashes."""
    return name.replace("\\", "/")


@contextmanager
def _member(root: Path, place: str) -> Iterator[IO[bytes]]:
    """Open a file in an archive."""
    if not _is_tar(root):
        with zipfile.ZipFile(root) as packed:
            name = next((name for name in packed.namelist() if _slashed(name) == place), place)
            with packed.open(name) as stream:
                yield stream
        return
    with tar_index(root).open(place) as content:
        yield content


def blocks(lines: Iterator[Line]) -> Iterator[list[Line]]:
    """Yield the lines between blank ones."""
    block: list[Line] = []
    for line in lines:
        if line.text.strip():
            block.append(line)
        elif block:
            yield block
            block = []
    if block:
        yield block


def columns_of(block: list[Line]) -> list[list[str]]:
    """Return the columns of each word's line."""
    return [line.text.split("\t") for line in block if not _is_comment(line.text)]


def comment_of(block: list[Line], key: str) -> str:
    """Return what the first comment `# key: value` or `# key = value` says; empty where there is none."""
    for line in block:
        name, _, value = line.text.removeprefix(COMMENT).replace("=", ":", 1).partition(":")
        if _is_comment(line.text) and name.strip() == key:
            return value.strip()
    return ""


def _is_comment(text: str) -> bool:
    return text == "#" or (text.startswith(COMMENT) and "\t" not in text)
