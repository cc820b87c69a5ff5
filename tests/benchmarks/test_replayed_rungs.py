"""Replays of curves that were recorded with rungs in steps: what they tell, and what they cost."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from recorded_trials import Curve, Pool, read_pool, segments_of
from replayed_search import Search, replay_whole

from xa_search.errors import DataError
from xa_search.records import Asha
from xa_search.workflows.plan import make_plan

STEPS, EPOCHS = 10, 2
CURVE = Curve({}, STEPS, (0.4, 0.6), 1.0, {3: 0.2, 6: 0.3, 12: 0.5, 20: 0.6}, (3, 6, 12, 20, 40))


def test_a_curve_tells_its_rungs_between_its_epochs() -> None:
    told = [(one.steps, one.event.report) for one in segments_of(CURVE, EPOCHS) if one.event.report is not None]
    assert [steps for steps, _ in told] == [3, 3, 4, 2, 8]
    assert [(one.epoch, one.score, one.rung, one.whole, one.best_epoch, one.final) for _, one in told] == [
        (1, 0.2, 3, False, 0, False),
        (1, 0.3, 6, False, 0, False),
        (1, 0.4, None, True, 1, False),
        (2, 0.5, 12, False, 1, False),
        (2, 0.6, 20, True, 2, True),
    ]


def test_a_rung_that_was_not_recorded_is_told() -> None:
    with pytest.raises(DataError, match="no score after 5 steps was recorded"):
        list(segments_of(Curve({}, STEPS, (0.4,), 1.0, {3: 0.2}, (5,)), 1))


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    lines = []
    for place, rate in enumerate((6e-6, 2e-5, 6e-5, 2e-4, 4e-4, 9e-4)):
        params = {"align_weight": 1.0, "learning_rate": rate, "model_size": "small"}
        scores = [0.3 + 0.1 * place, 0.4 + 0.1 * place]
        curve = {"number": place, "params": params, "steps_an_epoch": STEPS, "scores": scores, "seconds": 6.0}
        lines.append(json.dumps({**curve, "rungs": {"3": 0.1 * place, "9": 0.2 + 0.1 * place}}))
    path = tmp_path / "curves.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return read_pool(path, make_plan("mtod-small", home=tmp_path).space)


def test_a_trial_that_a_rung_ends_costs_its_steps(pool: Pool) -> None:
    """Every trial takes 3, 9 or 20 steps; some are stopped, and the best in the end is never one of them."""
    for seed in range(5):
        early = replay_whole(pool, Search("early", at_random=True, asha=Asha(grace_steps=3, reduction=3)), 1, seed)
        whole = replay_whole(pool, Search("whole", at_random=True, asha=None), 1, seed)
        assert whole.clock == len(pool.curves) * EPOCHS * STEPS
        assert early.clock < whole.clock
        assert early.found[-1].score == pool.best
