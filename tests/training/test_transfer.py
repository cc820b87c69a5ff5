"""Label maps and intervals: what is mapped, what is not, and scores that agree with the metrics of a trial."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xa_search.config.shipped import LABEL_MAPS
from xa_search.errors import UsageError
from xa_search.records import Utterance
from xa_search.training import metrics
from xa_search.training.evaluation import Prediction
from xa_search.training.statistics import f1_interval, share_interval
from xa_search.training.transfer import LabelMap, OpenLabels, read_label_map, same_labels, score_language

MAP = LabelMap(
    intents={"light_on": "lamp", "clean": "tidy"},
    slots={"room": "place", "corner": "place", "noun": None},
    leave_out=True,
)


def utterance(intent: str, *slots: str) -> Utterance:
    return Utterance(id="1", lang="de", split="test", words=("w",) * len(slots), intent=intent, slots=slots)


def prediction(intent: str, *slots: str) -> Prediction:
    return Prediction(intent=intent, intent_probability=0.5, slots=slots, slot_probabilities=())


@pytest.mark.parametrize(
    ("predicted", "expected"),
    [
        ("B-room I-room O B-room", "B-place I-place O B-place"),
        ("B-noun I-noun B-room", "O O B-place"),
        ("B-room I-corner", "B-place B-place"),
        ("I-room I-room", "I-place I-place"),
        ("B-noun I-room", "O I-place"),
        ("B-door I-door", "B-door (not in the map)|I-door (not in the map)"),
    ],
)
def test_slots_are_translated_span_by_span(predicted: str, expected: str) -> None:
    translated = MAP.translate(prediction("clean", *predicted.split()))
    assert translated.intent == "tidy"
    assert translated.slots == tuple(expected.split("|") if "|" in expected else expected.split())


def test_what_the_map_does_not_name_is_wrong_and_counted() -> None:
    gold = [utterance("lamp", "B-place"), utterance("tidy", "B-when"), utterance("cook", "O"), utterance("wash", "O")]
    said = [prediction("light_on", "B-room"), prediction("wash", "B-tidy"), prediction("clean", "O")]
    said.append(prediction("wash", "O"))
    for leave_out, rows, left_out, accuracy in ((True, 2, 2, 1 / 2), (False, 4, 0, 1 / 4)):
        still_open = OpenLabels()
        labels = MAP.model_copy(update={"leave_out": leave_out})
        score = score_language("de", gold, said, labels, still_open)
        assert (score.rows, score.left_out) == (rows, left_out)
        assert score.intent_accuracy.value == accuracy
        assert score.exact_match.value == 1 / rows
        assert score.slot_f1.value == 1 / 2
        assert still_open.intents == {"cook": 1, "wash": 1}
        assert still_open.slots == {"when": 1}
        assert still_open.predicted_intents == {"wash": 1 if leave_out else 2}
        assert still_open.predicted_slots == {"tidy": 1}


TAGS = st.lists(st.sampled_from(["O", "B-a", "I-a", "B-b", "I-b"]), min_size=3, max_size=3)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from("xy"), TAGS, st.sampled_from("xyz"), TAGS), min_size=1, max_size=6))
def test_scores_with_the_same_labels_are_those_of_a_trial(rows: list[tuple[str, list[str], str, list[str]]]) -> None:
    gold = [utterance(intent, *tags) for intent, tags, _, _ in rows]
    said = [prediction(intent, *tags) for _, _, intent, tags in rows]
    score = score_language("de", gold, said, same_labels("xyz", "ab"), OpenLabels())
    gold_intents, gold_tags, intents, tags = ([row[place] for row in rows] for place in range(4))
    assert score.intent_accuracy.value == metrics.accuracy(gold_intents, intents)
    assert score.slot_f1.value == pytest.approx(metrics.slot_f1(gold_tags, tags))
    assert score.exact_match.value == metrics.exact_match(gold_intents, gold_tags, intents, tags)
    for part in (score.intent_accuracy, score.slot_f1, score.exact_match):
        assert 0 <= part.low <= part.high <= 1


def test_intervals_narrow_with_the_test_set_and_are_the_same_every_time() -> None:
    right = np.arange(100) % 4 != 0
    small, large = share_interval(right), share_interval(np.tile(right, 25))
    assert small.value == large.value == 0.75
    assert small.low < large.low < 0.75 < large.high < small.high
    # The normal approximation of a share, which the bootstrap nears on so many rows.
    half = 1.96 * (0.75 * 0.25 / 2500) ** 0.5
    assert large.low == pytest.approx(0.75 - half, abs=0.005)
    assert large.high == pytest.approx(0.75 + half, abs=0.005)
    assert share_interval(right) == small


def test_intervals_of_nothing_and_of_no_slots() -> None:
    none = np.zeros(5, dtype=np.int64)
    assert f1_interval(none, none, none).value == 0.0
    empty = share_interval(np.zeros(0, dtype=bool))
    assert (empty.value, empty.low, empty.high) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("intents: [", "not valid YAML"),
        ("intents: {a: b}", "slots"),
        ("{intents: {a: 1}, slots: {}}", "intents.a: 1"),
        ("{intents: {}, slots: {}, intent: {}}", "intent"),
        ("", "None"),
        ('{intents: {"caf\\u00e9": a, "cafe\\u0301\\u200b": b}, slots: {}}', "two entries are named 'caf\u00e9'"),
        ("caf\udce9", "cannot be read as text"),
    ],
)
def test_a_faulty_map_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "map.yaml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError) as caught:
        read_label_map(str(path))
    assert str(path) in str(caught.value)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_both_sides_of_a_map_are_cleaned_as_labels_are(tmp_path: Path) -> None:
    path = tmp_path / "map.yaml"
    path.write_text('{intents: {"re\u0301veil": "al\u200barm"}, slots: {"cafe\u0301": "\ufeffbar", "x\u00a0 y": null}}')
    found = read_label_map(str(path))
    assert found.intents == {"r\u00e9veil": "alarm"}
    assert found.slots == {"caf\u00e9": "bar", "x y": None}
    assert same_labels(["re\u0301veil"], ["x\u200b"]).intents == {"r\u00e9veil": "r\u00e9veil"}
    assert same_labels(["re\u0301veil"], ["x\u200b"]).slots == {"x": "x"}


def test_maps_by_name() -> None:
    with pytest.raises(UsageError, match=r"--label-map 'mtod': no such file; .* one of these: .*mtod-to-xsid"):
        read_label_map("mtod")
    for path in LABEL_MAPS.glob("*.yaml"):
        assert read_label_map(path.stem).intents
