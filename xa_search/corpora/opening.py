"""From a name to a corpus at hand. In: a catalogue name, languages, where the raw files may lie. Out: a Corpus.

Written beside its place and renamed at the end, so that a broken download is never taken for a corpus.

Looks at `data`, then at the search home; then generates (mtop-mini) or downloads (mtop, mtod, massive, pawsx).
"""

import difflib
import hashlib
import http.client
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from xa_search.corpora.catalogue import CATALOGUE, CORPORA
from xa_search.corpora.corpus import Corpus, find_translations_folder, translations_file
from xa_search.corpora.raw_files import TAR_ENDINGS, RawFiles
from xa_search.corpora.rows import CatalogueEntry, Layout, by_its_name
from xa_search.errors import DataError, UsageError
from xa_search.records import FIELDS, SPLITS
from xa_search.records.whole_files import put_in_place

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
        put_in_place(part, path)
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


def open_corpus(
    name: str,
    *,
    source: str,
    targets: tuple[str, ...],
    unseen_languages: tuple[str, ...] = (),
    data: Path | None,
    home: Path,
    progress: Progress | None = None,
    to_train: bool = True,
    translations: Path | None = None,
    columns: Mapping[str, str] | None = None,
    with_left_out: bool = False,
) -> Corpus:
    """Open a corpus by its catalogue name; raises DataError where its files are not to be had.

    To train, every split of the source and the test split of each target and of each of `unseen_languages`, which is
    only tested in, must be there; else any test file will do.
    `translations` is a folder with `LANG.txt` for some targets, one line for each row of the source training file.
    `progress` is called with the bytes so far and the total (None where unknown) during a download. `columns` says
    what the fields of a user's own corpus are called there; `with_left_out` keeps the rows that a corpus is published
    to leave out.
    """
    entry = CATALOGUE.get(name)
    if entry is None:
        raise UsageError(f"unknown corpus {name!r}{did_you_mean(name, CORPORA)}; there are {', '.join(CORPORA)}")
    if entry.languages:
        _check_languages(entry.name, source, (*targets, *unseen_languages), entry.languages, entry.layout.language_of)
    files = _open_files(entry, data, home, progress, columns)
    if not entry.languages:
        asked = (*targets, *unseen_languages)
        _check_languages(f"{entry.name} in {files.root}", source, asked, entry.languages_in(files))
    corpus = Corpus(name, source, targets, files, _layout(entry, source, files), with_left_out=with_left_out)
    if translations is not None:
        corpus = replace(corpus, given_translations=_given_translations(translations, (*targets, *unseen_languages)))
    if (made := find_translations_folder(corpus, home)) is not None:
        corpus = replace(corpus, machine_translations=RawFiles.open(made))
    if not to_train:
        if not any(corpus.file_of(lang, "test") for lang in (source, *targets)):
            corpus.require(source, "test")
        return corpus
    for split in SPLITS:
        corpus.require(source, split)
    for lang in (*targets, *unseen_languages):
        corpus.require(lang, "test")
    return corpus


def _layout(entry: CatalogueEntry, source: str, files: RawFiles) -> Layout:
    """Return the layout that the source's files have, the catalogue's where they have none."""

    def fits(layout: Layout) -> bool:
        return any(files.find(layout.split_files(source, split)) is not None for split in SPLITS)

    return next((other for other in entry.layout.others if fits(other)), entry.layout)


def _given_translations(folder: Path, languages: tuple[str, ...]) -> RawFiles:
    """Open a folder of translations; raises DataError where it has none for any of the languages."""
    files = RawFiles.open(folder)
    names = tuple(translations_file(lang) for lang in languages)
    if files.find(names) is None:
        raise DataError(f"--translations {folder}: holds none of {', '.join(names)}; one line for each training row")
    return files


def languages_found(name: str, data: Path | None, home: Path, columns: Mapping[str, str] | None) -> tuple[str, ...]:
    """List the languages of a corpus whose files alone tell, English first where it has it.

    Raises DataError where it has none.
    """
    entry = CATALOGUE[name]
    files = _open_files(entry, data, home, None, columns)
    found = entry.languages_in(files)
    if not found:
        raise DataError(f"{name} in {files.root} has no file of any split; it takes {entry.expects}")
    return tuple(sorted(found, key="en".__ne__))


def _open_files(
    entry: CatalogueEntry, data: Path | None, home: Path, progress: Progress | None, columns: Mapping[str, str] | None
) -> RawFiles:
    columns = columns or {}
    if columns and entry.open_files is None:
        raise UsageError(f"--columns: {entry.name} has columns of its own; leave it out")
    for field in columns:
        if field not in FIELDS:
            raise UsageError(
                f"--columns: {field!r} is no field of a row{did_you_mean(field, FIELDS)}; there are {', '.join(FIELDS)}"
            )
    return entry.files_in(data if data is not None else _locate(entry, home, progress), columns)


def did_you_mean(word: str, choices: tuple[str, ...]) -> str:
    """Propose the nearest choice, or nothing."""
    near = difflib.get_close_matches(word.lower(), choices, n=1)
    return f": did you mean {near[0]}?" if near else ""


def _check_languages(
    corpus: str,
    source: str,
    targets: tuple[str, ...],
    valid: tuple[str, ...],
    language_of: Callable[[str], str] = by_its_name,
) -> None:
    for lang in (source, *targets):
        if language_of(lang) not in valid:
            near = _same_language(lang, valid) or did_you_mean(lang, valid)
            raise DataError(f"{corpus} has no language {lang!r}{near}; it has {', '.join(valid) or 'none'}")
    names = {lang: language_of(lang) for lang in targets}
    if language_of(source) in names.values():
        raise UsageError(f"{source} is the source language and cannot be a target too; take it out of targets")
    if len(set(names.values())) < len(targets):
        raise UsageError(f"a target language is given twice in {', '.join(targets)}; give each once")


def _same_language(lang: str, valid: tuple[str, ...]) -> str:
    """Propose what is the same language elsewhere: zh or zh-TW for zh-HK; nothing where there is none."""
    same = [other for other in valid if other.split("-")[0].lower() == lang.replace("_", "-").split("-")[0].lower()]
    return f": did you mean {' or '.join(same)}?" if same else ""


def place_at_hand(name: str, home: Path) -> Path | None:
    """Return the folder or file of a corpus in the search home; none where it would have to be downloaded."""
    return _in_home(CATALOGUE[name], home)


def _in_home(entry: CatalogueEntry, home: Path) -> Path | None:
    folder = home / "corpora"
    places = (folder / entry.name, *(folder / f"{entry.name}{ending}" for ending in (".zip", *TAR_ENDINGS)))
    return next((path for path in places if path.exists()), None)


def _locate(entry: CatalogueEntry, home: Path, progress: Progress | None) -> Path:
    folder = home / "corpora"
    if entry.generate is not None:
        return entry.generate(folder / entry.name)
    if (found := _in_home(entry, home)) is not None:
        return found
    if entry.address is None:
        wish = entry.how_to_get or f"{entry.name} needs"
        raise DataError(f"{wish} --data PATH, a folder or zip with {entry.expects}")
    ending = next((ending for ending in TAR_ENDINGS if entry.address.endswith(ending)), ".zip")
    return download(entry, folder / f"{entry.name}{ending}", progress)
