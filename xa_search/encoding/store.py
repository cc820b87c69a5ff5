"""Encoded corpora on disk. In: a corpus and a tokenizer. Out: one memory-mapped Arrow table a split and language.

Also what is read off them: the label set, rows by their id, which are held out, and which translation belongs to which.

Labels come from the source training split alone; what only a target or a test split has can never be predicted.

It keeps 16 bytes a row, not the ids themselves: a million rows must not fill the memory.

Each table is written once, whole or not at all, and read by every trial without a copy. Training rows that a cap
leaves out have ids, labels, and numbers of their text and template, which the split of the data needs, but no tokens.
The test splits are encoded apart (`encode_split`), after the winner is chosen.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from xa_search.encoding.files import ROWS_A_CHUNK, write_table, write_whole
from xa_search.encoding.held_out import HeldOutCounts, HeldOutSplit, SplitKeys, sample_rows, split_rows_held_out
from xa_search.encoding.table import EncodedTable
from xa_search.encoding.template import template_key, text_key
from xa_search.encoding.tokenisation import TokenisedWords, tokenise_running_text, tokenise_words
from xa_search.errors import DataError
from xa_search.records import OUTSIDE, EncodedCorpus, Split, Translation, Utterance

NO_ROW = -1
NO_TRANSLATION = -1
FORMAT_VERSION = 4
NOT_READ = TokenisedWords(words=(), input_ids=(), positions=())
TRANSLATIONS, DEV_TRANSLATIONS = "translations", "dev_translations"
"""The tables of the translations of the source's training rows and of its dev rows."""


def collect_labels(utterances: Iterable[Utterance]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the sorted intents, and the slot tags: `O` first, then B- and I- of each sorted slot type.

    Both tags of a type are kept when only one occurs, so that every predicted span can be continued.
    """
    intents: set[str] = set()
    slot_types: set[str] = set()
    for utterance in utterances:
        intents.add(utterance.intent)
        slot_types.update(tag[2:] for tag in utterance.slots if tag != OUTSIDE)
    tags = [OUTSIDE]
    for slot_type in sorted(slot_types):
        tags += [f"B-{slot_type}", f"I-{slot_type}"]
    return tuple(sorted(intents)), tuple(tags)


def slot_types_of(slot_tags: Sequence[str]) -> tuple[str, ...]:
    """Return the slot types of a label set's tags, in their order."""
    return tuple(dict.fromkeys(tag[2:] for tag in slot_tags if tag != OUTSIDE))


class RowIndex:
    """Finds rows by the 64-bit hashes of their ids; of several rows with one id, the first."""

    def __init__(self, ids: Iterable[Sequence[str]]) -> None:
        hashes = np.concatenate([np.zeros(0, dtype=np.int64), *(_hashes(piece) for piece in ids)])
        self._rows = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._rows]

    def find(self, ids: Sequence[str]) -> np.ndarray:
        """Return the row of each id, int64, or NO_ROW."""
        if not len(self._hashes):
            return np.full(len(ids), NO_ROW, dtype=np.int64)
        wanted = _hashes(ids)
        places = np.minimum(np.searchsorted(self._hashes, wanted), len(self._hashes) - 1)
        return np.where(self._hashes[places] == wanted, self._rows[places], NO_ROW)


def _hashes(ids: Sequence[str]) -> np.ndarray:
    return np.fromiter((hash(row_id) for row_id in ids), dtype=np.int64, count=len(ids))


def target_training_rows(table: EncodedTable, train_limit: int | None, held_out: np.ndarray) -> np.ndarray:
    """Sample `train_limit` rows of a target's training table, without what is in `held_out`: numbers of texts.

    Those are the held-out translations: selection must not see what has trained, nor another text of its template.
    """
    rows = sample_rows(len(table), train_limit)
    same_text = np.isin(table.texts[rows], held_out)
    kept: np.ndarray = rows[~np.isin(table.templates[rows], table.templates[rows[same_text]])]
    return kept


def translation_rows(source: EncodedTable, translations: EncodedTable, rows: np.ndarray) -> np.ndarray:
    """Return, for each source row, the row of its translation, or NO_TRANSLATION."""
    row_of_source = np.full(len(source), NO_TRANSLATION, dtype=np.int64)
    known = translations.source_rows != NO_ROW
    row_of_source[translations.source_rows[known]] = np.flatnonzero(known)
    found: np.ndarray = row_of_source[rows]
    return found


