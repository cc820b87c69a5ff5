"""The answer table against arithmetic on made-up outcomes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xa_search.feedback.answer import Answer, answer, answer_table, verdict_of
from xa_search.records.feedback import Arm
from xa_search.training.final_test import Outcomes
from xa_search.training.statistics import Interval

LANGUAGES, COUNT = ("en", "de", "th"), 200
SHARES: dict[Arm, float] = {"none": 0.70, "english": 0.78, "multilingual": 0.80}


def outcomes(share: float, seed: int = 0) -> dict[str, Outcomes]:
    """A model that has the first utterances right, as many as its share, and every slot of these."""
    right = np.arange(COUNT) < round(share * COUNT) + seed % 2
    return {
        lang: Outcomes(
            ids=tuple(str(number) for number in range(COUNT)),
            intent=right,
            exact=right,
            correct=right.astype(np.int64),
            found=np.ones(COUNT, dtype=np.int64),
            gold=np.ones(COUNT, dtype=np.int64),
        )
        for lang in LANGUAGES
    }


@pytest.fixture
def found() -> Answer:
    runs = {arm: {seed: outcomes(share, seed) for seed in (1, 2, 3)} for arm, share in SHARES.items()}
    return answer(runs, outcomes(0.74), "en", ("de", "th"))


def test_scores_and_differences_are_means_over_languages_and_seeds(found: Answer) -> None:
    by_name = {(row.language, row.metric): row for row in found.rows}
    assert {name for name, _ in by_name} == {*LANGUAGES, "targets"}
    targets = by_name["targets", "intent"]
    assert targets.reference == pytest.approx(74.0)
    assert targets.scores["none"] == pytest.approx(70 + 100 * 2 / 3 / COUNT)
    assert targets.difference is not None
    assert targets.difference.interval.value == pytest.approx(2.0)
    assert by_name["de", "slots"].scores["english"] == pytest.approx(78 + 100 * 2 / 3 / COUNT)
    assert found.gains["intent"]["english"].verdict == "better"


def test_the_transfer_ratio_is_what_english_gains_of_what_all_languages_gain(found: Answer) -> None:
    ratio = found.transfer["intent"]
    assert ratio is not None
    assert ratio.value == pytest.approx(0.8)
    assert ratio.low < 0.8 < ratio.high
    same = {arm: {1: outcomes(0.7)} for arm in SHARES}
    assert answer(same, outcomes(0.7), "en", ("de", "th")).transfer == {"intent": None, "slots": None}


def test_harm_counts_right_answers_turned_wrong(found: Answer) -> None:
    lost = (0.74 - 0.70) * COUNT - 2 / 3
    assert found.harm["none"] == pytest.approx(100 * lost / (0.74 * COUNT))
    assert found.harm["multilingual"] == 0
    assert found.source_change["english"] == pytest.approx(4 + 100 * 2 / 3 / COUNT)


def test_the_table_says_how_it_was_measured(found: Answer) -> None:
    table = answer_table(found, "simulated from gold, 10% noise")
    assert table.startswith("### simulated from gold, 10% noise")
    assert "| targets | 74.0 | 70.3 | 78.3 | 80.3 | +2.0 [" in table


def test_arms_without_a_common_seed_have_no_answer() -> None:
    with pytest.raises(ValueError, match="no seed"):
        answer({"none": {1: outcomes(0.7)}, "english": {2: outcomes(0.7)}}, outcomes(0.7), "en", ("de",))


@given(st.floats(-3, 3), st.floats(0.01, 3))
def test_a_verdict_follows_from_the_intervals_alone(value: float, half: float) -> None:
    wide, narrow = (Interval(value=value, low=value - width, high=value + width) for width in (half, 0.84 * half))
    verdict = verdict_of(wide, narrow)
    if verdict == "equal within 0.5":
        assert abs(value) < 0.5
    assert (verdict == "better") == (wide.low > 0 and not (narrow.low > -0.5 and narrow.high < 0.5))
    assert (verdict == "worse") == (wide.high < 0 and not (narrow.low > -0.5 and narrow.high < 0.5))
