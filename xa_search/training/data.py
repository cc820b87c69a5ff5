"""A trial's data. In: an encoded corpus and the settings. Out: rows that train, rows that are held out, their pairs."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from xa_search.encoding.batches import Collator, Padding
from xa_search.encoding.held_out import HeldOutSplit
from xa_search.encoding.store import (
    DEV_TRANSLATIONS,
    NO_TRANSLATION,
    TRANSLATIONS,
    held_out_split,
    table_path,
    target_training_rows,
    translation_rows,
)
from xa_search.encoding.table import EncodedRow, EncodedTable
from xa_search.errors import DataError
from xa_search.records import EncodedCorpus, Split, TrialSettings
from xa_search.training.methods import Method
from xa_search.training.registry import method_of

CPU_ROWS_A_BLOCK = 16


class TaskRows:
    """Rows of one or several tables under one numbering, in the order of the tables."""

    def __init__(self, parts: Sequence[tuple[EncodedTable, np.ndarray]]) -> None:
        self._parts = tuple(parts)
        self.lengths = np.concatenate([table.lengths[rows] for table, rows in parts])

    def __len__(self) -> int:
        return len(self.lengths)

    def read(self, numbers: np.ndarray) -> list[EncodedRow]:
        """Return the rows of these numbers, in their order."""
        found: dict[int, EncodedRow] = {}
        start = 0
        for table, rows in self._parts:
            places = np.flatnonzero((numbers >= start) & (numbers < start + len(rows)))
            if len(places):
                found |= zip(places.tolist(), table.rows(rows[numbers[places] - start]), strict=True)
            start += len(rows)
        return [found[place] for place in range(len(numbers))]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutPairs:
    """Rows of a source table that nothing learns from, and each target's translations of them.

    `pairs[lang][i]` is the row in `translations[lang]` of the translation of source row `rows[i]`, or NO_TRANSLATION.
    """

    source: EncodedTable
    rows: np.ndarray
    translations: Mapping[str, EncodedTable]
    pairs: Mapping[str, np.ndarray]

    def read(self, lang: str) -> tuple[list[EncodedRow], list[EncodedRow]]:
        """Return the source rows that have a translation, with their labels, and these translations."""
        there = self.pairs[lang] != NO_TRANSLATION
        return self.source.rows(self.rows[there]), self.translations[lang].rows(self.pairs[lang][there])


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialData:
    """The source table, its training rows, each target's translations of them, and what is held out.

    `train_pairs[lang][i]` is the row in `translations[lang]` of the translation of source row `train[i]`.
    `selecting` is what selection looks at.
    `target_train[lang]` are the labelled training utterances of a target, where the method learns from them.
    `span_counts` tells what became of the slot spans of labelled translations, by metric name.
    """

    corpus: EncodedCorpus
    source: EncodedTable
    translations: dict[str, EncodedTable]
    split: HeldOutSplit
    train: np.ndarray
    train_pairs: dict[str, np.ndarray]
    selecting: HeldOutPairs
    target_train: dict[str, tuple[EncodedTable, np.ndarray]]
    span_counts: dict[str, float]

    def task_rows(self, method: Method) -> TaskRows:
        """Return the labelled utterances that a method learns from, apart from translations."""
        source = [(self.source, self.train)] if method.source_rows else []
        return TaskRows([*source, *self.target_train.values()])

    def paired_translations(self, indices: np.ndarray, epoch: int) -> list[EncodedRow | None]:
        """Return a translation of each of these training rows: the targets take turns over rows and epochs."""
        found: list[EncodedRow | None] = [None] * len(indices)
        missing = np.ones(len(indices), dtype=bool)
        targets = self.corpus.aligned
        for turn in range(len(targets)):
            for number, lang in enumerate(targets):
                chosen = missing & ((indices + epoch + turn) % len(targets) == number)
                chosen &= self.train_pairs[lang][indices] != NO_TRANSLATION
                rows = self.translations[lang].rows(self.train_pairs[lang][indices[chosen]])
                for place, row in zip(np.flatnonzero(chosen), rows, strict=True):
                    found[place] = row
                missing &= ~chosen
        return found


def trial_split(corpus: EncodedCorpus, settings: TrialSettings) -> HeldOutSplit:
    """Return which rows train, select and are kept: the same for all trials of a search."""
    return held_out_split(corpus, settings.train_limit, settings.dev_limit, settings.validation_fraction)


def held_out_pairs(corpus: EncodedCorpus, split: HeldOutSplit) -> tuple[HeldOutPairs, HeldOutPairs]:
    """Return the held-out rows that select among trials, and those that are kept for what comes after."""
    source = EncodedTable(table_path(corpus, split.origin, corpus.source))
    name = TRANSLATIONS if split.origin == "train" else DEV_TRANSLATIONS
    tables = {lang: EncodedTable(table_path(corpus, name, lang)) for lang in corpus.aligned}
    selecting, kept = (
        HeldOutPairs(
            source=source,
            rows=rows,
            translations=tables,
            pairs={lang: translation_rows(source, table, rows) for lang, table in tables.items()},
        )
        for rows in (split.selecting, split.kept)
    )
    return selecting, kept


def load_trial_data(
    corpus: EncodedCorpus, settings: TrialSettings, labelled: Mapping[str, EncodedTable] | None = None
) -> TrialData:
    """Open the tables; `labelled` are those of the translations with labels, if the method learns from such.

    Raises DataError when nothing would train or be held out, or a target has no pairs.
    """
    source = EncodedTable(table_path(corpus, "train", corpus.source))
    split = trial_split(corpus, settings)
    if not len(split.train) or not len(split.selecting):
        raise DataError(
            f"{len(source)} training utterances leave {len(split.train)} to train and {len(split.selecting)} held out; "
            f"raise fixed.train_limit (now {settings.train_limit}) or change fixed.validation_fraction "
            f"({settings.validation_fraction}): templates are held out whole, and no label to its last utterance"
        )
    selecting, kept = held_out_pairs(corpus, split)
    translations = dict(labelled or {}) or {
        lang: EncodedTable(table_path(corpus, TRANSLATIONS, lang)) for lang in corpus.aligned
    }
    train_pairs = {lang: translation_rows(source, table, split.train) for lang, table in translations.items()}
    for lang in corpus.aligned:
        if (train_pairs[lang] == NO_TRANSLATION).all() or (selecting.pairs[lang] == NO_TRANSLATION).all():
            raise DataError(f"no {lang} translations of the training utterances; `xa-search data check` shows which")
    target_train = {}
    if method_of(settings).target_rows:
        target_train = {
            lang: _target_train(corpus, lang, settings.train_limit, _texts((selecting, kept), lang))
            for lang in corpus.targets
        }
    return TrialData(
        corpus=corpus,
        source=source,
        translations=translations,
        split=split,
        train=split.train,
        train_pairs=train_pairs,
        selecting=selecting,
        target_train=target_train,
        span_counts=_span_counts(source, labelled or {}, split.of_training),
    )


def _span_counts(source: EncodedTable, labelled: Mapping[str, EncodedTable], rows: np.ndarray) -> dict[str, float]:
    """Count the slot spans of these rows' labelled translations, and those of their sources that were dropped."""
    counts = {}
    for lang, table in labelled.items():
        known = table.source_rows[np.isin(table.source_rows, rows)]
        projected = int(table.span_counts.sum())
        counts[f"projected_spans_{lang}"] = float(projected)
        counts[f"dropped_spans_{lang}"] = float(source.span_counts[known].sum() - projected)
    return counts


