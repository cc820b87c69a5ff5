"""Rows are read off the mapped file as they stand in it."""

from pathlib import Path

import numpy as np
import pytest

from xa_search.encoding.files import write_table
from xa_search.encoding.table import EncodedTable


def a_table(path: Path, rows: int, rows_a_chunk: int) -> list[dict[str, object]]:
    """Write rows of every kind: translations without labels, without words, with words that were cut off."""
    numbers = np.random.default_rng(5)
    written: list[dict[str, object]] = []
    for row in range(rows):
        words = [f"wörd{number}" for number in numbers.integers(0, 50, numbers.integers(0, 6))]
        is_translation = row % 3 == 2
        written.append(
            {
                "id": f"row {row}",
                "words": words,
                "input_ids": [0, *numbers.integers(3, 99, len(words)).tolist(), 2],
                "positions": list(range(1, max(1, len(words)))),
                "intent": None if is_translation else f"intent {row % 4}",
                "slots": None if is_translation else ["O" if len(word) > 5 else "B-x" for word in words],
                "text": row,
                "template": row,
                "source_row": None,
            }
        )
    pieces = [written[start : start + rows_a_chunk] for start in range(0, rows, rows_a_chunk)]
    write_table(path, ({name: [row[name] for row in piece] for name in piece[0]} for piece in pieces))
    return written


@pytest.mark.parametrize("rows_a_chunk", [1, 4, 100])
def test_rows_are_what_was_written_in_any_order(tmp_path: Path, rows_a_chunk: int) -> None:
    written = a_table(tmp_path / "table.arrow", 30, rows_a_chunk)
    table = EncodedTable(tmp_path / "table.arrow")
    order = np.array([29, 0, 7, 7, *range(30)])
    for number, row in zip(order, table.rows(order), strict=True):
        expected = written[number]
        for name in ("id", "words", "intent", "slots"):
            assert getattr(row, name) == expected[name]
        assert row.input_ids.tolist() == expected["input_ids"]
        assert row.positions.tolist() == expected["positions"]
        assert row.input_ids.dtype == np.int32
    assert table.rows(np.zeros(0, dtype=np.int64)) == []


def test_a_row_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    a_table(tmp_path / "table.arrow", 5, 2)
    table = EncodedTable(tmp_path / "table.arrow")
    for row in (-1, 5):
        with pytest.raises(IndexError, match="a row of a table of 5"):
            table.rows(np.array([0, row]))


def test_tokens_are_no_copies(tmp_path: Path) -> None:
    a_table(tmp_path / "table.arrow", 5, 5)
    first, again = (EncodedTable(tmp_path / "table.arrow").rows(np.array([1]))[0] for _ in range(2))
    assert not first.input_ids.flags.owndata
    assert not first.input_ids.flags.writeable
    assert np.array_equal(first.input_ids, again.input_ids)