def held_out_split(
    encoded: EncodedCorpus, train_limit: int | None, dev_limit: int | None, validation_fraction: float
) -> HeldOutSplit:
    """Return which rows of an encoded corpus train, select, and are kept."""
    return split_rows_held_out(
        _split_keys(encoded, "train", TRANSLATIONS),
        _split_keys(encoded, "dev", DEV_TRANSLATIONS),
        train_limit,
        dev_limit,
        validation_fraction,
    )


def _split_keys(encoded: EncodedCorpus, split: Split, translations: str) -> SplitKeys:
    table = EncodedTable(table_path(encoded, split, encoded.source))
    found = {}
    for lang in encoded.aligned:
        pairs = EncodedTable(table_path(encoded, translations, lang))
        known = pairs.source_rows != NO_ROW
        found[lang] = pairs.source_rows[known], pairs.texts[known]
    return SplitKeys(texts=table.texts, templates=table.templates, labels=table.labels, translations=found)


def held_out_counts(encoded: EncodedCorpus, split: HeldOutSplit) -> HeldOutCounts:
    """Count the held-out rows, in the language that has the fewest translations of them."""
    name = TRANSLATIONS if split.origin == "train" else DEV_TRANSLATIONS
    source = EncodedTable(table_path(encoded, split.origin, encoded.source))
    tables = [EncodedTable(table_path(encoded, name, lang)) for lang in encoded.aligned]
    selecting, kept = (
        min((int((translation_rows(source, table, rows) != NO_TRANSLATION).sum()) for table in tables), default=0)
        for rows in (split.selecting, split.kept)
    )
    return HeldOutCounts(
        origin=split.origin,
        source=encoded.source,
        train=len(split.train),
        selecting=selecting,
        kept=kept,
        templates=split.templates,
    )


def no_translations(_lang: str) -> tuple[Translation, ...]:
    """Tell that a dev split has no translations."""
    return ()


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
    train_limit: int | None = None,
    unpaired: tuple[str, ...] = (),
    dev_translations: Callable[[str], Iterable[Translation]] = no_translations,
) -> EncodedCorpus:
    """Encode the source's training and dev splits and the translations, once; the targets' splits only if asked.

    Training rows that no limit up to `train_limit` samples get no tokens. Of the targets, `unpaired` have no
    translations. `dev_translations` yields those of the source dev split into a language, if there are any.
    Raises DataError when a needed split is empty.
    """
    fingerprint = corpus.fingerprint(with_target_train=with_target_train)
    key = json.dumps(
        [FORMAT_VERSION, fingerprint, tokenizer_fingerprint, max_tokens, corpus.source]
        + ([] if train_limit is None else [train_limit])
    )
    directory = home / "encoded" / f"{corpus.name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    directory.mkdir(parents=True, exist_ok=True)
    intents, slot_tags = _labels(corpus, directory / "labels.json")
    encoded = EncodedCorpus(
        directory=directory,
        source=corpus.source,
        targets=corpus.targets,
        intents=intents,
        slot_tags=slot_tags,
        unpaired=unpaired,
    )
    asked: tuple[tuple[Split, bool], ...] = (("train", with_target_train), ("dev", with_target_dev))
    for split, with_targets in asked:
        languages = (corpus.source, *corpus.targets) if with_targets else (corpus.source,)
        limit = train_limit if split == "train" else None
        encode_split(encoded, corpus, tokenizer, max_tokens, split, languages, limit)
    of_train: tuple[Split, str] = ("train", TRANSLATIONS)
    of_dev: tuple[Split, str] = ("dev", DEV_TRANSLATIONS)
    _encode_translations(encoded, of_train, corpus.translations, tokenizer, max_tokens, train_limit)
    _encode_translations(encoded, of_dev, dev_translations, tokenizer, max_tokens)
    return encoded


def _labels(corpus: ReadableCorpus, path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the intents and slot tags of the source's training split, which are kept in a file."""
    if not path.exists():
        found = collect_labels(corpus.utterances(corpus.source, "train"))
        write_whole(path, lambda place: place.write_text(json.dumps(found), encoding="utf-8"))
    try:
        intents, slot_tags = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, TypeError) as error:
        raise DataError(f"{path} is torn ({error}); remove its folder, and type the same command again") from error
    if not intents:
        raise DataError(f"{corpus.name}: no {corpus.source} training utterances; run `xa-search data check`")
    return tuple(intents), tuple(slot_tags)


