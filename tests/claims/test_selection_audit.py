"""The audit of selection rules: picks, regrets and pooled tables by hand, on made-up outcomes."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xa_search.claims.audit import (
    GUARDED,
    LABEL_FREE,
    ORACLE,
    RANDOM,
    SOURCE_DEV,
    Candidate,
    TargetScores,
    audit,
    picks,
)
from xa_search.claims.audit_report import paired_difference, pool, read_audit, write_audit, write_pooled
from xa_search.errors import UsageError
from xa_search.records import TrialRecord, TrialSettings
from xa_search.search.winner import choose_winner, complete_trials, in_gate, without_weights
from xa_search.training.final_test import Outcomes
from xa_search.training.selection import GATE, ROWS

IDS = tuple(str(number) for number in range(4000))
TARGETS = ("de", "th")


def outcomes(right: float, seed: int = 0) -> dict[str, Outcomes]:
    hits = np.random.default_rng(seed).random(len(IDS)) < right
    ones = np.ones(len(IDS), dtype=np.int64)
    one = Outcomes(ids=IDS, intent=hits, exact=hits, correct=hits.astype(np.int64), found=ones, gold=ones)
    return dict.fromkeys(TARGETS, one)


def candidate(
    number: int, label_free: float, source_dev: float, test: float | None = None, *, is_aligned: bool = True
) -> Candidate:
    scores = {LABEL_FREE: label_free, SOURCE_DEV: source_dev, GUARDED: (label_free + source_dev) / 2}
    scores |= {"atc": 1 - label_free}
    found = None if test is None else outcomes(test, number)
    return Candidate(number=number, is_aligned=is_aligned, scores=scores, rows=1000, outcomes=found)


TRIALS = (
    candidate(0, 0.50, 0.99, 0.40, is_aligned=False),
    candidate(1, 0.800, 0.90, 0.70),
    candidate(2, 0.795, 0.93, 0.75),
    candidate(3, 0.700, 0.97, 0.60),
)


def test_each_rule_picks_by_hand_and_the_gate_keeps_out_what_transfers_badly() -> None:
    found = picks(TRIALS)
    assert found == {LABEL_FREE: 1, SOURCE_DEV: 0, GUARDED: 2, "atc": 0}
    assert picks(TRIALS[1:]) == {LABEL_FREE: 1, SOURCE_DEV: 3, GUARDED: 2, "atc": 3}
    assert picks([]) == {}


def test_the_gate_is_one_standard_error_of_the_best_between_half_a_point_and_two() -> None:
    width = (0.8 * 0.2 / 1000) ** 0.5  # 1.26 points
    scores = [(0.8, 1000.0), (0.8 - 0.99 * width, 1000.0), (0.8 - 1.01 * width, 1000.0)]
    assert in_gate(scores) == [True, True, False]
    assert in_gate([(0.8, 50.0), (0.781, 50.0), (0.779, 50.0)]) == [True, True, False], "two points at most"
    assert in_gate([(0.8, 1e6), (0.796, 1e6), (0.794, 1e6)]) == [True, True, False], "half a point at least"
    assert in_gate([(0.8, 0.0), (0.781, 0.0), (0.779, 0.0)]) == [True, True, False], "two where the rows are not known"
    assert in_gate([]) == []


def test_a_search_by_guarded_is_won_inside_the_gate_though_the_best_score_lies_outside() -> None:
    def trial(number: int, label_free: float, source_dev: float) -> TrialRecord:
        return TrialRecord(
            number=number,
            role="searched",
            settings=TrialSettings(model_size="tiny", learning_rate=1e-5 * (number + 1)),
            params={},
            state="COMPLETE",
            scores=((label_free + source_dev) / 2,),
            metrics={GATE: label_free, ROWS: 1000.0},
        )

    trials = (trial(0, 0.70, 0.99), trial(1, 0.800, 0.88), trial(2, 0.795, 0.89))
    assert max(trials, key=lambda one: one.score or 0).number == 0
    assert choose_winner(trials).number == 2
    assert [one.number for one in complete_trials(trials)] == [2, 1, 0]
    assert [one.number for one in without_weights(trials, 1)] == [0, 1]
    without_gate = [replace(one, metrics={}) for one in trials]
    assert choose_winner(without_gate).number == 0, "another rule has no gate"


def test_regret_is_told_against_a_cross_fitted_oracle() -> None:
    found = audit("s", LABEL_FREE, TRIALS, TARGETS)
    rows = {row.rule: row for row in found.rows}
    assert rows.keys() == {LABEL_FREE, SOURCE_DEV, GUARDED, "atc", RANDOM, ORACLE}
    assert [rows[rule].pick for rule in (LABEL_FREE, SOURCE_DEV, GUARDED)] == [1, 3, 2]
    assert rows[GUARDED].score.value == pytest.approx(75.0, abs=1.5)
    assert rows[ORACLE].score.value == pytest.approx(75.0, abs=1.5)
    for row in rows.values():
        assert row.regret.value == pytest.approx(
            0.0 if row.rule == ORACLE else rows[ORACLE].score.value - row.score.value
        )
    assert rows[SOURCE_DEV].regret.low > 0, "fifteen points are more than so many utterances leave open"
    assert rows[RANDOM].score.value == pytest.approx((70 + 75 + 60) / 3, abs=1.5)
    assert rows[LABEL_FREE].correlation is not None
    assert rows[LABEL_FREE].correlation.value == pytest.approx(0.5), "ranks 3 2 1 against 2 3 1"
    assert found.with_zero_shot[SOURCE_DEV] == 0
    assert (found.candidates, found.tested) == (3, 3)


def test_equal_trials_have_no_regret_though_one_of_them_tests_best() -> None:
    equal = [candidate(number, 0.8, 0.9, 0.7) for number in range(12)]
    found = audit("s", LABEL_FREE, equal, TARGETS)
    oracle = found.row(ORACLE)
    assert oracle is not None
    scores = TargetScores.of_tests([outcomes(0.7, number) for number in range(12)], TARGETS)
    assert oracle.score.value == pytest.approx(70.0, abs=1.0)
    assert 100 * scores.of().max() > oracle.score.value + 0.5, "the best of them would have been believed"


def test_only_what_was_tested_is_audited_and_a_soup_is_a_row_that_no_rule_picks() -> None:
    trials = [TRIALS[1], TRIALS[2], replace(TRIALS[3], outcomes=None)]
    found = audit("s", LABEL_FREE, trials, TARGETS, others={"soup": outcomes(0.9)})
    assert (found.candidates, found.tested) == (3, 2)
    assert found.row(SOURCE_DEV) is None, "its pick was not tested"
    soup = found.row("soup")
    assert soup is not None
    assert soup.score.value == pytest.approx(90.0, abs=1.5)
    assert soup.regret.value < -10
    with pytest.raises(ValueError, match="no aligned trial"):
        audit("s", LABEL_FREE, [TRIALS[0]], TARGETS)


def test_an_audit_is_written_read_and_pooled(tmp_path: Path) -> None:
    found = audit("s", LABEL_FREE, TRIALS, TARGETS, left_out=2, noise=6.0)
    write_audit(found, tmp_path)
    text = (tmp_path / "selection_audit.md").read_text(encoding="utf-8")
    assert "No rule was chosen from this table" in text
    assert "2 complete trials have no weights left" in text
    assert "source_dev trial 0" in text
    assert " ~ |" in text, "a regret within the noise of the seed"
    assert read_audit(tmp_path, "s") == found
    with pytest.raises(UsageError, match="search t has no audit"):
        read_audit(tmp_path / "nowhere", "t")
    pooled = pool([found] * 3)
    write_pooled(pooled, tmp_path)
    assert json.loads((tmp_path / "audit.json").read_text(encoding="utf-8"))["searches"] == ["s", "s", "s"]
    rows = {row.rule: row for row in pooled.rows}
    assert (rows[GUARDED].wins, rows[SOURCE_DEV].wins) == (3, 0)
    assert rows[LABEL_FREE].regret == pytest.approx(rows[GUARDED].regret + 5, abs=2)
    assert pooled.verdict == "guarded has less regret than source_dev: shown on 3 searches"


def test_a_paired_difference_over_searches_by_hand() -> None:
    found = paired_difference(GUARDED, SOURCE_DEV, [-1.0, -2.0, -3.0, 2.0])
    half = 2.353363 * np.std([-1.0, -2.0, -3.0, 2.0], ddof=1) / 2
    assert (found.points, found.better, found.worse) == (-1.0, 3, 1)
    assert (found.low, found.high) == (pytest.approx(-1 - half, abs=1e-4), pytest.approx(-1 + half, abs=1e-4))
    few = paired_difference(GUARDED, SOURCE_DEV, [-1.0, -2.0])
    assert (few.low, "too few for an interval" in few.sentence) == (None, True)


def test_other_scores_are_means_over_targets_of_both_kinds() -> None:
    first: Mapping[str, Outcomes] = {"de": outcomes(0.8)["de"], "th": outcomes(0.6)["th"]}
    scores = TargetScores.of_tests([first, outcomes(0.5)], TARGETS)
    assert scores.of().tolist() == pytest.approx([0.7, 0.5], abs=0.02)
    assert scores.interval(0).low < scores.of()[0] < scores.interval(0).high
