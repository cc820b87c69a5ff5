"""Which rows train, which are held out, and which translation belongs to which row.

In: the encoded source training table and the translation tables. Out: row numbers.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xa_search.encoding.row_index import NO_ROW
from xa_search.encoding.table import EncodedTable

SAMPLE_SEED = 20210505
NO_TRANSLATION = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRows:
    """Row numbers in the source training table; no utterance text occurs on both sides."""

    train: np.ndarray
    held_out: np.ndarray

    @property
    def all(self) -> np.ndarray:
        """Both, in the order of the table."""
        return np.union1d(self.train, self.held_out)


def split_training_rows(table: EncodedTable, train_limit: int | None, held_out: float) -> TrainingRows:
    """Sample `train_limit` rows, and hold out about the share `held_out` of the distinct texts among them.

    The draw does not depend on a trial's seed: all trials of a search learn from and are selected on the same rows.
    """
    rows = _sample(table, train_limit)
    kept_back = table.shares[rows] < held_out
    return TrainingRows(train=rows[~kept_back], held_out=rows[kept_back])


def target_training_rows(table: EncodedTable, train_limit: int | None, held_out: np.ndarray) -> np.ndarray:
    """Sample `train_limit` rows of a target's training table, and leave out each whose text has a share in `held_out`.

    Those are the shares of the held-out translations: selection must not see what has trained.
    """
    rows = _sample(table, train_limit)
    kept: np.ndarray = rows[~np.isin(table.shares[rows], held_out)]
    return kept


def _sample(table: EncodedTable, limit: int | None) -> np.ndarray:
    if limit is None or limit >= len(table):
        return np.arange(len(table))
    return np.sort(np.random.default_rng(SAMPLE_SEED).permutation(len(table))[:limit])


def translation_rows(source: EncodedTable, translations: EncodedTable, rows: np.ndarray) -> np.ndarray:
    """Return, for each source row, the row of its translation, or NO_TRANSLATION."""
    row_of_source = np.full(len(source), NO_TRANSLATION, dtype=np.int64)
    known = translations.source_rows != NO_ROW
    row_of_source[translations.source_rows[known]] = np.flatnonzero(known)
    found: np.ndarray = row_of_source[rows]
    return found


def share_of_text(words: Sequence[str]) -> float:
    """Return a fixed number from 0 up to 1 for a text: rows below `held_out` are held out."""
    digest = hashlib.sha256(" ".join(words).casefold().encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
