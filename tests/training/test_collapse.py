"""A collapsed trial is stopped and says so; one that learns slowly is let go on."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from xa_search.errors import CollapsedError, NonFiniteError
from xa_search.model.losses import align_loss
from xa_search.records import TrialJob
from xa_search.search.failures import Failure, failure_of
from xa_search.training.collapse import CollapseWatch, Probe, has_collapsed, probe_model
from xa_search.training.progress import load_progress
from xa_search.training.steps import StepBatch, step_batches
from xa_search.training.trainer import Trainer, build_trainer
from xa_search.training.trial import best_weights, train_trial

MakeJob = Callable[..., TrialJob]
FIRST = Probe(top_intent=0.4, gold_top_intent=0.3, slot_tags=9, loss=6.0, chance=3.0, spread=0.4)
FAR_TOO_HIGH = 3.0
"""At a tenth of it, rounding decides whether a model collapses at all."""
COLLAPSED = Probe(top_intent=1.0, gold_top_intent=0.3, slot_tags=1, loss=3.2, chance=3.0, spread=0.0001)


def test_a_collapsed_model_says_the_same_of_everything_because_it_sees_no_difference() -> None:
    assert has_collapsed(FIRST, COLLAPSED)
    assert has_collapsed(FIRST, replace(COLLAPSED, top_intent=0.97))


@pytest.mark.parametrize(
    "difference",
    [
        {"top_intent": 0.9},
        {"top_intent": 0.96, "gold_top_intent": 0.98},
        {"slot_tags": 2},
        {"loss": 2.9},
        {"spread": 0.02},
        {"spread": 0.3},
        {"spread": math.nan, "loss": math.nan},
    ],
)
def test_one_sign_that_is_missing_is_enough_to_go_on(difference: dict[str, Any]) -> None:
    assert not has_collapsed(FIRST, replace(COLLAPSED, **difference))


def collapse_of(job: TrialJob) -> tuple[Failure, int, int]:
    """Train until the trial collapses; return the failure, the step that it was seen at, and the steps of the trial."""
    with pytest.raises(CollapsedError) as caught:
        list(train_trial(job))
    failure = failure_of(caught.value)
    seen = re.match(r"collapsed by step (\d+) of (\d+): one intent for 100% of \d+ held-out .* lower", failure.line)
    assert seen
    return failure, int(seen[1]), int(seen[2])


@pytest.mark.parametrize("settings", [{}, {"method": "zero_shot"}, {"precision": "bf16"}])
def test_a_collapse_ends_the_trial_after_15_percent_of_its_steps_or_with_a_later_epoch(
    make_job: MakeJob, settings: dict[str, Any]
) -> None:
    """How long the spread takes to go is a matter of rounding; when it is looked at is not."""
    failure, step, steps = collapse_of(make_job(learning_rate=FAR_TOO_HIGH, epochs=10, **settings))
    first_look = math.ceil(0.15 * steps)
    assert failure.failure == "collapsed"
    assert step == first_look or (step > first_look and step % (steps // 10) == 0)
    assert "\n" not in failure.line


def lose_all_differences(trainer: Trainer) -> None:
    """Let the encoder's last layer give the same for every token."""
    with torch.no_grad():
        trainer.model.encoder.encoder.layer[-1].output.LayerNorm.weight.zero_()


@pytest.mark.parametrize("warmup", [0.1, 0.15, 0.5])
def test_the_first_look_waits_for_15_percent_of_the_steps_and_for_the_end_of_the_warm_up(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, warmup: float
) -> None:
    real = Trainer.take_step

    def take_step(trainer: Trainer, step: StepBatch) -> Any:
        losses = real(trainer, step)
        lose_all_differences(trainer)
        return losses

    monkeypatch.setattr(Trainer, "take_step", take_step)
    _, step, steps = collapse_of(make_job(epochs=10, warmup=warmup))
    assert step == max(math.ceil(0.15 * steps), math.floor(warmup * steps) + 1)


@pytest.mark.parametrize(("learning_rate", "align_weight"), [(1e-5, 0.1), (1e-5, 50.0), (1e-4, 1.0), (1e-2, 1.0)])
def test_a_slow_or_a_quick_learner_goes_on(make_job: MakeJob, learning_rate: float, align_weight: float) -> None:
    reports = list(train_trial(make_job(learning_rate=learning_rate, align_weight=align_weight, epochs=10)))
    assert reports[-1].final


def test_a_slow_learner_shows_all_signs_but_the_loss_of_spread(make_job: MakeJob) -> None:
    trainer = build_trainer(make_job(learning_rate=1e-5, epochs=10))
    rows = trainer.data.selecting.source.rows(trainer.data.selecting.rows)
    first = probe_model(trainer.predictor, rows)
    for step in step_batches(trainer.data, trainer.collator, trainer.job.settings, 0):
        trainer.take_step(step)
    probe = probe_model(trainer.predictor, rows)
    assert probe.loss >= probe.chance
    one_answer = replace(probe, top_intent=1.0, slot_tags=1)
    assert has_collapsed(first, replace(one_answer, spread=0.0))
    assert not has_collapsed(first, one_answer)
    assert probe.spread > 0.9 * first.spread


def test_a_later_collapse_is_seen_at_the_end_of_the_epoch(make_job: MakeJob) -> None:
    trainer = build_trainer(make_job(epochs=10))
    watch = CollapseWatch(trainer)
    trainer.schedule.last_epoch = 21
    watch.look(epoch_ends=True)
    lose_all_differences(trainer)
    trainer.schedule.last_epoch = 25
    watch.look(epoch_ends=False)
    trainer.schedule.last_epoch = 28
    with pytest.raises(CollapsedError, match="step 28 of 70"):
        watch.look(epoch_ends=True)


def test_no_epoch_that_ends_before_the_first_look_is_judged(make_job: MakeJob) -> None:
    trainer = build_trainer(make_job(epochs=10))
    watch = CollapseWatch(trainer)
    lose_all_differences(trainer)
    trainer.schedule.last_epoch = 7
    watch.look(epoch_ends=True)


def test_looking_changes_nothing(make_job: MakeJob) -> None:
    trainer = build_trainer(make_job())
    trainer.model.train()
    random, weights = torch.get_rng_state(), {name: each.clone() for name, each in trainer.model.state_dict().items()}
    probe_model(trainer.predictor, trainer.data.source.rows(np.arange(5)))
    assert trainer.model.training
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(each, weights[name]) for name, each in trainer.model.state_dict().items())


def test_what_follows_a_loss_that_is_not_finite_is_neither_kept_nor_reported(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[bool] = []

    def breaks_in_the_second_epoch(*given: Any) -> torch.Tensor:
        calls.append(len(calls) >= 22)
        return align_loss(*given) * (math.nan if calls[-1] else 1.0)

    monkeypatch.setattr("xa_search.model.losses.align_loss", breaks_in_the_second_epoch)
    job = make_job(batch_size=3, epochs=3)
    trial = train_trial(job)
    report = next(trial)
    assert len(calls) == report.metrics["train_steps"] < 22
    kept = best_weights(job.directory).read_bytes()
    with pytest.raises(NonFiniteError, match="train_loss_align"):
        next(trial)
    assert sum(calls) <= 10
    assert best_weights(job.directory).read_bytes() == kept
    progress = load_progress(job.directory)
    assert progress is not None
    assert progress.report.epoch == 1
