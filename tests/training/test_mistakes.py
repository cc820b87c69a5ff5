"""What was taken for what, and which utterances are shown."""

from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from xa_search.records import Utterance
from xa_search.training.evaluation import Prediction
from xa_search.training.metrics import spans_of
from xa_search.training.mistakes import (
    NOTHING,
    OTHER_ENDS,
    mistakes_of,
    read_mistakes,
    slot_confusions,
    write_mistakes,
)

TAGS = st.lists(st.sampled_from(["O", "B-time", "I-time", "B-place", "I-place"]), min_size=5, max_size=5)


def row(number: int, intent: str, *tags: str) -> Utterance:
    words = tuple(f"w{place}" for place in range(len(tags)))
    return Utterance(id=str(number), lang="th", split="test", words=words, intent=intent, slots=tags)


def said(intent: str, *tags: str) -> Prediction:
    return Prediction(intent=intent, intent_probability=0.9, slots=tags, slot_probabilities=(0.9,) * len(tags))


def test_a_span_is_taken_for_the_one_that_shares_most_words_with_it() -> None:
    gold, predicted = (
        spans_of(["B-time", "I-time", "O", "B-place", "B-time"]),
        spans_of(["B-place", "O", "B-time", "B-place", "I-place"]),
    )
    assert Counter(slot_confusions(gold, predicted)) == {
        ("time", "place"): 2,
        ("place", OTHER_ENDS): 1,
        (NOTHING, "time"): 1,
    }
    assert slot_confusions(spans_of(["B-time"]), set()) == [("time", NOTHING)]


@given(TAGS, TAGS)
def test_what_is_right_is_no_confusion_and_what_is_wrong_is_one(gold: list[str], predicted: list[str]) -> None:
    right, wrong = spans_of(gold), spans_of(predicted)
    found = slot_confusions(right, wrong)
    assert slot_confusions(right, right) == []
    assert bool(found) == (right != wrong)
    assert sum(one != NOTHING for one, _ in found) == len(right - wrong)


def test_examples_are_spread_over_all_that_is_wrong(tmp_path: Path) -> None:
    rows = [row(number, "wake", "O", "B-time") for number in range(100)]
    predictions = [said("wake" if number % 2 else "sleep", "O", "B-time") for number in range(100)]
    found = mistakes_of(rows, predictions, has_slots=True)
    assert (found.utterances, found.wrong, len(found.examples)) == (100, 50, 10)
    assert [one.id for one in found.examples] == [str(number) for number in range(0, 100, 10)]
    assert [(one.gold, one.predicted, one.count) for one in found.intents] == [("wake", "sleep", 50)]
    write_mistakes({"th": found}, tmp_path / "one")
    assert read_mistakes(tmp_path) == {"th": found}


def test_without_slots_tags_are_no_mistake() -> None:
    found = mistakes_of([row(1, "yes", "O")], [said("yes", "B-time")], has_slots=False)
    assert (found.wrong, found.slots, found.examples) == (0, (), ())
