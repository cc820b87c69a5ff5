"""Rungs that lie in steps: in a space, in early stopping, in the study, in what TPE and MLflow see."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fake_trainers
import pytest
from fake_trainers import quality
from pydantic import ValidationError
from searches import Recorder, job_maker, plan_of, states

from xa_search.errors import UsageError
from xa_search.records import Asha, EpochReport, TrialJob, TrialRecord, TrialSettings
from xa_search.search.early_stopping import ASHA, ChosenRule, EarlyStopping
from xa_search.search.runner import run_trials
from xa_search.search.study import open_study
from xa_search.tracking.events import EpochLogged, events_of_record, trial_ended
from xa_search.workflows.plan import make_plan

STEPS_AN_EPOCH = 40


def at(step: int, score: float) -> EpochReport:
    """The report of a trial of 4 epochs of 40 steps, at a rung."""
    epoch, over = divmod(step, STEPS_AN_EPOCH)
    whole = over == 0
    return EpochReport(
        epoch=epoch + (not whole),
        score=score,
        best_score=score,
        best_epoch=epoch,
        final=False,
        metrics={},
        rung=step,
        whole=whole,
    )


def with_rungs(job: TrialJob) -> Iterator[EpochReport]:
    """Rise evenly, step by step, and report at the job's rungs and after each epoch."""
    last = job.settings.epochs * STEPS_AN_EPOCH
    best = 0
    for step in range(1, last + 1):
        whole, rung = step % STEPS_AN_EPOCH == 0, step if step in job.rungs else None
        if not whole and rung is None:
            continue
        best = step // STEPS_AN_EPOCH
        score = quality(job) * step / last
        yield replace(at(step, score), rung=rung, whole=whole, best_epoch=best, final=step == last)


def trial(number: int, **fields: object) -> TrialRecord:
    settings = TrialSettings(model_size="small", epochs=4)
    return TrialRecord(number=number, role="searched", settings=settings, params={}, **fields)  # type: ignore[arg-type]


def test_rungs_in_steps_are_geometric() -> None:
    rule = ChosenRule(rule=ASHA, settings=Asha(grace_steps=10, reduction=3))
    assert rule.step_rungs[:4] == (10, 30, 90, 270)
    assert rule.rungs(10) == []
    assert ChosenRule(rule=ASHA, settings=Asha(grace_epochs=2)).step_rungs == ()


def test_both_units_are_a_fault_that_names_key_and_value(tmp_path: Path) -> None:
    for given in ({"grace_epochs": 1, "grace_steps": 16}, {"grace_steps": 0}):
        with pytest.raises(ValidationError):
            Asha.model_validate(given)
    one = Asha.model_validate({"grace_epochs": None, "grace_steps": 16})
    assert (one.grace_epochs, one.grace_steps) == (None, 16)
    assert Asha.model_validate_json(one.model_dump_json()) == one
    assert Asha.model_validate(Asha().model_dump()) == Asha()
    with pytest.raises(UsageError, match=r"mtop-mini.yaml: scheduler.asha: .*'grace_steps': 16.*keep one"):
        make_plan("mtop-mini", ("scheduler={asha: {grace_epochs: 1, grace_steps: 16}}",), home=tmp_path)
    in_steps = ("scheduler={asha: {grace_steps: 16}}", "fixed.models=each")
    with pytest.raises(UsageError, match=r"scheduler.asha.grace_steps: 16: models of one trial take turns"):
        make_plan("mtop-mini", in_steps, home=tmp_path)


def test_trials_are_compared_at_the_same_step() -> None:
    rule = ChosenRule(rule=ASHA, settings=Asha(grace_steps=16, reduction=2))
    stopping = EarlyStopping(rule, [trial(0, rung_scores={16: 0.5, 32: 0.9}), trial(1, rung_scores={16: 0.7})])
    assert stopping.verdict(trial(2), at(16, 0.65)) is None
    stopped = stopping.verdict(trial(2), at(16, 0.55))
    assert stopped is not None
    assert (stopped.rung, stopped.rank, stopped.competitors) == (16, 2, 3)
    assert stopped.where == "step 16 in epoch 1"
    assert stopping.verdict(trial(2), at(17, 0.1)) is None, "no rung"
    assert stopping.verdict(trial(2), replace(at(40, 0.1), rung=None)) is None, "the end of an epoch is none"


def test_a_search_stops_trials_within_an_epoch_and_keeps_why(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, trials=16, scheduler={"asha": {"grace_steps": 10, "reduction": 3}})
    study, recorder = open_study(plan), Recorder()
    run_trials(plan, study, job_maker(plan), recorder, with_rungs)
    stopped = [one for one in study.trials() if one.state == "PRUNED"]
    assert states(study) == {"COMPLETE": 16 - len(stopped), "PRUNED": len(stopped)}
    assert any(not one.scores for one in stopped)
    for one in stopped:
        assert one.stopped_at is not None
        assert one.stopped_at.rung == max(one.rung_scores)
        assert one.stopped_at.score == one.rung_scores[one.stopped_at.rung]
    for one in study.trials():
        if one.state == "COMPLETE":
            assert (list(one.rung_scores), len(one.scores)) == ([10, 30, 90], 4)
    assert study.importances(), "ranked by how far they came"
    again = open_study(plan)
    assert again.trials() == study.trials()


def test_a_repeated_rung_is_no_news_and_a_decided_stop_is_kept(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, trials=4, scheduler={"asha": {"grace_steps": 16}})
    study = open_study(plan)
    number = study.propose().number
    assert study.report(number, at(16, 0.4))
    assert not study.report(number, at(16, 0.4))
    assert (study.trial(number).score, study.trial(number).best_epoch) == (0.4, None)
    stopped = EarlyStopping(
        ChosenRule(rule=ASHA, settings=Asha(grace_steps=16)), [trial(99, rung_scores={48: 0.9})]
    ).verdict(trial(number), at(48, 0.5))
    study.report(number, at(48, 0.5), stopped=stopped)
    assert [one.state for one in study.settle()] == ["PRUNED"], "its driver died before it could say so"


def test_mlflow_has_rungs_by_steps_and_epochs_by_epochs() -> None:
    one = trial(3, state="PRUNED", rung_scores={16: 0.4}, scores=())
    events = events_of_record(one)
    assert [(event.metrics, event.rung) for event in events if isinstance(event, EpochLogged)] == [
        ({"rung_score": 0.4}, 16)
    ]
    assert trial_ended(one).metrics["selection_score"] == trial_ended(one).metrics["selection_score_last"] == 0.4


def test_trainers_that_know_no_rungs_are_never_stopped_by_steps(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, trials=6, scheduler={"asha": {"grace_steps": 10}})
    study = open_study(plan)
    run_trials(plan, study, job_maker(plan), Recorder(), fake_trainers.rising)
    assert states(study) == {"COMPLETE": 6}
