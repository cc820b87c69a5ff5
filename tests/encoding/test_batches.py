import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from xa_search.encoding.batches import Collator, shuffled_batches, sorted_batches
from xa_search.encoding.table import EncodedRow
from xa_search.records import IGNORED

lengths = st.lists(st.integers(3, 90), min_size=1, max_size=300).map(lambda values: np.array(values, dtype=np.int64))


@given(lengths=lengths, size=st.integers(1, 40), seed=st.integers(0, 5))
def test_shuffled_batches_hold_each_row_once_and_their_number_is_fixed(
    lengths: np.ndarray, size: int, seed: int
) -> None:
    batches = shuffled_batches(lengths, size, np.random.default_rng(seed))
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    assert all(len(batch) <= size for batch in batches)
    assert len(batches) == -(-len(lengths) // size)


@given(lengths=lengths, tokens=st.integers(10, 500))
def test_sorted_batches_hold_each_row_once_within_the_token_budget(lengths: np.ndarray, tokens: int) -> None:
    batches = list(sorted_batches(lengths, tokens))
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    assert all(len(batch) == 1 or lengths[batch].sum() <= tokens for batch in batches)


def test_the_same_seed_gives_the_same_order_and_another_seed_another() -> None:
    some = np.arange(3, 103)
    first, again, other = (shuffled_batches(some, 8, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def row(tokens: int, slots: list[str] | None, intent: str | None) -> EncodedRow:
    return EncodedRow(
        id="x",
        words=["w"] * (tokens - 2),
        input_ids=np.arange(1, tokens + 1),
        positions=np.arange(1, tokens - 1),
        intent=intent,
        slots=slots,
    )


def test_a_batch_holds_tokens_without_padding_and_unknown_labels_are_ignored() -> None:
    collate = Collator(["A", "B"], ["O", "B-x", "I-x"])
    batch = collate([row(5, ["O", "B-x", "B-new"], "B"), row(3, ["I-x"], "NEW")], [row(4, ["O", "O"], "A")])
    assert batch.input_ids.tolist() == [1, 2, 3, 4, 5, 1, 2, 3, 1, 2, 3, 4]
    assert batch.positions.tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 0, 1, 2, 3]
    assert batch.lengths.tolist() == [5, 3, 4]
    assert batch.words.tolist() == [1, 2, 3, 6]
    assert batch.word_counts.tolist() == [3, 1, 0]
    assert batch.intents.tolist() == [1, IGNORED, IGNORED]
    assert batch.slots.tolist() == [0, 1, IGNORED, 2]


def test_blocks_cover_the_rows_and_pad_each_to_its_own_longest() -> None:
    collate = Collator(["A"], ["O"], rows_a_block=2)
    batch = collate([row(tokens, None, None) for tokens in (3, 4, 6)])
    assert [(block.rows, block.tokens, block.longest) for block in batch.blocks] == [(2, 7, 4), (1, 6, 6)]
    assert batch.blocks[0].places.tolist() == [0, 1, 2, 4, 5, 6, 7]
    assert batch.blocks[1].places.tolist() == [0, 1, 2, 3, 4, 5]
