"""Fetch a corpus. In: a catalogue entry and the path to fill. Out: the path, complete and checked, or nothing there.

Written beside its place and renamed at the end, so that a broken download is never taken for a corpus.
"""

import hashlib
import http.client
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from xa_search.corpora.catalogue import CatalogueEntry
from xa_search.corpora.raw_files import RawFiles
from xa_search.errors import DataError

Progress = Callable[[int, int | None], None]
TIMEOUT_SECONDS = 30
CHUNK = 1 << 16


def download(entry: CatalogueEntry, path: Path, progress: Progress | None) -> Path:
    """Fetch `entry.address` to `path`; checks the checksum, or the structure where none is known."""
    part: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=f".{path.name}")
        part = Path(name)
        with os.fdopen(handle, "wb") as out:
            sha256 = _fetch(entry, path, out, progress)
        _check(entry, part, sha256)
        part.replace(path)
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"cannot write {path} ({reason}); free space or choose another --home") from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)
    return path


def _fetch(entry: CatalogueEntry, path: Path, out: BinaryIO, progress: Progress | None) -> str:
    """Copy the answer into a file; give its sha256."""
    digest = hashlib.sha256()
    for chunk, total in _chunks(entry, path):
        out.write(chunk)
        digest.update(chunk)
        if progress is not None:
            progress(out.tell(), total)
    return digest.hexdigest()


def _chunks(entry: CatalogueEntry, path: Path) -> Iterator[tuple[bytes, int | None]]:
    """Yield the pieces of the answer with its whole length; only what the network does is caught here."""
    request = urllib.request.Request(str(entry.address), headers={"User-Agent": "xa-search"})
    read = 0
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            length = answer.headers.get("Content-Length") or ""
            total = int(length) if length.isdigit() else None
            while chunk := answer.read(CHUNK):
                read += len(chunk)
                yield chunk, total
    except (OSError, ValueError, http.client.HTTPException) as error:
        answered = isinstance(error, urllib.error.HTTPError)
        reason = error.reason if isinstance(error, urllib.error.URLError) and not answered else error
        raise DataError(_unreachable(entry, path, " ".join(str(reason).split()))) from error
    if total is not None and read < total:
        raise DataError(_unreachable(entry, path, f"it broke off after {read} of {total} bytes"))


def _check(entry: CatalogueEntry, part: Path, sha256: str) -> None:
    if entry.sha256 is not None:
        if sha256 != entry.sha256:
            raise DataError(
                f"the download of {entry.name} from {entry.address} has checksum {sha256}, not {entry.sha256}: "
                "try again, or give a copy you trust by --data PATH"
            )
        return
    lang = entry.languages[0]
    names = entry.layout.split_files(lang, "train")
    try:
        found = RawFiles.open(part).find(names)
    except DataError:
        found = None
    if found is None:
        raise DataError(
            f"the download of {entry.name} from {entry.address} is not a zip with {names[0]}: "
            "fetch it in a browser and give it by --data PATH"
        )


def _unreachable(entry: CatalogueEntry, path: Path, reason: str) -> str:
    return f"cannot download {entry.name} from {entry.address} ({reason}): put that file at {path}, or give --data PATH"
