"""The published step of the benchmarks is what it says: padding attended, three passes, all rows, both sides."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from arm_scores import joint_model, task_loss
from arms import arm_job, batches_of, draw_rows, train
from operations import training_operations
from published_step import Padder, PublishedLearner, build_published, predict_padded, published_batches

from xa_search.encoding.batches import Collator
from xa_search.errors import UsageError
from xa_search.records import IGNORED, Plan, TrialJob
from xa_search.training.data import attended_padding, evaluation_collator, load_trial_data, split_rows
from xa_search.training.objective import compute_losses
from xa_search.training.registry import pair_losses
from xa_search.training.steps import step_batches
from xa_search.training.trainer import build_trainer
from xa_search.workflows.plan import make_plan
from xa_search.workflows.preflight import Prepared, prepare_search

SETTINGS = {"epochs": 2, "train_limit": 60, "learning_rate": 3e-3, "precision": "fp32"}
PAD_LENGTH = 100


@pytest.fixture(scope="module")
def ground(shared_home: Path) -> tuple[Plan, Prepared]:
    plan = make_plan("mtop-mini", home=shared_home)
    return plan, prepare_search(plan, ("tiny",), lambda _: None)


@pytest.fixture(scope="module")
def job(ground: tuple[Plan, Prepared]) -> TrialJob:
    return arm_job(*ground, "published", "tiny", **SETTINGS)


@pytest.fixture
def trainer(job: TrialJob) -> PublishedLearner:
    return build_published(job, PAD_LENGTH)


def first_batch(trainer: PublishedLearner) -> Any:
    return next(published_batches(trainer.data, trainer.padder, trainer.job.settings, 0))


def test_a_step_runs_the_encoder_three_times_on_padded_rows_without_a_mask(trainer: PublishedLearner) -> None:
    calls: list[dict[str, Any]] = []
    trainer.model.encoder.register_forward_pre_hook(lambda _, __, given: calls.append(given), with_kwargs=True)
    trainer.take_step(first_batch(trainer))
    assert [call["input_ids"].shape for call in calls] == [(10, PAD_LENGTH)] * 3
    assert all(set(call) == {"input_ids"} for call in calls)


def test_padding_is_attended(job: TrialJob, trainer: PublishedLearner) -> None:
    rows = trainer.data.source.rows(trainer.data.train[:3])
    trainer.model.eval()
    longer = Padder(job.corpus, PAD_LENGTH + 20, 1)
    with torch.inference_mode():
        near, far = (trainer.model.embed(padder.input_ids(rows)) for padder in (trainer.padder, longer))
    assert not torch.allclose(near, far, atol=1e-4)


def test_without_padding_the_published_model_is_the_products(job: TrialJob, trainer: PublishedLearner) -> None:
    train(trainer, draw_rows(trainer.data, 20, 1, 0), 0)
    row = trainer.data.source.rows(trainer.data.train[:1])[0]
    exact = Padder(job.corpus, len(row.input_ids), 1)
    model, _ = joint_model(trainer)
    trainer.model.eval()
    model.eval()
    with torch.inference_mode():
        intent_logits, slot_logits = trainer.model(exact.input_ids([row]))
        output = model(evaluation_collator(job.corpus)([row]))
    assert torch.allclose(intent_logits, output.intent_logits, atol=1e-5)
    assert torch.allclose(slot_logits[0, row.positions.tolist()], output.slot_logits, atol=1e-5)


def test_the_product_can_take_the_published_step(ground: tuple[Plan, Prepared]) -> None:
    """Padding attended, pairs drawn on their own: the same weights give the same loss on the same rows."""
    like = {"padding": "attended", "max_tokens": 128, "dropout": 0.0, "head_dropout": 0.0, "align_weight": 2.0}
    trainer = build_published(arm_job(*ground, "published", "tiny", **SETTINGS, **like), 128)
    settings = trainer.job.settings
    model, _ = joint_model(trainer)
    collator = Collator(
        trainer.job.corpus.intents, trainer.job.corpus.slot_tags, 3, attended_padding(settings, model.encoder)
    )
    steps = step_batches(trainer.data, collator, settings, 0)
    for published, step in zip(published_batches(trainer.data, trainer.padder, settings, 0), steps, strict=True):
        with torch.no_grad():
            losses = compute_losses(model, step, settings, pair_losses(settings))
            assert float(losses.total) == pytest.approx(float(trainer._loss(published)), rel=1e-5)
        assert int(step.batch.lengths.min()) == 128


def test_adam_holds_every_row_of_the_vocabulary(trainer: PublishedLearner) -> None:
    trainer.take_step(first_batch(trainer))
    weight = trainer.model.encoder.get_input_embeddings().weight
    assert len(weight) > len(np.unique(first_batch(trainer).task))
    assert trainer.optimizer.state[weight]["exp_avg"].shape == weight.shape


def test_the_distance_of_the_pairs_moves_both_sides(trainer: PublishedLearner) -> None:
    batch = first_batch(trainer)
    weight = trainer.model.encoder.get_input_embeddings().weight
    before = weight.detach().clone()
    trainer.take_step(batch)
    moved = (weight.detach() != before).any(-1)
    everywhere = [set(ids.flatten().tolist()) for ids in (batch.task, batch.sources, batch.translations)]
    for side in (1, 2):
        others = set().union(*(ids for number, ids in enumerate(everywhere) if number != side))
        own = torch.tensor(sorted(everywhere[side] - others))
        assert len(own)
        assert moved[own].all()
    assert not moved[torch.tensor(sorted(set(range(len(weight))) - set().union(*everywhere)))].any()


def test_pairs_are_drawn_on_their_own_and_every_row_is_seen_once(trainer: PublishedLearner) -> None:
    batches = list(published_batches(trainer.data, trainer.padder, trainer.job.settings, 0))
    tasks, sources = (torch.cat([getattr(batch, name) for batch in batches]) for name in ("task", "sources"))
    assert not torch.equal(tasks, sources)
    everything = trainer.padder.input_ids(trainer.data.source.rows(trainer.data.train))
    for seen in (tasks, sources):
        assert sorted(seen.tolist()) == sorted(everything.tolist())


def test_a_words_tag_stands_at_its_first_sub_word_and_what_is_cut_is_not_scored(job: TrialJob) -> None:
    data = load_trial_data(job.corpus, job.settings)
    row = data.source.rows(data.train[:1])[0]
    whole, cut = Padder(job.corpus, PAD_LENGTH, 1), Padder(job.corpus, int(row.positions[1]) + 1, 1)
    slots = whole.slots([row])[0]
    assert np.flatnonzero(slots != IGNORED).tolist() == row.positions.tolist()
    assert [job.corpus.slot_tags[tag] for tag in slots[row.positions.tolist()]] == row.slots
    assert int((cut.slots([row]) != IGNORED).sum()) == 2
    assert cut.input_ids([row])[0].tolist() == row.input_ids[: cut.pad_length].tolist()


def test_a_cut_off_word_is_predicted_as_outside(job: TrialJob) -> None:
    trainer = build_published(job, 6)
    rows = split_rows(job.corpus, "dev", "en", 3)
    for row, prediction in zip(rows, predict_padded(trainer, rows), strict=True):
        kept = int((row.positions < 6).sum())
        assert len(prediction.slots) == len(row.words)
        assert set(prediction.slots[kept:]) <= {"O"}


def test_it_learns(trainer: PublishedLearner) -> None:
    before = task_loss(trainer)
    for epoch in range(trainer.job.settings.epochs):
        train(trainer, trainer.data, epoch)
    assert task_loss(trainer) < 0.9 * before


def test_all_arms_train_on_the_same_rows(ground: tuple[Plan, Prepared], trainer: PublishedLearner) -> None:
    ours = build_trainer(arm_job(*ground, "ours_as_published", "tiny", **SETTINGS))
    published_rows, our_rows = (draw_rows(one.data, 20, 1, 3) for one in (trainer, ours))
    assert np.array_equal(published_rows.train, our_rows.train)
    assert len(list(batches_of(trainer, published_rows, 0))) == len(list(batches_of(ours, our_rows, 0))) == 2
    assert training_operations(trainer.model, published_rows, 0, independent=True) == training_operations(
        ours.model, our_rows, 0, independent=True
    )
    with pytest.raises(UsageError, match="--examples 1000"):
        draw_rows(trainer.data, 1000, 1, 0)


def test_the_formula_counts_what_torch_counts(ground: tuple[Plan, Prepared]) -> None:
    ours = build_trainer(arm_job(*ground, "ours", "tiny", **SETTINGS))
    data = draw_rows(ours.data, 20, 1, 0)
    with FlopCounterMode(display=False) as counter:
        train(ours, data, 0)
    ratio = counter.get_total_flops() / training_operations(ours.model, data, 0, independent=False)
    assert 0.95 < ratio < 1.15
