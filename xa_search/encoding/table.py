"""One encoded table in memory-mapped form. In: an Arrow file. Out: rows by index, and whole columns as arrays."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset

from xa_search.encoding.files import node_copy
from xa_search.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedRow:
    """One encoded utterance or translation; a translation has no intent and no slots."""

    id: str
    words: list[str]
    input_ids: np.ndarray
    positions: np.ndarray
    intent: str | None
    slots: list[str] | None


END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"
"""What Arrow writes last; without it, a stream that is cut between two batches reads as a shorter one."""


def _check_end(path: Path) -> None:
    with path.open("rb") as file:
        file.seek(-min(len(END_OF_STREAM), path.stat().st_size), os.SEEK_END)
        if file.read() != END_OF_STREAM:
            raise OSError("its end is missing")


class _Lists:
    """A column of lists of a chunk: where each list begins and ends, and all their values, both in the mapped file."""

    def __init__(self, column: pa.ListArray) -> None:
        self.ends = np.asarray(column.offsets)
        self.values = column.values

    def bounds(self, row: int) -> tuple[int, int]:
        """Return where the list of a row begins and ends among the values."""
        return int(self.ends[row]), int(self.ends[row + 1])


class _Chunk:
    """Neighbouring rows of a table. Numbers stay views of the mapped file; labels are kept as numbers of 16 bits."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._ids = batch.column("id")
        self._words, self._input_ids, self._positions, self._slots = (
            _Lists(batch.column(name)) for name in ("words", "input_ids", "positions", "slots")
        )
        self._tokens, self._places = (np.asarray(one.values) for one in (self._input_ids, self._positions))
        intents, tags = batch.column("intent").dictionary_encode(), self._slots.values.dictionary_encode()
        self._intent_names, self._tag_names = intents.dictionary.to_pylist(), tags.dictionary.to_pylist()
        self._intents = np.asarray(intents.indices.fill_null(-1)).astype(np.int16)
        self._tags = np.asarray(tags.indices).astype(np.int16)
        self._has_slots = np.asarray(batch.column("slots").is_valid())

    def row(self, row: int) -> EncodedRow:
        """Return a row of the chunk, counted from its first."""
        word, last_word = self._words.bounds(row)
        token, last_token = self._input_ids.bounds(row)
        place, last_place = self._positions.bounds(row)
        tag, last_tag = self._slots.bounds(row)
        intent, names = self._intents[row], self._tag_names
        return EncodedRow(
            id=self._ids[row].as_py(),
            words=self._words.values.slice(word, last_word - word).to_pylist(),
            input_ids=self._tokens[token:last_token],
            positions=self._places[place:last_place],
            intent=None if intent < 0 else self._intent_names[intent],
            slots=[names[one] for one in self._tags[tag:last_tag].tolist()] if self._has_slots[row] else None,
        )


