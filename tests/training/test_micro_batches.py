"""A step that runs out of memory is taken in pieces, with the gradient and the numbers of the whole."""

import gc
import weakref
from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
import torch

from xa_search.encoding.batches import Batch
from xa_search.model.joint import JointModel, JointOutput
from xa_search.records import EpochReport, TrialJob
from xa_search.search.failures import failure_of
from xa_search.training.objective import LossTerms
from xa_search.training.steps import StepBatch, step_batches
from xa_search.training.trainer import Trainer, build_trainer
from xa_search.training.trial import train_trial

MakeJob = Callable[..., TrialJob]
OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried"),
    MemoryError(),
]


def first_step(trainer: Trainer) -> StepBatch:
    trainer.model.train()
    return next(step_batches(trainer.data, trainer.collator, trainer.job.settings, 0))


def gradients(trainer: Trainer, step: StepBatch) -> tuple[LossTerms, dict[str, torch.Tensor]]:
    losses = trainer.micro_batches.accumulate_gradients(step)
    named = trainer.model.named_parameters()
    return losses, {name: each.grad.clone() for name, each in named if each.grad is not None}


def limit_utterances(monkeypatch: pytest.MonkeyPatch, most: int, error: Exception) -> list[int]:
    """Let training passes of more utterances fail; return the list that the size of each pass is added to."""
    real, sizes = JointModel.forward, []

    def limited(model: JointModel, batch: Batch) -> JointOutput:
        if model.training:
            sizes.append(len(batch.lengths))
            if sizes[-1] > most:
                raise error
        return real(model, batch)

    monkeypatch.setattr(JointModel, "forward", limited)
    return sizes


def untimed(reports: list[EpochReport], *, but: str = "") -> list[dict[str, float]]:
    return [
        {"score": report.score}
        | {name: value for name, value in report.metrics.items() if not name.endswith("_seconds") and name != but}
        for report in reports
    ]


@pytest.mark.parametrize("halvings", [1, 2, 3, 9])
@pytest.mark.parametrize(
    "settings",
    [
        {"align_weight": 5.0},
        {"align_weight": 5.0, "align_distance": "cosine", "pairing": "independent"},
        {"pairing": "independent", "batch_size": 7},
        {"method": "zero_shot"},
        {"method": "english_only", "pairing": "independent"},
        {"method": "translate_train", "batch_size": 7},
        {"method": "cross_aligner", "contrastive_weight": 0, "batch_size": 7, "translate_intent_weight": 3.0},
        {"method": "cross_aligner", "contrastive_weight": 0, "align_weight": 0, "pairing": "independent"},
    ],
)
def test_the_pieces_gradients_add_up_to_the_steps(make_job: MakeJob, settings: dict[str, Any], halvings: int) -> None:
    trainer = build_trainer(make_job(dropout=0.0, **settings))
    step = first_step(trainer)
    whole_losses, whole = gradients(trainer, step)
    trainer.micro_batches.halvings = halvings
    losses, split = gradients(trainer, step)
    assert whole.keys() == split.keys()
    for name, gradient in whole.items():
        assert torch.allclose(split[name], gradient, rtol=1e-5, atol=1e-5), name
    assert float(losses.total) == pytest.approx(float(whole_losses.total), abs=1e-5)
    assert losses.terms.keys() == whole_losses.terms.keys()
    for name, term in whole_losses.terms.items():
        assert float(losses.terms[name]) == pytest.approx(float(term), abs=1e-5), name


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: type(error).__name__)
def test_a_step_is_halved_until_it_fits_and_stays_so(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    sizes = limit_utterances(monkeypatch, 5, error)
    trainer = build_trainer(make_job(dropout=0.0))
    step = first_step(trainer)
    trainer.micro_batches.accumulate_gradients(step)
    assert sizes == [16, 8, 4, 4, 4, 4]
    sizes.clear()
    trainer.micro_batches.accumulate_gradients(step)
    assert sizes == [4, 4, 4, 4]


def test_what_a_failed_piece_had_added_is_forgotten(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = build_trainer(make_job(dropout=0.0))
    step = first_step(trainer)
    _, whole = gradients(trainer, step)
    trainer.micro_batches.halvings = 1
    real, passes = JointModel.forward, []

    def second_fails(model: JointModel, batch: Batch) -> JointOutput:
        passes.append(len(batch.lengths))
        if len(passes) == 2:
            raise OUT_OF_MEMORY[0]
        return real(model, batch)

    monkeypatch.setattr(JointModel, "forward", second_fails)
    _, split = gradients(trainer, step)
    assert passes == [8, 8, 4, 4, 4, 4]
    assert all(torch.allclose(split[name], gradient, rtol=1e-5, atol=1e-5) for name, gradient in whole.items())


def test_the_failed_pass_is_freed_before_the_next(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = build_trainer(make_job())
    real = JointModel.forward
    failed: list[weakref.ref[torch.Tensor]] = []

    def fails_once(model: JointModel, batch: Batch) -> JointOutput:
        if not failed:
            output = real(model, batch)
            failed.append(weakref.ref(output.sentence))
            raise torch.OutOfMemoryError("CUDA out of memory")
        assert failed[0]() is None
        return real(model, batch)

    monkeypatch.setattr(JointModel, "forward", fails_once)
    gc.disable()
    try:
        trainer.micro_batches.accumulate_gradients(first_step(trainer))
    finally:
        gc.enable()


def test_a_trial_survives_with_the_numbers_of_one_that_had_memory_enough(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"dropout": 0.0, "align_weight": 3.0}
    whole = list(train_trial(make_job(name="whole", **settings)))
    limit_utterances(monkeypatch, 8, OUT_OF_MEMORY[0])
    split = list(train_trial(make_job(name="split", **settings)))
    assert [report.metrics["oom_halvings"] for report in whole] == [0, 0]
    assert [report.metrics["oom_halvings"] for report in split] == [1, 1]
    for left, right in zip(untimed(whole, but="oom_halvings"), untimed(split, but="oom_halvings"), strict=True):
        assert left == pytest.approx(right, rel=1e-3)


def test_a_trial_that_goes_on_remembers_what_fits(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = limit_utterances(monkeypatch, 8, OUT_OF_MEMORY[0])
    whole = list(train_trial(make_job(name="whole")))
    list(islice(train_trial(make_job(name="parts")), 1))
    sizes.clear()
    after = list(train_trial(make_job(name="parts")))
    assert max(sizes) <= 8
    assert untimed(after) == untimed(whole)


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: type(error).__name__)
def test_where_one_utterance_does_not_fit_the_trial_is_out_of_memory(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    sizes = limit_utterances(monkeypatch, 0, error)
    with pytest.raises(type(error)) as caught:
        next(train_trial(make_job()))
    assert failure_of(caught.value).failure == "oom"
    assert sizes == [16, 8, 4, 2]


def test_a_contrastive_loss_is_never_split(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = limit_utterances(monkeypatch, 8, OUT_OF_MEMORY[0])
    with pytest.raises(torch.OutOfMemoryError):
        next(train_trial(make_job(method="cross_aligner")))
    assert sizes == [16]


def test_another_error_is_not_tried_again(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = limit_utterances(monkeypatch, 0, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="shapes"):
        next(train_trial(make_job()))
    assert sizes == [16]
