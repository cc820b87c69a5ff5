"""The trials of a feedback run: first a search on the English arm, then every arm with what it found."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fake_trainers import report
from searches import Recorder, job_maker, plan_of

from xa_search.records import EpochReport, Plan, TrialJob
from xa_search.records.feedback import Arm, FeedbackSettings
from xa_search.search.feedback_study import TUNING_SEED, FeedbackStudy, Stage, best_tuned
from xa_search.search.runner import run_trials
from xa_search.search.study import open_study

CELLS: tuple[tuple[Arm, int], ...] = (("none", 1), ("english", 1), ("none", 2), ("english", 2))
PARAMS = {
    "learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
    "beta": {"low": 0.03, "high": 1.0, "log": True},
}


def settings(arm: Arm, seed: int, values: Mapping[str, Any]) -> FeedbackSettings:
    return FeedbackSettings(arm=arm, seed=seed, epochs=1, model_size="tiny", **values)


STAGE = Stage(tuning=3, tuning_arm="english", cells=CELLS, settings=settings)


def by_beta(job: TrialJob) -> Iterator[EpochReport]:
    assert isinstance(job.settings, FeedbackSettings)
    yield report(1, job.settings.beta, final=True)


def interrupted(job: TrialJob) -> Iterator[EpochReport]:
    assert isinstance(job.settings, FeedbackSettings)
    if (job.settings.arm, job.settings.seed) == ("english", 1):
        raise KeyboardInterrupt
    yield from by_beta(job)


def run(plan: Plan, wanted: int, train: Any) -> FeedbackStudy:
    part = plan.model_copy(update={"space": plan.space.model_copy(update={"trials": wanted})})
    study = open_study(part, None, partial(FeedbackStudy, STAGE))
    assert isinstance(study, FeedbackStudy)
    run_trials(part, study, job_maker(plan), Recorder(), train)
    return study


def test_arms_come_after_the_search_and_share_what_it_found(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, params=PARAMS, published={}, fixed={"epochs": 1, "model_size": "tiny"}, trials=3)
    study = run(plan, STAGE.tuning, by_beta)
    tuned = [trial.settings for trial in study.trials()]
    assert [(one.arm, one.seed) for one in tuned if isinstance(one, FeedbackSettings)] == [("english", TUNING_SEED)] * 3
    best = best_tuned(study.trials())
    assert best is not None
    with pytest.raises(Exception, match="resumes it"):
        run(plan, STAGE.trials, interrupted)
    study = run(plan, STAGE.trials, by_beta)
    arms = [trial for trial in study.trials() if trial.role == "arm"]
    found = [trial.settings for trial in arms if isinstance(trial.settings, FeedbackSettings)]
    assert [(one.arm, one.seed) for one in found] == list(CELLS)
    assert {trial.state for trial in arms} == {"COMPLETE"}
    assert all(trial.params == best.params for trial in arms)
    assert best_tuned(study.trials()) == best
    # What is stored comes back as what it was.
    again = open_study(plan, None, partial(FeedbackStudy, STAGE))
    assert [trial.settings for trial in again.trials()] == [trial.settings for trial in study.trials()]
