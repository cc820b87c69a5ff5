"""Slot tags carried over to a translation."""

import pytest

from xa_search.model.labelled_translations import Link, project_tags


@pytest.mark.parametrize(
    ("tags", "links", "expected"),
    [
        (["O", "B-time", "I-time"], [(0, 0), (1, 1), (2, 2)], ["O", "B-time", "I-time"]),
        (["B-time", "I-time", "O"], [(0, 2), (1, 1), (2, 0)], ["O", "B-time", "I-time"]),
        (["B-time", "I-time"], [(0, 0), (1, 2)], ["B-time", "I-time", "I-time"]),
        (["B-time", "I-time"], [(1, 1)], ["O", "B-time"]),
        (["B-time", "B-time"], [(0, 0), (1, 1)], ["B-time", "B-time"]),
        (["B-time", "I-room"], [(0, 1), (1, 0)], ["B-room", "B-time"]),
        (["O", "O"], [(0, 0)], ["O"]),
        ([], [], ["O", "O"]),
    ],
    ids=[
        "as it is",
        "reordered",
        "a gap",
        "half a span",
        "two spans",
        "an I- that begins",
        "no span",
        "no source words",
    ],
)
def test_a_span_covers_the_words_that_match(tags: list[str], links: list[Link], expected: list[str]) -> None:
    assert project_tags(tags, links, len(expected)) == expected


def test_a_span_without_a_matching_word_is_dropped() -> None:
    assert project_tags(["B-time", "O", "B-room"], [(1, 0), (2, 1)], 2) == ["O", "B-room"]


def test_a_span_that_would_take_an_earlier_ones_words_is_dropped() -> None:
    assert project_tags(["B-time", "I-time", "B-room"], [(0, 0), (1, 2), (2, 1)], 3) == ["B-time", "I-time", "I-time"]
