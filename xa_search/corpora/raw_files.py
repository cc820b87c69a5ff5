"""The raw files of a corpus. In: a folder, zip or tar of any kind and a file's name. Out: its lines as UTF-8 text, or
CoNLL blocks.

Nothing is extracted. A file may lie in folders of any depth: `MTOP/data/en/train.txt` is found for `en/train.txt`. Of
two such files neither is taken.

A block ends at a blank line. A `#` that stands alone before a tab is a word's index gone wrong, not a comment.
"""

import lzma
import os
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
DEEPEST = 8
"""So many folders deep a folder is looked through; a link may lead round in a circle."""
BYTE_ORDER_MARK = "\ufeff"
TAR_ENDINGS = (".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2", ".tar")
BROKEN = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError),
    *(NotImplementedError, RuntimeError, EOFError),
)
GZIPPED = b"\x1f\x8b"
"""How a gzipped file begins, whatever it is called."""
COMMENT = "# "


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file without its end; a byte that is not UTF-8 stays in it as a lone surrogate."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class RawFiles:
    """A folder, zip or tar that holds a corpus. It keeps no file open."""

    root: Path
    members: tuple[str, ...]  # the names of all files in it, folders in front
    is_folder: bool

    @classmethod
    def open(cls, root: Path) -> "RawFiles":
        """Look at a folder, zip or tar; raises DataError where it is none."""
        try:
            if root.is_dir():
                return cls(root, tuple(_names_below(root)), is_folder=True)
            if not root.is_file():
                raise DataError(f"no such folder or zip: {root}; give the raw corpus with --data PATH")
            names = _names_in(root)
        except BROKEN as error:
            kind = _kind(root)
            raise DataError(f"{root} is neither a folder nor a readable {kind} ({error}); fetch it again") from error
        except OSError as error:
            raise DataError(f"cannot read {root} ({error.strerror}); check its permissions") from error
        return cls(root, tuple(name for name in names if "__MACOSX" not in name.split("/")), is_folder=False)

    def find(self, candidates: tuple[str, ...]) -> str | None:
        """Give the first of the names that exists, without the folders in front, or None. Opens nothing."""
        return next((name for name in candidates if self._place(name) is not None), None)

    def names(self, suffix: str) -> list[str]:
        """List the files that end so, as they lie."""
        return sorted(name for name in self.members if name.endswith(suffix))

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
            if self.is_folder:
                with (self.root / place).open("rb") as stream:
                    yield stream
            else:
                with _member(self.root, place) as stream:
                    yield stream
        except BROKEN as error:
            raise DataError(
                f"{self.root} is a broken {_kind(self.root)}, at {place} ({error}); fetch it again"
            ) from error
        except OSError as error:
            raise DataError(f"cannot read {self.where(name)} ({error.strerror or error})") from error

    def _place(self, name: str) -> str | None:
        """Find a file at the root or in folders of any depth; two of them are an error."""
        if name in self.members:
            return name
        places = sorted(
            (place for place in self.members if place.endswith(f"/{name}")), key=lambda p: (p.count("/"), p)
        )
        if len(places) > 1:
            raise DataError(f"{self.root} holds both {places[0]} and {places[1]}; give one of the folders by --data")
        return places[0] if places else None


def _is_tar(root: Path) -> bool:
    return root.name.endswith(TAR_ENDINGS)


def _is_gzip(root: Path) -> bool:
    with root.open("rb") as file:
        return file.read(len(GZIPPED)) == GZIPPED


def _kind(root: Path) -> str:
    return next((ending[1:] for ending in TAR_ENDINGS if root.name.endswith(ending)), "zip")


def _names_below(root: Path) -> Iterator[str]:
    """List the files in a folder and those below it; what is hidden belongs to no corpus."""
    for folder, folders, files in os.walk(root, followlinks=True):
        below = Path(folder).relative_to(root)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if len(below.parts) >= DEEPEST:
            folders.clear()
        yield from sorted((below / name).as_posix() for name in files)


def _names_in(root: Path) -> tuple[str, ...]:
    """List the files in an archive."""
    if _is_tar(root):
        if _is_gzip(root):
            return tuple(tar_index(root).members)
        with tarfile.open(root, "r|*") as archive:
            return tuple(member.name.removeprefix("./") for member in archive if member.isfile())
    with zipfile.ZipFile(root) as packed:
        return tuple(name for name in map(_slashed, packed.namelist()) if not name.endswith("/"))


def _slashed(name: str) -> str:
    """Return a name in a zip as it ought to be: some programs on Windows write backslashes."""
    return name.replace("\\", "/")


@contextmanager
def _member(root: Path, place: str) -> Iterator[IO[bytes]]:
    """Open a file in an archive; a tar that is not gzipped is read from its beginning to there."""
    if not _is_tar(root):
        with zipfile.ZipFile(root) as packed:
            name = next((name for name in packed.namelist() if _slashed(name) == place), place)
            with packed.open(name) as stream:
                yield stream
        return
    if _is_gzip(root):
        with tar_index(root).open(place) as content:
            yield content
        return
    with tarfile.open(root, "r|*") as archive:
        found = next(member for member in archive if member.name.removeprefix("./") == place)
        extracted = archive.extractfile(found)
        assert extracted is not None
        with extracted:
            yield extracted


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
