"""Twenty searches of equal settings move the champion by luck at most twice; a planted gain moves it."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import registration_bound as bound


@pytest.mark.parametrize("seed", range(3))
def test_trials_that_differ_in_their_seed_alone_move_no_champion(seed: int) -> None:
    assert bound.twenty(bound.NOTHING, 100, 1.2, seed).moves <= 2


@pytest.mark.parametrize("seed", range(3))
def test_a_gain_of_two_standard_errors_of_a_score_moves_it(seed: int) -> None:
    assert bound.twenty(bound.OF_SCORE, 100, 1.2, seed).moves >= 15


def test_the_rows_that_chose_a_winner_would_move_it_for_nothing() -> None:
    chose, kept = (
        sum(bound.twenty(scenario, 100, 0.0, seed).moves for seed in range(3))
        for scenario in (bound.CHOSE, bound.FIRST)
    )
    assert chose > 2 * kept
