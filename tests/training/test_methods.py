"""What each method learns from, and how little it reads and computes for it."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from xa_search.model.joint import JointModel
from xa_search.records import TrialJob
from xa_search.training.learner import Learner, build_learner
from xa_search.training.steps import LossTerms, StepBatch, compute_losses, step_batches
from xa_search.training.trial import train_trial

MakeJob = Callable[..., TrialJob]


def first_step(learner: Learner) -> StepBatch:
    learner.model.train()
    return next(step_batches(learner.data, learner.collator, learner.job.settings, 0))


def losses_of(learner: Learner, step: StepBatch) -> LossTerms:
    with torch.no_grad():
        return compute_losses(learner.model, step, learner.job.settings)


# ---- english_only


@pytest.mark.parametrize("pairing", ["shared", "independent"])
def test_english_only_pairs_each_utterance_with_itself(make_job: MakeJob, pairing: str) -> None:
    learner = build_learner(make_job(method="english_only", pairing=pairing))
    rows = first_step(learner).rows
    sources = rows.sources if pairing == "independent" else rows.task
    assert [row.id for row in rows.partners] == [row.id for row in sources]
    assert {row.id for row in rows.partners} <= {row.id for row in learner.data.source.rows(learner.data.train)}
    assert len(rows.partners) == 8


def test_english_only_aligns_two_dropout_views_of_one_pass(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    learner = build_learner(make_job(method="english_only", dropout=0.2))
    step = first_step(learner)
    outputs: list[Any] = []
    real = JointModel.forward

    def remember(model: JointModel, batch: Any) -> Any:
        outputs.append(real(model, batch))
        return outputs[-1]

    monkeypatch.setattr(JointModel, "forward", remember)
    losses = losses_of(learner, step)
    (output,) = outputs
    one, other = output.sentence.split(len(step.rows.task))
    assert float(losses.align) == pytest.approx(float(((one - other) ** 2).sum() / one.numel()))
    assert float(losses.align) > 0
    assert float(losses.total) == pytest.approx(float(losses.intent + losses.slot + losses.align))


def test_without_dropout_the_two_views_are_one(make_job: MakeJob) -> None:
    learner = build_learner(make_job(method="english_only", dropout=0.0))
    assert float(losses_of(learner, first_step(learner)).align) < 1e-12


def test_a_short_english_only_trial(make_job: MakeJob) -> None:
    reports = list(train_trial(make_job(method="english_only", align_weight=10.0)))
    assert reports[-1].final
    assert reports[-1].metrics["train_loss_align"] > 0
