"""The labelled utterances that a trial learns from. In: tables and some rows of each. Out: rows, numbered through."""

from collections.abc import Sequence

import numpy as np

from xa_search.encoding.table import EncodedRow, EncodedTable


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