def _texts(halves: Sequence[HeldOutPairs], lang: str) -> np.ndarray:
    """Return the numbers of the texts of a target's held-out translations; none where it has no pairs."""
    of_halves = [half for half in halves if lang in half.pairs]
    found = [half.translations[lang].texts[half.pairs[lang][half.pairs[lang] != NO_TRANSLATION]] for half in of_halves]
    return np.concatenate([np.zeros(0, dtype=np.int64), *found])


def _target_train(
    corpus: EncodedCorpus, lang: str, train_limit: int | None, held_out: np.ndarray
) -> tuple[EncodedTable, np.ndarray]:
    """Return a target's training table and the rows that train. Raises DataError when there are none."""
    table = EncodedTable(table_path(corpus, "train", lang))
    rows = target_training_rows(table, train_limit, held_out)
    if not len(rows):
        raise DataError(
            f"none of the {len(table)} {lang} training utterances is left to learn from; add more, "
            "choose a method that learns from translations, or take the language out of targets"
        )
    return table, rows


def split_rows(corpus: EncodedCorpus, split: Split, lang: str, limit: int | None) -> list[EncodedRow]:
    """Return the rows of a labelled split, at most `limit`, evenly spread over the file."""
    table = EncodedTable(table_path(corpus, split, lang))
    count = len(table) if limit is None else min(limit, len(table))
    return table.rows(np.linspace(0, len(table), count, endpoint=False).astype(np.int64))


def source_dev_rows(corpus: EncodedCorpus, split: HeldOutSplit, limit: int | None) -> list[EncodedRow]:
    """Return the source dev rows that a trial may look at, at most `limit`, evenly spread: none that are kept."""
    table = EncodedTable(table_path(corpus, "dev", corpus.source))
    rows = np.arange(len(table))
    if split.origin == "dev":
        rows = np.setdiff1d(rows, split.kept)
    count = len(rows) if limit is None else min(limit, len(rows))
    return table.rows(rows[np.linspace(0, len(rows), count, endpoint=False).astype(np.int64)])


def evaluation_collator(corpus: EncodedCorpus, padding: Padding | None = None) -> Collator:
    """Return the collator with the label numbers of the corpus."""
    return Collator(corpus.intents, corpus.slot_tags, padding=padding)


def training_collator(corpus: EncodedCorpus, device: torch.device, padding: Padding | None) -> Collator:
    """Return the same, with blocks for training: on a CPU, small ones."""
    rows_a_block = CPU_ROWS_A_BLOCK if device.type == "cpu" else sys.maxsize
    return Collator(corpus.intents, corpus.slot_tags, rows_a_block, padding)


def attended_padding(settings: TrialSettings, encoder: Any) -> Padding | None:
    """Return the padding that the encoder learns with and is asked with; none unless the settings want it seen."""
    if settings.padding == "none":
        return None
    return Padding(length=settings.max_tokens, token=encoder.config.pad_token_id or 0)
