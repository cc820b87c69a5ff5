"""A trial in two processes: the losses and gradients of one process, and an end when one of the two is killed."""

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from xa_search.errors import NonFiniteError
from xa_search.records import EpochReport, TrialJob
from xa_search.search.trial_events import trial_events
from xa_search.training.distributed import leader_first, own_part, take_leaders_weights, train_in_processes
from xa_search.training.steps import step_batches
from xa_search.training.trainer import build_trainer
from xa_search.training.trial import best_weights, train_trial

pytestmark = pytest.mark.long
MakeJob = Callable[..., TrialJob]
SETTINGS: list[dict[str, Any]] = [
    {"align_weight": 5.0, "batch_size": 7},
    {"align_distance": "cosine", "pairing": "independent", "batch_size": 7},
    {"method": "zero_shot", "padding": "attended", "max_tokens": 16},
    {"method": "translate_train", "batch_size": 5},
    {"method": "cross_aligner", "contrastive_weight": 0, "batch_size": 7, "loss_weighting": "coefficient_of_variation"},
    {"method": "target_english", "batch_size": 1},
]
STEPS = 4


def report(epoch: int, *, final: bool) -> EpochReport:
    return EpochReport(epoch=epoch, score=0.5, best_score=0.5, best_epoch=epoch, final=final, metrics={})


def write_gradients(job: TrialJob) -> Iterator[EpochReport]:
    """Take some steps with each of the settings, the second process in smaller pieces; keep what came of them."""
    found = {}
    for number, changes in enumerate(SETTINGS):
        settings = job.settings.model_copy(update=changes)
        with leader_first():
            trainer = build_trainer(replace(job, settings=settings))
        take_leaders_weights(trainer.model)
        trainer.micro_batches.halvings = own_part()[0]
        trainer.model.train()
        batches = list(step_batches(trainer.data, trainer.collator, settings, 0))
        for place, step in enumerate([*batches[:STEPS], batches[-1]]):  # the last one may be smaller
            losses, norm = trainer.take_step(step)
            found |= {f"{number} {place} {name}": term for name, term in losses.terms.items()}
            found |= {f"{number} {place} total": losses.total, f"{number} {place} norm": norm.detach()}
            for name, parameter in trainer.model.named_parameters():
                if parameter.grad is not None:
                    found[f"{number} {place} gradient {name}"] = parameter.grad.clone()
    if own_part()[0] == 0:
        job.directory.mkdir(parents=True)
        save_file(found, job.directory / "found.safetensors")
    yield report(1, final=False)
    if own_part()[1] > 1:  # the first process is here when its report was heard
        torch.distributed.barrier()
    if own_part() == (1, 2):
        os.kill(os.getpid(), signal.SIGKILL)
    if own_part()[1] > 1:
        torch.distributed.barrier()
    yield report(2, final=True)


def train_and_fail(job: TrialJob) -> Iterator[EpochReport]:
    """Train; in the end the second process fails, and the first waits for it."""
    yield from train_trial(replace(job, processes=1))
    torch.distributed.barrier()
    if own_part()[0] == 1:
        raise NonFiniteError("the loss of the second process")
    torch.distributed.barrier()


def test_two_processes_have_the_losses_and_gradients_of_one_until_one_is_killed(make_job: MakeJob) -> None:
    one, two = make_job(name="one", dropout=0.0), make_job(name="two", dropout=0.0)
    list(write_gradients(one))
    first, second = trial_events(replace(two, processes=2), lambda job: train_in_processes(job, write_gradients))
    alone, together = (load_file(job.directory / "found.safetensors") for job in (one, two))
    assert alone.keys() == together.keys()
    for name, tensor in alone.items():
        # Adam divides by what is small at first: what rounding changed in one step is larger after the next.
        near = 1e-5 if name.split()[1] == "0" else 1e-3
        assert torch.allclose(together[name], tensor, rtol=near, atol=near), name
    assert first.report is not None
    assert second.failure is not None
    assert second.failure.failure == "lost_worker"
    assert second.failure.text == "process 2 of 2 of the trial was killed; look at that node's memory"


def test_a_trial_goes_on_in_two_processes_as_in_one_until_one_fails(make_job: MakeJob) -> None:
    settings = {"dropout": 0.0, "align_weight": 3.0, "learning_rate": 1e-4}
    one, two = make_job(name="one", **settings), make_job(name="two", **settings)
    alone = list(train_trial(one))
    begun = next(train_trial(two))
    reports = train_in_processes(replace(two, processes=2), train_and_fail)
    again, last = next(reports), next(reports)
    assert (again.epoch, again.score) == (begun.epoch, begun.score)
    for name in ("train_loss_total", "train_loss_align", "gradient_norm", "train_steps"):
        assert last.metrics[name] == pytest.approx(alone[-1].metrics[name], rel=1e-3)
    assert (last.score, last.final) == (pytest.approx(alone[-1].score), True)
    weights = load_file(best_weights(one.directory))
    for name, tensor in load_file(best_weights(two.directory)).items():
        assert torch.allclose(tensor.float(), weights[name].float(), atol=1e-3), name
    with pytest.raises(NonFiniteError, match="the loss of the second process"):
        next(reports)
