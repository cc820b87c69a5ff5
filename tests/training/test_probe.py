"""Heads that begin with what the frozen encoder knows."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from xa_search.model.losses import intent_loss, slot_loss
from xa_search.records import TrialJob
from xa_search.training import probe
from xa_search.training.data import split_rows
from xa_search.training.trainer import Trainer, build_trainer
from xa_search.training.trial import train_trial

MakeJob = Callable[..., TrialJob]


def dev_loss(trainer: Trainer) -> float:
    batch = trainer.predictor.collator(split_rows(trainer.job.corpus, "dev", "en", None))
    trainer.model.eval()
    with torch.inference_mode():
        output = trainer.model(batch)
    return float(intent_loss(output, batch) + slot_loss(output, batch))


def test_a_trial_begins_with_heads_that_know_something(make_job: MakeJob) -> None:
    drawn, probed = build_trainer(make_job()), build_trainer(make_job(heads="probe"))
    assert dev_loss(probed) < 0.5 * dev_loss(drawn)
    assert drawn.start_metrics == {}
    assert probed.start_metrics.keys() == {"probe_intent_strength", "probe_slot_strength"}
    for one, other in zip(drawn.model.encoder.parameters(), probed.model.encoder.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_fitted_heads_are_kept_for_all_trials_of_a_search(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = build_trainer(make_job(heads="probe", method="zero_shot")).model
    monkeypatch.setattr(probe, "fit_head", lambda *_: pytest.fail("fitted again"))
    second = build_trainer(make_job(heads="probe", seed=2, learning_rate=1e-4, align_weight=3.0)).model
    assert torch.equal(first.intent_head.weight, second.intent_head.weight)
    assert torch.equal(first.slot_head.weight, second.slot_head.weight)
    monkeypatch.undo()
    for path in make_job().corpus.directory.glob("heads-*"):
        path.write_bytes(b"damaged")
    third = build_trainer(make_job(heads="probe")).model
    assert torch.allclose(first.intent_head.weight, third.intent_head.weight, atol=1e-5)


def test_other_rows_have_other_heads(make_job: MakeJob) -> None:
    job = make_job(heads="probe")
    some = dataclasses.replace(job, settings=job.settings.model_copy(update={"train_limit": 30}))
    first, second = build_trainer(job).model, build_trainer(some).model
    assert not torch.equal(first.intent_head.weight, second.intent_head.weight)


def test_a_trial_with_probed_heads_learns_and_tells_their_strengths(make_job: MakeJob) -> None:
    reports = list(train_trial(make_job(heads="probe", epochs=1)))
    assert reports[-1].metrics["probe_intent_strength"] > 0


def test_the_heads_have_a_seed_of_their_own(make_job: MakeJob) -> None:
    heads = [
        build_trainer(make_job(**settings)).model.intent_head.weight.detach()
        for settings in ({"seed": 1}, {"seed": 2}, {"seed": 2, "head_seed": 1})
    ]
    assert not torch.equal(heads[0], heads[1])
    assert torch.equal(heads[0], heads[2])
