"""Replayed searches: each recorded trial at most once, the nearest to what is proposed, at the price it had."""

import json
import sys
from pathlib import Path
from typing import Any, ClassVar

import optuna
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import search_cost
from recorded_trials import Pool, read_pool
from replayed_search import RecordedSampler, ReplayedStudy, Search, replay

from xa_search.records import Asha, Plan
from xa_search.workflows.plan import make_plan

STEPS, EPOCHS = 10.0, 3
RATES = (6e-6, 2e-5, 6e-5, 2e-4, 4e-4, 9e-4)
AT_RANDOM = Search("random", at_random=True, asha=None)
BY_TPE = Search("TPE", at_random=False, asha=None)


def write_curves(path: Path, scores: list[list[float]]) -> Path:
    lines = []
    for number, (rate, epochs) in enumerate(zip(RATES, scores, strict=True)):
        params = {"align_weight": 1.0, "learning_rate": rate, "model_size": "small"}
        curve = {"number": number, "params": params, "steps_an_epoch": STEPS, "scores": epochs, "seconds": 6.0}
        lines.append(json.dumps(curve) + "\n")
    path.write_text("".join(lines), encoding="utf-8")
    return path


def pool_of(path: Path, scores: list[list[float]]) -> Pool:
    return read_pool(write_curves(path / "curves.jsonl", scores), make_plan("mtod-small", home=path).space)


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    """A pool whose best trial, the fifth, is the worst after one epoch."""
    scores = [[0.3, 0.3 + 0.05 * place, 0.3 + 0.1 * place] for place in range(len(RATES))]
    scores[4] = [0.1, 0.6, 0.9]
    return pool_of(tmp_path, scores)


@pytest.mark.parametrize("search", [AT_RANDOM, BY_TPE], ids=lambda search: search.name)
def test_a_search_without_stopping_pays_all_epochs_of_its_trials(pool: Pool, search: Search) -> None:
    lasts = [replay(pool, search, 1, seed, pool.best)[-1] for seed in range(40)]
    assert {last.score for last in lasts} == {0.9}
    assert all(last.steps == last.trials * EPOCHS * STEPS for last in lasts)
    if search.at_random:
        assert {last.trials for last in lasts} == {1, 2, 3, 4, 5, 6}


def test_two_workers_pay_for_both(pool: Pool) -> None:
    firsts = [replay(pool, AT_RANDOM, 2, seed, pool.best)[0] for seed in range(10)]
    assert {(first.steps, first.trials) for first in firsts} == {(2 * EPOCHS * STEPS, 2)}


def test_a_trial_that_early_stopping_ended_finds_nothing(pool: Pool) -> None:
    stopping = Search("random, ASHA", at_random=True, asha=Asha(grace_epochs=1, reduction=3))
    lasts = [replay(pool, stopping, 1, seed, pool.best)[-1] for seed in range(40)]
    missed = [last for last in lasts if last.score < pool.best]
    assert missed
    assert len(missed) < len(lasts)
    assert sum(last.steps for last in lasts) < sum(last.trials for last in lasts) * EPOCHS * STEPS


def test_a_diverged_trial_costs_its_epochs_and_finds_nothing(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, [[0.1, 0.2, 0.3], [0.1, 0.9], *([[]] * 4)])
    founds = [replay(pool, AT_RANDOM, 1, seed, 1.0) for seed in range(20)]
    assert {found.score for many in founds for found in many} == {0.3}
    for (found,) in founds:
        diverged_epochs = found.steps / STEPS - EPOCHS
        # Each costs the epoch it died in; one of them had two epochs before.
        assert diverged_epochs in (found.trials - 1, found.trials + 1)


class FixedDraws(optuna.samplers.RandomSampler):
    """Always draws the same learning rate."""

    SPACE: ClassVar = {"learning_rate": optuna.distributions.FloatDistribution(5e-6, 1e-3, log=True)}

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
        return self.SPACE

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
        return {"learning_rate": 7e-5}


def test_a_proposal_is_answered_by_the_nearest_trial_not_used_yet(pool: Pool) -> None:
    sampler = RecordedSampler(FixedDraws(), pool, [], None)
    study = optuna.create_study(sampler=sampler)
    told = [study.ask(FixedDraws.SPACE).params["learning_rate"] for _ in RATES]
    assert told == [6e-5, 2e-4, 2e-5, 4e-4, 6e-6, 9e-4]


@pytest.mark.parametrize("at_random", [True, False])
def test_the_study_is_told_each_recorded_trial_once(pool: Pool, tmp_path: Path, at_random: bool) -> None:
    study = ReplayedStudy(Plan(name="replay", space=pool.space, home=tmp_path), pool, at_random)
    records = [study.propose() for _ in RATES]
    assert sorted(record.params["learning_rate"] for record in records) == list(RATES)
    assert [study.curve_of(record).params for record in records] == [record.params for record in records]


def test_the_command_writes_what_it_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    curves = write_curves(tmp_path / "curves.jsonl", [[0.3, 0.3, 0.3]] * 5 + [[0.1, 0.5, 0.9]])
    out = tmp_path / "out.json"
    monkeypatch.setattr(sys, "argv", ["search_cost.py", "replay", str(curves), "--replays", "4", "--out", str(out)])
    search_cost.main()
    result = json.loads(out.read_text(encoding="utf-8"))
    rows = result["rows"]
    assert len(rows) == len(search_cost.WIDTHS) * len(search_cost.SHARES) * len(search_cost.SEARCHES)
    assert result["curves"]["trials that reach"] == {"0.95": 1, "0.99": 1, "0.995": 1}
    assert all(row["ratio"]["value"] == 1 for row in rows if row["search"] == "random")
    assert any(row["never"] > 0.5 and row["steps"]["median"] is None for row in rows)
