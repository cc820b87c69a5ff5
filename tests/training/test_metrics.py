"""Golden values for the traps in slot scoring, and parity with seqeval."""

from collections import Counter

import pytest

from xa_search.training.metrics import (
    accuracy,
    exact_match,
    slot_f1,
    slot_f1_merged,
    slot_f1_strict,
    slot_type_f1,
    slot_types,
)


@pytest.mark.parametrize(
    ("gold", "predicted", "lenient", "strict"),
    [
        ([["B-a", "I-a", "O"]], [["B-a", "I-a", "O"]], 1.0, 1.0),
        ([["B-a", "I-a", "O"]], [["I-a", "I-a", "O"]], 1.0, 0.0),
        ([["B-a", "I-a", "O"]], [["B-a", "O", "O"]], 0.0, 0.0),
        ([["O", "O", "O"]], [["B-a", "O", "O"]], 0.0, 0.0),
        ([["B-a", "B-a"]], [["B-a", "I-a"]], 0.0, 0.0),
        ([["B-a", "O", "B-b"]], [["B-a", "O", "B-c"]], 0.5, 0.5),
        ([["B-a", "O"], ["B-a", "O"]], [["B-a", "O"], ["O", "B-a"]], 0.5, 0.5),
    ],
)
def test_slot_f1(gold: list[list[str]], predicted: list[list[str]], lenient: float, strict: float) -> None:
    assert slot_f1(gold, predicted) == pytest.approx(lenient)
    assert slot_f1_strict(gold, predicted) == pytest.approx(strict)


def test_spurious_slots_cost_precision() -> None:
    gold, predicted = [["B-a", "O", "O", "O"]], [["B-a", "B-b", "B-c", "B-d"]]
    assert slot_f1(gold, predicted) == pytest.approx(2 * 0.25 / 1.25)


def test_neighbours_of_one_type_are_one_slot_where_slots_are_merged() -> None:
    gold = [["B-a", "B-a", "O", "B-b"]]
    assert slot_f1_merged(gold, [["B-a", "I-a", "O", "I-b"]]) == 1
    assert slot_f1(gold, [["B-a", "I-a", "O", "I-b"]]) == pytest.approx(0.4)
    assert slot_f1_merged(gold, [["B-a", "B-c", "O", "B-b"]]) == pytest.approx(0.4)


def test_exact_match_needs_the_intent_and_every_tag() -> None:
    gold = [["B-a", "O"], ["O"], ["O"]]
    assert exact_match(["x", "x", "x"], gold, ["x", "x", "y"], [["B-a", "O"], ["B-a"], ["O"]]) == pytest.approx(1 / 3)


def test_accuracy() -> None:
    assert accuracy(["a", "b"], ["a", "c"]) == 0.5
    assert accuracy([], []) == 0.0


def test_slot_types_counts_spans_not_words() -> None:
    assert slot_types(["B-a", "I-a", "O", "B-a", "B-b"]) == Counter(a=2, b=1)


def test_slot_type_f1_compares_multisets_without_positions() -> None:
    gold = [Counter(a=2, b=1), Counter()]
    assert slot_type_f1(gold, [Counter(a=1, b=1), Counter()]) == pytest.approx(2 * 2 / (3 + 2))
    assert slot_type_f1(gold, [Counter(a=2, b=1), Counter(c=1)]) == pytest.approx(2 * 3 / (3 + 4))
    assert slot_type_f1([Counter()], [Counter()]) == 1.0
