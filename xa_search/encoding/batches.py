"""Batches. In: encoded rows. Out: their tokens one after the other, without padding, in an order that a seed decides.

Only attention sees the tokens of an utterance side by side: for it the rows are cut into blocks of similar length.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch

from xa_search.encoding.store import slot_types_of
from xa_search.encoding.table import EncodedRow
from xa_search.records import IGNORED, OUTSIDE


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Neighbouring utterances of a batch, as attention sees them: padded to `longest`.

    `places` is int64 [tokens]: where each of their tokens stands in the padded block [rows x longest].
    """

    rows: int
    tokens: int
    longest: int
    places: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """B utterances of N tokens in all, one after the other, and the S words among them that are scored.

    `input_ids` [N] are the tokens and `positions` [N] their places in their utterances, from 0; `lengths` [B] counts
    them. `words` [S] says which of the N tokens stands for each scored word, `word_counts` [B] how many an utterance
    has. `intents` [B] and `slots` [S] hold label numbers, IGNORED where there is no known label. All int64.
    """

    input_ids: torch.Tensor
    positions: torch.Tensor
    lengths: torch.Tensor
    words: torch.Tensor
    word_counts: torch.Tensor
    intents: torch.Tensor
    slots: torch.Tensor
    blocks: tuple[Block, ...]

    @property
    def tensors(self) -> list[torch.Tensor]:
        """All tensors of the batch, those of its blocks at the end."""
        own: list[torch.Tensor] = [getattr(self, name) for name in _TENSORS]
        return [*own, *(block.places for block in self.blocks)]

    def with_tensors(self, tensors: Sequence[torch.Tensor]) -> "Batch":
        """Return the batch with others in the place of its `tensors`."""
        own, places = tensors[: len(_TENSORS)], tensors[len(_TENSORS) :]
        blocks = tuple(replace(block, places=each) for block, each in zip(self.blocks, places, strict=True))
        return Batch(**dict(zip(_TENSORS, own, strict=True)), blocks=blocks)

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device."""
        return self.with_tensors(move_together(self.tensors, device))


_TENSORS = tuple(part.name for part in fields(Batch) if part.name != "blocks")


def move_together(tensors: Sequence[torch.Tensor], device: torch.device) -> list[torch.Tensor]:
    """Return int64 tensors of the CPU on a device: one copy, and views of it.

    To a GPU it goes from pinned memory, and nobody waits for it.
    """
    if device.type == "cpu":
        return list(tensors)
    sizes = [tensor.numel() for tensor in tensors]
    pinned = device.type == "cuda" and torch.cuda.is_available()
    flat = torch.empty(sum(sizes), dtype=torch.int64, pin_memory=pinned)
    torch.cat([tensor.flatten() for tensor in tensors], out=flat)
    parts = torch.split(flat.to(device, non_blocking=True), sizes)
    return [part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Padding:
    """Every row is filled up to `length` with `token`, and attention sees it as it sees any other."""

    length: int
    token: int


class Collator:
    """Turns rows into a Batch with the label numbers of one label set.

    `rows_a_block` bounds how many utterances attention sees in one piece: small blocks waste less on padding, one
    large block costs a GPU fewer calls. `padding` is for models that learned with it.
    """

    def __init__(
        self,
        intents: Sequence[str],
        slot_tags: Sequence[str],
        rows_a_block: int = sys.maxsize,
        padding: Padding | None = None,
    ) -> None:
        self._intents = {intent: number for number, intent in enumerate(intents)}
        self._slot_tags = {tag: number for number, tag in enumerate(slot_tags)}
        types = {slot_type: number for number, slot_type in enumerate(slot_types_of(slot_tags))}
        self._type_of_tag = {tag: types[tag[2:]] for tag in slot_tags if tag != OUTSIDE}
        self._types = len(types)
        self._rows_a_block = rows_a_block
        self._padding = padding

    def __call__(self, rows: Sequence[EncodedRow], unscored: Sequence[EncodedRow] = ()) -> Batch:
        """Pack the rows; of the `unscored` ones, which come last, words and labels are left out."""
        everything = [*rows, *unscored]
        lengths = self.lengths(everything)
        word_counts = np.array([len(row.positions) for row in rows] + [0] * len(unscored), dtype=np.int64)
        starts = np.cumsum(lengths) - lengths
        intents = self._intent_numbers(rows) + [IGNORED] * len(unscored)
        slots = [number for row in rows for number in self._slot_numbers(row)]
        words = np.concatenate([row.positions for row in rows]) + np.repeat(starts, word_counts)
        return Batch(
            input_ids=torch.from_numpy(np.concatenate([self._tokens(row) for row in everything]).astype(np.int64)),
            positions=torch.from_numpy(_count_up(lengths)),
            lengths=torch.from_numpy(lengths),
            words=torch.from_numpy(words.astype(np.int64)),
            word_counts=torch.from_numpy(word_counts),
            intents=torch.tensor(intents, dtype=torch.int64),
            slots=torch.tensor(slots, dtype=torch.int64),
            blocks=self._blocks(lengths),
        )

    def lengths(self, rows: Sequence[EncodedRow]) -> np.ndarray:
        """Return how many tokens each row will have, int64 [rows]."""
        least = 0 if self._padding is None else self._padding.length
        return np.array([max(least, len(row.input_ids)) for row in rows], dtype=np.int64)

    def intents(self, rows: Sequence[EncodedRow]) -> torch.Tensor:
        """Return the intent number of each row, int64 [rows]."""
        return torch.tensor(self._intent_numbers(rows), dtype=torch.int64)

    def slot_presence(self, rows: Sequence[EncodedRow]) -> torch.Tensor:
        """Return which slot types each row has, float32 [rows, types]: 1 or 0."""
        present = np.zeros((len(rows), self._types), dtype=np.float32)
        for place, row in enumerate(rows):
            for tag in row.slots or ():
                if tag in self._type_of_tag:
                    present[place, self._type_of_tag[tag]] = 1
        return torch.from_numpy(present)

    def _tokens(self, row: EncodedRow) -> np.ndarray:
        if self._padding is None or len(row.input_ids) >= self._padding.length:
            return row.input_ids
        filling = np.full(self._padding.length - len(row.input_ids), self._padding.token)
        return np.concatenate([row.input_ids, filling])

    def _intent_numbers(self, rows: Sequence[EncodedRow]) -> list[int]:
        return [self._intents.get(row.intent or "", IGNORED) for row in rows]

    def _slot_numbers(self, row: EncodedRow) -> list[int]:
        if row.slots is None:
            return [IGNORED] * len(row.positions)
        return [self._slot_tags.get(tag, IGNORED) for tag in row.slots[: len(row.positions)]]

    def _blocks(self, lengths: np.ndarray) -> tuple[Block, ...]:
        pieces = [lengths[i : i + self._rows_a_block] for i in range(0, len(lengths), self._rows_a_block)]
        return tuple(_block(piece) for piece in pieces)


def _block(lengths: np.ndarray) -> Block:
    longest = int(lengths.max())
    places = _count_up(lengths) + np.repeat(np.arange(len(lengths)) * longest, lengths)
    return Block(rows=len(lengths), tokens=int(lengths.sum()), longest=longest, places=torch.from_numpy(places))


def _count_up(lengths: np.ndarray) -> np.ndarray:
    """Return 0 .. length - 1 for each length, one after the other."""
    counted: np.ndarray = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return counted


def shuffled_batches(lengths: np.ndarray, batch_size: int, generator: np.random.Generator) -> list[np.ndarray]:
    """Return index arrays that cover all rows once in random order; within an array, short rows come first.

    Every array but the last has `batch_size` indices.
    """
    order = generator.permutation(len(lengths))
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    return [batch[np.argsort(lengths[batch], kind="stable")] for batch in batches]


def sorted_batches(lengths: np.ndarray, tokens_a_batch: int) -> Iterator[np.ndarray]:
    """Yield index arrays in order of length, each with at most `tokens_a_batch` tokens and at least one row."""
    order = np.argsort(lengths, kind="stable")
    start, tokens = 0, 0
    for end, row in enumerate(order):
        if end > start and tokens + lengths[row] > tokens_a_batch:
            yield order[start:end]
            start, tokens = end, 0
        tokens += lengths[row]
    if len(order):
        yield order[start:]