def encode_split(
    encoded: EncodedCorpus,
    corpus: ReadableCorpus,
    tokenizer: Any,
    max_tokens: int,
    split: Split,
    languages: Iterable[str],
    limit: int | None = None,
) -> None:
    """Encode one split of some languages into the directory of an encoded corpus; done once.

    Only the rows that a `limit` samples get tokens.
    """
    pairs = not encoded.has_slots
    for lang in languages:
        path, rows = table_path(encoded, split, lang), partial(corpus.utterances, lang, split)
        if path.exists():
            continue
        read = None if limit is None else iter(_sampled(rows(), limit))
        write_table(path, (_utterance_columns(chunk, tokenizer, max_tokens, pairs, read) for chunk in _chunks(rows())))


def _sampled(rows: Iterable[Any], limit: int) -> list[bool]:
    """Tell of each row whether a limit samples it."""
    count = sum(1 for _ in rows)
    found: list[bool] = np.isin(np.arange(count), sample_rows(count, limit)).tolist()
    return found


def _encode_translations(
    encoded: EncodedCorpus,
    tables: tuple[Split, str],
    translations: Callable[[str], Iterable[Translation]],
    tokenizer: Any,
    max_tokens: int,
    limit: int | None = None,
) -> None:
    split, name = tables
    missing = [lang for lang in encoded.aligned if not table_path(encoded, name, lang).exists()]
    if not missing:
        return
    source = EncodedTable(table_path(encoded, split, encoded.source))
    sources = _Sources(index=RowIndex(source.ids()), read=None if limit is None else sample_rows(len(source), limit))
    pairs = not encoded.has_slots
    for lang in missing:
        chunks = _chunks(translations(lang))
        path = table_path(encoded, name, lang)
        write_table(path, (_translation_columns(chunk, tokenizer, max_tokens, sources, pairs) for chunk in chunks))


def table_path(encoded: EncodedCorpus, split: Split | str, lang: str) -> Path:
    """Return the file of a split (or of the `translations`) in a language."""
    return encoded.directory / f"{split}.{lang}.arrow"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sources:
    """The rows that translations belong to: found by their ids, and those of them that are `read`, if not all."""

    index: RowIndex
    read: np.ndarray | None


def _chunks(rows: Iterable[Any]) -> Iterator[list[Any]]:
    iterator = iter(rows)
    return iter(lambda: list(islice(iterator, ROWS_A_CHUNK)), [])


def _utterance_columns(
    rows: list[Utterance], tokenizer: Any, max_tokens: int, pairs: bool, read: Iterator[bool] | None
) -> dict[str, list[Any]]:
    """`read` goes on to tell of each row whether it gets tokens; without it all do."""
    wanted = [True] * len(rows) if read is None else list(islice(read, len(rows)))
    kept = [row.words for row, is_wanted in zip(rows, wanted, strict=True) if is_wanted]
    found = iter(tokenise_words(tokenizer, kept, max_tokens, pairs=pairs))
    tokenised = [next(found) if is_wanted else NOT_READ for is_wanted in wanted]
    return _token_columns([row.id for row in rows], tokenised) | {
        "text": [text_key(row.words) for row in rows],
        "template": [template_key(row.words, row.slots) for row in rows],
        "intent": [row.intent for row in rows],
        "slots": [row.slots for row in rows],
        "source_row": [None] * len(rows),
    }


def _translation_columns(
    rows: list[Translation], tokenizer: Any, max_tokens: int, sources: _Sources, pairs: bool
) -> dict[str, list[Any]]:
    ids = [row.source_id for row in rows]
    of_source = sources.index.find(ids)
    wanted = [True] * len(rows) if sources.read is None else np.isin(of_source, sources.read).tolist()
    read = [row for row, is_wanted in zip(rows, wanted, strict=True) if is_wanted]
    texts = [" ".join(row.words) for row in read if row.running_text]
    running = iter(tokenise_running_text(tokenizer, texts, max_tokens, pairs=pairs))
    words = [row.words for row in read if not row.running_text]
    given = iter(tokenise_words(tokenizer, words, max_tokens, pairs=pairs))
    tokenised = [
        next(running if row.running_text else given) if is_wanted else NOT_READ
        for row, is_wanted in zip(rows, wanted, strict=True)
    ]
    nothing = [None] * len(rows)
    keys = [text_key(row.words) for row in rows]
    columns = _token_columns(ids, tokenised) | {"text": keys, "template": keys}
    return columns | {"intent": nothing, "slots": nothing, "source_row": of_source.tolist()}


def _token_columns(ids: list[str], tokenised: list[TokenisedWords]) -> dict[str, list[Any]]:
    return {
        "id": ids,
        "words": [row.words for row in tokenised],
        "input_ids": [row.input_ids for row in tokenised],
        "positions": [row.positions for row in tokenised],
    }
