"""From a name to a corpus at hand. In: a catalogue name, languages, where the raw files may lie. Out: a Corpus.

Looks at `data`, then at the search home; then generates (mtop-mini) or downloads (mtop, mtod, massive, pawsx).
"""

import difflib
from dataclasses import replace
from pathlib import Path

from xa_search.corpora import jsonl
from xa_search.corpora.catalogue import CATALOGUE, CORPORA, CatalogueEntry
from xa_search.corpora.corpus import Corpus
from xa_search.corpora.download import Progress, download
from xa_search.corpora.machine_translations import find_translations_folder
from xa_search.corpora.raw_files import TAR_ENDINGS, RawFiles
from xa_search.errors import DataError, UsageError
from xa_search.records import SPLITS


def open_corpus(
    name: str,
    *,
    source: str,
    targets: tuple[str, ...],
    held_out: tuple[str, ...] = (),
    data: Path | None,
    home: Path,
    progress: Progress | None = None,
    to_train: bool = True,
) -> Corpus:
    """Open a corpus by its catalogue name; raises DataError where its files are not to be had.

    To train, every split of the source and the test split of each target and of each `held_out` language, which is
    only tested in, must be there; else any test file will do.
    `progress` is called with the bytes so far and the total (None where unknown) during a download.
    """
    entry = CATALOGUE.get(name)
    if entry is None:
        raise UsageError(f"unknown corpus {name!r}{did_you_mean(name, CORPORA)}; there are {', '.join(CORPORA)}")
    if entry.languages:
        _check_languages(entry.name, source, (*targets, *held_out), entry.languages)
    files = RawFiles.open(data if data is not None else _locate(entry, home, progress))
    if not entry.languages:
        _check_languages(f"{entry.name} in {files.root}", source, (*targets, *held_out), jsonl.languages(files))
    corpus = Corpus(name, source, targets, files, entry.layout)
    if (made := find_translations_folder(corpus, home)) is not None:
        corpus = replace(corpus, machine_translations=RawFiles.open(made))
    if not to_train:
        if not any(corpus.file_of(lang, "test") for lang in (source, *targets)):
            corpus.require(source, "test")
        return corpus
    for split in SPLITS:
        corpus.require(source, split)
    for lang in (*targets, *held_out):
        corpus.require(lang, "test")
    return corpus


def did_you_mean(word: str, choices: tuple[str, ...]) -> str:
    """Propose the nearest choice, or nothing."""
    near = difflib.get_close_matches(word.lower(), choices, n=1)
    return f": did you mean {near[0]}?" if near else ""


def _check_languages(corpus: str, source: str, targets: tuple[str, ...], valid: tuple[str, ...]) -> None:
    for lang in (source, *targets):
        if lang not in valid:
            near = did_you_mean(lang, valid)
            raise DataError(f"{corpus} has no language {lang!r}{near}; it has {', '.join(valid) or 'none'}")
    if source in targets:
        raise UsageError(f"{source} is the source language and cannot be a target too; take it out of targets")
    if len(set(targets)) < len(targets):
        raise UsageError(f"a target language is given twice in {', '.join(targets)}; give each once")


def _locate(entry: CatalogueEntry, home: Path, progress: Progress | None) -> Path:
    folder = home / "corpora"
    if entry.name == "mtop-mini":
        from xa_search.corpora.mini.generate import generate_once

        return generate_once(folder / entry.name)
    for path in (folder / entry.name, *(folder / f"{entry.name}{ending}" for ending in (".zip", *TAR_ENDINGS))):
        if path.exists():
            return path
    if entry.name == "multiatis":
        raise DataError(
            f"MultiATIS++ is licensed by the LDC (LDC2021T04) and cannot be downloaded: "
            f"get it there and give --data PATH, a folder or zip with {entry.expects}"
        )
    if entry.address is None:
        raise DataError(f"{entry.name} needs --data PATH, a folder or zip with {entry.expects}")
    ending = next((ending for ending in TAR_ENDINGS if entry.address.endswith(ending)), ".zip")
    return download(entry, folder / f"{entry.name}{ending}", progress)
