"""What is held out. In: an encoded corpus and the limits of a search. Out: which rows train, select, and are kept.

Held-out rows share no template with a row that trains, and none of their translations stands among the translations
that train, in any language. Where the source's dev split has translations, its rows are held out and the whole training
split trains; else template groups of the training split are drawn whole.

They are two halves that share no template either: one selects among trials, the other is kept for what comes after.
No draw depends on a trial's seed: all trials of a search learn from and are selected on the same rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

ENOUGH = 80
"""So many rows of a dev split, at least, stand in for a part of the training split."""
GROUP_SHARE, SMALL_GROUP = 0.1, 8
"""A group of more than this share of what is to be held out, and of more rows than that, always trains."""
SAMPLE_SEED = 20210505
TYPICAL_SCORE = 0.85
TOLD_APART = 0.015
Origin = Literal["train", "dev"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitKeys:
    """A labelled split as numbers: `texts` and `templates` are int64 [rows].

    `labels` names the intent and the slot types of all rows: row numbers, and label numbers. `translations[lang]` are
    the rows that have a translation, and the numbers of its text.
    """

    texts: np.ndarray
    templates: np.ndarray
    labels: tuple[np.ndarray, np.ndarray]
    translations: Mapping[str, tuple[np.ndarray, np.ndarray]]

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutSplit:
    """Row numbers: `train` in the source training table, `selecting` and `kept` in that of `origin`."""

    origin: Origin
    train: np.ndarray
    selecting: np.ndarray
    kept: np.ndarray
    templates: tuple[int, int]

    @property
    def of_training(self) -> np.ndarray:
        """All rows of the training table that are read, whether they train or are held out, in its order."""
        return self.train if self.origin == "dev" else np.union1d(self.train, np.union1d(self.selecting, self.kept))


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutCounts:
    """How much is held out: rows with a translation, in the language that has the fewest, and templates."""

    origin: Origin
    source: str
    train: int
    selecting: int
    kept: int
    templates: tuple[int, int]

    @property
    def standard_error(self) -> float:
        """The standard error, as a share, of a score of 85% on the rows that select, were they independent."""
        return sqrt(TYPICAL_SCORE * (1 - TYPICAL_SCORE) / max(1, self.selecting))

    def __str__(self) -> str:
        where = f"the {self.source} {'dev' if self.origin == 'dev' else 'training'} split"
        error = f"{100 * self.standard_error:.1f} points"
        told = f": trials closer than {error} are not told apart" if self.standard_error > TOLD_APART else ""
        return (
            f"held out of {where}, with translations: {self.selecting:,} rows ({self.templates[0]:,} templates) "
            f"select, {self.kept:,} ({self.templates[1]:,} templates) are kept for registration; {self.train:,} rows "
            f"train; a score of {TYPICAL_SCORE:.0%} has a standard error of {error}{told}"
        )


def split_rows_held_out(
    train: SplitKeys, dev: SplitKeys, train_limit: int | None, dev_limit: int | None, validation_fraction: float
) -> HeldOutSplit:
    """Sample `train_limit` training rows, and hold out rows of `dev`, or templates with about this share of the rows.

    Of `dev` that are `dev_limit` rows at most, but never fewer than are ENOUGH.
    """
    rows = sample_rows(len(train), train_limit)
    new = _unseen(train, rows, dev)
    most = len(new) if dev_limit is None else max(dev_limit, ENOUGH)
    if most < len(new):
        new = new[np.linspace(0, len(new), most, endpoint=False).astype(np.int64)]
    if len(new) >= ENOUGH:
        selecting, kept, templates = _halves(dev, new, _groups(dev, new))
        return HeldOutSplit(origin="dev", train=rows, selecting=selecting, kept=kept, templates=templates)
    groups = _groups(train, rows)
    drawn = _draw(train, rows, groups, round(validation_fraction * len(rows)))
    selecting, kept, templates = _halves(train, rows[drawn], groups[drawn])
    return HeldOutSplit(origin="train", train=rows[~drawn], selecting=selecting, kept=kept, templates=templates)


def sample_rows(count: int, limit: int | None) -> np.ndarray:
    """Return `limit` of `count` row numbers, always the same ones, in order."""
    if limit is None or limit >= count:
        return np.arange(count)
    return np.sort(np.random.default_rng(SAMPLE_SEED).permutation(count)[:limit])


def _unseen(train: SplitKeys, rows: np.ndarray, dev: SplitKeys) -> np.ndarray:
    """Return the dev rows with a translation that share neither template, text nor translation with these rows.

    None where a language has translations of training rows but of no dev row.
    """
    if not train.translations.keys() <= dev.translations.keys():
        return np.zeros(0, dtype=np.int64)
    seen = np.isin(dev.templates, train.templates[rows]) | np.isin(dev.texts, train.texts[rows])
    paired = np.zeros(len(dev), dtype=bool)
    for lang, (of_train, trained) in train.translations.items():
        of_dev, keys = dev.translations[lang]
        if not len(of_dev):
            return np.zeros(0, dtype=np.int64)
        paired[of_dev] = True
        seen[of_dev[np.isin(keys, trained[np.isin(of_train, rows)])]] = True
    found: np.ndarray = np.flatnonzero(paired & ~seen)
    return found


def _groups(keys: SplitKeys, rows: np.ndarray) -> np.ndarray:
    """Return the group of each of these rows: rows of one template, text or translation, and what these lead to."""
    ends = [keys.templates[rows], keys.texts[rows]]
    starts = [np.arange(len(rows)), np.arange(len(rows))]
    for of, texts in keys.translations.values():
        chosen = np.isin(of, rows)
        starts.append(np.searchsorted(rows, of[chosen]))
        ends.append(texts[chosen])
    nodes = len(rows)
    joined = []
    for values in ends:
        distinct, numbers = np.unique(values, return_inverse=True)
        joined.append(numbers + nodes)
        nodes += len(distinct)
    begin, end = np.concatenate(starts), np.concatenate(joined)
    graph = coo_array((np.ones(len(begin), dtype=np.int8), (begin, end)), shape=(nodes, nodes))
    groups: np.ndarray = connected_components(graph, directed=False)[1][: len(rows)]
    return np.unique(groups, return_inverse=True)[1]


def _draw(keys: SplitKeys, rows: np.ndarray, groups: np.ndarray, wanted: int) -> np.ndarray:
    """Draw groups until so many rows are there; return which rows. No intent and no slot type is drawn to its end."""
    of, labels = keys.labels
    chosen = np.isin(of, rows)
    of, labels = np.searchsorted(rows, of[chosen]), labels[chosen]
    left = np.bincount(labels) if len(labels) else np.zeros(0, dtype=np.int64)
    order = np.argsort(groups[of], kind="stable")
    labels, of_group = labels[order], groups[of][order]
    sizes = np.bincount(groups)
    drawn = np.zeros(len(sizes), dtype=bool)
    taken, largest = 0, max(SMALL_GROUP, GROUP_SHARE * wanted)
    for group in np.random.default_rng(SAMPLE_SEED).permutation(len(sizes)):
        if taken >= wanted:
            break
        own = labels[np.searchsorted(of_group, group) : np.searchsorted(of_group, group, side="right")]
        names, counts = np.unique(own, return_counts=True)
        if sizes[group] > largest or (left[names] <= counts).any():
            continue
        left[names] -= counts
        drawn[group] = True
        taken += int(sizes[group])
    found: np.ndarray = drawn[groups]
    return found


def _halves(keys: SplitKeys, rows: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Share these rows out by whole groups, each to the half that has fewer; return also the templates of each."""
    numbers, sizes = np.unique(groups, return_counts=True)
    second = np.zeros(len(numbers), dtype=bool)
    counts = [0, 0]
    for place in np.random.default_rng(SAMPLE_SEED + 1).permutation(len(numbers)):
        half = int(counts[1] < counts[0])
        second[place] = bool(half)
        counts[half] += int(sizes[place])
    is_second = second[np.searchsorted(numbers, groups)]
    halves = rows[~is_second], rows[is_second]
    first, last = (len(np.unique(keys.templates[half])) for half in halves)
    return *halves, (first, last)
