"""Encoded corpora on disk. In: a corpus and a tokenizer. Out: one memory-mapped Arrow table a split and language.

Each table is written once, whole or not at all, and read by every trial without a copy. The test splits are encoded
apart (`encode_split`), after the winner is chosen.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from xa_search.encoding.labels import collect_labels
from xa_search.encoding.pairs import share_of_text
from xa_search.encoding.row_index import RowIndex
from xa_search.encoding.table import EncodedTable
from xa_search.encoding.tokenisation import TokenisedWords, tokenise_running_text, tokenise_words
from xa_search.encoding.writing import ROWS_A_CHUNK, write_table, write_whole
from xa_search.errors import DataError
from xa_search.records import EncodedCorpus, Split, Translation, Utterance

FORMAT_VERSION = 2


class ReadableCorpus(Protocol):
    """What encoding asks of a corpus."""

    @property
    def name(self) -> str:
        """The catalogue name."""

    @property
    def source(self) -> str:
        """The labelled language."""

    @property
    def targets(self) -> tuple[str, ...]:
        """The languages to transfer to."""

    def utterances(self, lang: str, split: Split) -> Iterator[Utterance]:
        """Yield the labelled utterances of a language and split."""

    def translations(self, lang: str) -> Iterator[Translation]:
        """Yield the translations of the source training utterances."""

    def fingerprint(self, *, with_target_train: bool = False) -> str:
        """Return a hash of the raw files that are read."""


def encode_corpus(
    corpus: ReadableCorpus,
    tokenizer: Any,
    tokenizer_fingerprint: str,
    *,
    max_tokens: int,
    with_target_dev: bool,
    with_target_train: bool,
    home: Path,
) -> EncodedCorpus:
    """Encode the source's training and dev splits and the translations, once; the targets' splits only if asked.

    Raises DataError when a needed split is empty.
    """
    fingerprint = corpus.fingerprint(with_target_train=with_target_train)
    key = json.dumps([FORMAT_VERSION, fingerprint, tokenizer_fingerprint, max_tokens, corpus.source])
    directory = home / "encoded" / f"{corpus.name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    directory.mkdir(parents=True, exist_ok=True)
    labels_file = directory / "labels.json"
    if not labels_file.exists():
        intents, slot_tags = collect_labels(corpus.utterances(corpus.source, "train"))
        write_whole(labels_file, lambda path: path.write_text(json.dumps([intents, slot_tags]), encoding="utf-8"))
    intents, slot_tags = json.loads(labels_file.read_text(encoding="utf-8"))
    if not intents:
        raise DataError(f"{corpus.name}: no {corpus.source} training utterances; run `xa-search data check`")
    encoded = EncodedCorpus(
        directory=directory,
        source=corpus.source,
        targets=corpus.targets,
        intents=tuple(intents),
        slot_tags=tuple(slot_tags),
    )
    asked: tuple[tuple[Split, bool], ...] = (("train", with_target_train), ("dev", with_target_dev))
    for split, with_targets in asked:
        languages = (corpus.source, *corpus.targets) if with_targets else (corpus.source,)
        encode_split(encoded, corpus, tokenizer, max_tokens, split, languages)
    _encode_translations(encoded, corpus, tokenizer, max_tokens)
    return encoded


def encode_split(
    encoded: EncodedCorpus,
    corpus: ReadableCorpus,
    tokenizer: Any,
    max_tokens: int,
    split: Split,
    languages: Iterable[str],
) -> None:
    """Encode one split of some languages into the directory of an encoded corpus; done once."""
    for lang in languages:
        _write_table_once(
            table_path(encoded, split, lang),
            partial(corpus.utterances, lang, split),
            lambda rows: _utterance_columns(rows, tokenizer, max_tokens),
        )


def _encode_translations(encoded: EncodedCorpus, corpus: ReadableCorpus, tokenizer: Any, max_tokens: int) -> None:
    missing = [lang for lang in corpus.targets if not table_path(encoded, "translations", lang).exists()]
    if not missing:
        return
    source_rows = RowIndex(EncodedTable(table_path(encoded, "train", corpus.source)).ids())
    for lang in missing:
        _write_table_once(
            table_path(encoded, "translations", lang),
            partial(corpus.translations, lang),
            lambda rows: _translation_columns(rows, tokenizer, max_tokens, source_rows),
        )


def table_path(encoded: EncodedCorpus, split: Split | str, lang: str) -> Path:
    """Return the file of a split (or of the `translations`) in a language."""
    return encoded.directory / f"{split}.{lang}.arrow"


def _write_table_once(
    path: Path, rows: Callable[[], Iterable[Any]], columns: Callable[[list[Any]], dict[str, list[Any]]]
) -> None:
    if not path.exists():
        iterator = iter(rows())
        write_table(path, map(columns, iter(lambda: list(islice(iterator, ROWS_A_CHUNK)), [])))


def _utterance_columns(rows: list[Utterance], tokenizer: Any, max_tokens: int) -> dict[str, list[Any]]:
    tokenised = tokenise_words(tokenizer, [row.words for row in rows], max_tokens)
    return _token_columns([row.id for row in rows], tokenised) | {
        "intent": [row.intent for row in rows],
        "slots": [row.slots for row in rows],
        "source_row": [None] * len(rows),
    }


def _translation_columns(
    rows: list[Translation], tokenizer: Any, max_tokens: int, source_rows: RowIndex
) -> dict[str, list[Any]]:
    if any(row.running_text for row in rows):
        tokenised = tokenise_running_text(tokenizer, [" ".join(row.words) for row in rows], max_tokens)
    else:
        tokenised = tokenise_words(tokenizer, [row.words for row in rows], max_tokens)
    ids = [row.source_id for row in rows]
    nothing = [None] * len(rows)
    columns = _token_columns(ids, tokenised)
    return columns | {"intent": nothing, "slots": nothing, "source_row": source_rows.find(ids).tolist()}


def _token_columns(ids: list[str], tokenised: list[TokenisedWords]) -> dict[str, list[Any]]:
    return {
        "id": ids,
        "words": [row.words for row in tokenised],
        "input_ids": [row.input_ids for row in tokenised],
        "positions": [row.positions for row in tokenised],
        "share": [share_of_text(row.words) for row in tokenised],
    }