class EncodedTable:
    """A memory-mapped table of encoded rows. Raises DataError where its file is gone or damaged."""

    def __init__(self, path: Path) -> None:
        self._chunks: dict[int, _Chunk] = {}
        try:
            _check_end(path)
            self._dataset = Dataset.from_file(str(node_copy(path))).with_format("arrow")
        except (OSError, pa.ArrowException) as error:
            reason = str(error).partition("\n")[0]
            raise DataError(
                f"{path} is unreadable ({reason}); remove its folder, and type the same command again"
            ) from error

    def __len__(self) -> int:
        return len(self._dataset)

    @cached_property
    def lengths(self) -> np.ndarray:
        """The number of tokens of each row, int64 [rows]."""
        return np.asarray(pc.list_value_length(self._dataset.data.column("input_ids"))).astype(np.int64)

    @cached_property
    def texts(self) -> np.ndarray:
        """The number of each row's text, which equal texts share, int64 [rows]."""
        return np.asarray(self._dataset.data.column("text"))

    @cached_property
    def templates(self) -> np.ndarray:
        """The number of each row's template, int64 [rows]; a translation, which has no tags, has that of its text."""
        return np.asarray(self._dataset.data.column("template"))

    @cached_property
    def labels(self) -> tuple[np.ndarray, np.ndarray]:
        """The intent and the slot types of all rows: row numbers and label numbers, both int64."""
        intents = self._dataset.data.column("intent").combine_chunks().dictionary_encode()
        tags = self._dataset.data.column("slots").combine_chunks()
        row_of_tag, flat = np.asarray(pc.list_parent_indices(tags)), pc.list_flatten(tags)
        begins = np.asarray(pc.starts_with(flat, "B-"))
        slots = flat.dictionary_encode().indices
        rows, numbers = row_of_tag[begins], np.asarray(slots)[begins] + len(intents.dictionary)
        of_slots = np.unique(np.stack([rows, numbers]).astype(np.int64), axis=1)
        of_intents = np.asarray(intents.indices).astype(np.int64)
        return np.concatenate([np.arange(len(self)), of_slots[0]]), np.concatenate([of_intents, of_slots[1]])

    @cached_property
    def source_rows(self) -> np.ndarray:
        """The source row that each translation belongs to, int64 [rows]; NO_ROW where there is none."""
        return np.asarray(self._dataset.data.column("source_row"))

    @cached_property
    def span_counts(self) -> np.ndarray:
        """The number of slot spans of each row, int64 [rows]; 0 where it has no tags."""
        tags = self._dataset.data.column("slots").combine_chunks()
        row_of_tag, begins = pc.list_parent_indices(tags), pc.starts_with(pc.list_flatten(tags), "B-")
        return np.bincount(np.asarray(row_of_tag)[np.asarray(begins)], minlength=len(self))

    def tag_numbers(self, rows: np.ndarray, slot_tags: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers of the tags of these rows, one row behind the other, and how many each has; both int64."""
        tags = self._dataset.data.column("slots").combine_chunks().take(pa.array(rows))
        numbers = pc.index_in(pc.list_flatten(tags), value_set=pa.array(slot_tags, type=pa.string()))
        return np.asarray(numbers).astype(np.int64), np.asarray(pc.list_value_length(tags)).astype(np.int64)

    def ids(self) -> Iterator[list[str]]:
        """Yield the ids of all rows, piece by piece."""
        for chunk in self._dataset.data.column("id").chunks:
            yield chunk.to_pylist()

    def rows(self, indices: np.ndarray) -> list[EncodedRow]:
        """Return the rows at these indices, in their order."""
        if len(indices) and (indices.min() < 0 or indices.max() >= len(self)):
            raise IndexError(f"a row of a table of {len(self)}: {indices.min()} to {indices.max()}")
        numbers = np.searchsorted(self._ends, indices, side="right")
        within = indices - self._starts[numbers]
        return [self._chunk(number).row(row) for number, row in zip(numbers.tolist(), within.tolist(), strict=True)]

    @cached_property
    def _batches(self) -> list[pa.RecordBatch]:
        batches: list[pa.RecordBatch] = self._dataset.data.table.to_batches()
        return batches

    @cached_property
    def _ends(self) -> np.ndarray:
        """The row behind the last one of each chunk of the file."""
        return np.cumsum([batch.num_rows for batch in self._batches], dtype=np.int64)

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.concatenate([np.zeros(1, dtype=np.int64), self._ends[:-1]])

    def _chunk(self, number: int) -> "_Chunk":
        """Return a chunk of the file; it is made when a row of it is read first."""
        chunk = self._chunks.get(number)
        if chunk is None:
            chunk = self._chunks[number] = _Chunk(self._batches[number])
        return chunk

    def token_ids(self) -> np.ndarray:
        """Return the distinct token ids of the table, sorted, int64."""
        flat = pc.list_flatten(self._dataset.data.column("input_ids"))
        return np.sort(np.asarray(pc.unique(flat))).astype(np.int64)
