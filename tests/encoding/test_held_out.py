"""What is held out shares no template and no translation with what trains, whatever the corpus."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xa_search.encoding.held_out import (
    ENOUGH,
    HeldOutCounts,
    HeldOutSplit,
    SplitKeys,
    split_rows_held_out,
)
from xa_search.encoding.template import template_key, text_key

NOTHING = np.zeros(0, dtype=np.int64)


def keys(templates: list[int], intents: list[int], **translations: list[int]) -> SplitKeys:
    """A split whose texts all differ; a translation below 0 is missing."""
    pairs = {lang: np.array(found, dtype=np.int64) for lang, found in translations.items()}
    return SplitKeys(
        texts=np.arange(len(templates)) + 1000 * (1 + len(templates)),
        templates=np.array(templates, dtype=np.int64),
        labels=(np.arange(len(templates)), np.array(intents, dtype=np.int64)),
        translations={lang: (np.flatnonzero(found >= 0), found[found >= 0]) for lang, found in pairs.items()},
    )


NO_DEV = keys([], [], de=[], th=[])


def seen(split: HeldOutSplit, table: SplitKeys, rows: np.ndarray) -> Iterator[set[int]]:
    """The templates of rows, and their translations in each language."""
    yield set(table.templates[rows].tolist())
    for of, texts in table.translations.values():
        yield set(texts[np.isin(of, rows)].tolist())


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 3), st.integers(-1, 40), st.integers(-1, 40)),
        min_size=1,
        max_size=120,
    ),
    st.floats(0.05, 0.45),
    st.none() | st.integers(10, 100),
)
def test_nothing_held_out_is_trained_on(
    rows: list[tuple[int, int, int, int]], fraction: float, limit: int | None
) -> None:
    templates, intents, german, thai = (list(column) for column in zip(*rows, strict=True))
    table = keys(templates, intents, de=german, th=thai)
    split = split_rows_held_out(table, NO_DEV, limit, None, fraction)
    parts = [set(part.tolist()) for part in (split.train, split.selecting, split.kept)]
    assert len(set.union(*parts)) == sum(map(len, parts)) == min(len(rows), limit or len(rows))
    for one, other in ((split.train, split.selecting), (split.train, split.kept), (split.selecting, split.kept)):
        for left, right in zip(seen(split, table, one), seen(split, table, other), strict=True):
            assert left.isdisjoint(right)
    assert {intents[row] for row in split.train} == {intents[row] for row in set.union(*parts)}
    again = split_rows_held_out(table, NO_DEV, limit, None, fraction)
    assert np.array_equal(again.selecting, split.selecting)


def test_whole_templates_are_drawn_until_the_share_is_reached_and_halved() -> None:
    table = keys([number // 4 for number in range(400)], [0] * 400, de=list(range(400)))
    split = split_rows_held_out(table, NO_DEV, None, None, 0.1)
    assert (split.origin, len(split.train), len(split.selecting), len(split.kept)) == ("train", 360, 20, 20)
    assert split.templates == (5, 5)


def test_a_frame_of_most_rows_always_trains() -> None:
    table = keys([0] * 300 + list(range(1, 201)), [0] * 500, de=list(range(500)))
    split = split_rows_held_out(table, NO_DEV, None, None, 0.2)
    assert set(range(300)) <= set(split.train.tolist())
    assert len(split.selecting) + len(split.kept) == 100


def test_the_last_utterances_of_a_label_train() -> None:
    table = keys(list(range(20)), [0] * 18 + [1, 2], de=list(range(20)))
    split = split_rows_held_out(table, NO_DEV, None, None, 0.49)
    assert {18, 19} <= set(split.train.tolist())


def test_a_dev_split_with_translations_spares_the_training_split() -> None:
    table = keys(list(range(100)), [0] * 100, de=list(range(100)))
    dev = keys(list(range(80, 200)), [0] * 120, de=[50, *range(200, 319)])
    split = split_rows_held_out(table, dev, None, None, 0.1)
    assert split.origin == "dev"
    assert len(split.train) == 100
    # 20 rows share a template with training, of which one shares a translation, too.
    assert sorted([*split.selecting, *split.kept]) == list(range(20, 120))
    assert abs(len(split.selecting) - len(split.kept)) <= 1
    shared = replace(dev, translations={"de": (np.arange(120), np.arange(120))})
    assert split_rows_held_out(table, shared, None, None, 0.1).origin == "train"
    assert split_rows_held_out(
        table, replace(dev, translations={"th": (NOTHING, NOTHING)}), None, None, 0.1
    ).origin == ("train")
    few = split_rows_held_out(table, dev, None, 5, 0.1)
    assert (few.origin, len(few.selecting) + len(few.kept)) == ("dev", ENOUGH)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Wake me at 7 !", "wake me at 19"),
        ("call O'Brien", "call obrien"),
        ("set alarm for 7:30am", "Set alarm for 10:45 AM"),
        ("ปลุก ฉัน", "ปลุกฉัน"),
        ("Straße", "STRASSE"),
    ],
)
def test_case_punctuation_spaces_and_numbers_are_set_aside(one: str, other: str) -> None:
    assert text_key(one.split()) == text_key(other.split())


def test_a_template_is_the_text_with_slot_types_for_values() -> None:
    seven = template_key(["wake", "me", "at", "seven", "thirty"], ["O", "O", "O", "B-time", "I-time"])
    assert seven == template_key(["Wake", "me", "at", "noon", "."], ["O", "O", "O", "B-time", "O"])
    assert seven != template_key(["wake", "me", "at", "noon"], ["O", "O", "O", "B-place"])
    assert seven != template_key(["wake", "us", "at", "noon"], ["O", "O", "O", "B-time"])
    assert text_key(["?"]) != text_key(["!"])


def test_the_plan_says_how_many_rows_and_what_they_can_tell() -> None:
    counts = HeldOutCounts(origin="dev", source="en", train=1100, selecting=90, kept=88, templates=(40, 39))
    assert str(counts) == (
        "held out of the en dev split, with translations: 90 rows (40 templates) select, 88 (39 templates) are kept "
        "for registration; 1,100 rows train; a score of 85% has a standard error of 3.8 points: trials closer than 3.8 "
        "points are not told apart"
    )
    many = str(replace(counts, origin="train", selecting=600))
    assert many.endswith("a score of 85% has a standard error of 1.5 points")
    assert "held out of the en training split" in many
