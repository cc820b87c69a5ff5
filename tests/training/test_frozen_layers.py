"""Frozen layers: they learn nothing, drop nothing, and what lies above them learns."""

from collections.abc import Callable

import pytest
import torch

from xa_search.errors import ModelError
from xa_search.model.frozen import freeze_layers, frozen_layers
from xa_search.records import TrialJob
from xa_search.training.steps import step_batches
from xa_search.training.trainer import Trainer, build_trainer

MakeJob = Callable[..., TrialJob]
LOWEST = ("encoder.embeddings.", "encoder.encoder.layer.0.")


def weights_of(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in trainer.model.named_parameters()}


def a_step(trainer: Trainer, job: TrialJob) -> None:
    trainer.model.train()
    trainer.take_step(next(step_batches(trainer.data, trainer.collator, job.settings, 0)))


def test_what_is_frozen_alone_stays_as_it_was(make_job: MakeJob) -> None:
    job = make_job(frozen_share=0.5, warmup=0.01)
    trainer = build_trainer(job)
    before = weights_of(trainer)
    a_step(trainer, job)
    after = weights_of(trainer)
    frozen = {name for name in before if name.startswith(LOWEST)}
    assert frozen
    assert {name for name in before if torch.equal(before[name], after[name])} == frozen
    learning = {id(parameter) for group in trainer.optimizer.param_groups for parameter in group["params"]}
    assert learning == {id(one) for name, one in trainer.model.named_parameters() if name not in frozen}


def test_a_frozen_layer_says_the_same_in_training(make_job: MakeJob) -> None:
    said: dict[bool, list[torch.Tensor]] = {True: [], False: []}
    job = make_job(frozen_share=0.5, dropout=0.5)
    trainer = build_trainer(job)
    trainer.model.encoder.encoder.layer[0].register_forward_hook(
        lambda layer, _, hidden: said[layer.training].append(hidden[0] if isinstance(hidden, tuple) else hidden)
    )
    batch = next(step_batches(trainer.data, trainer.collator, job.settings, 0)).batch
    with torch.no_grad():
        for training in (True, False):
            trainer.model.train(training)
            trainer.model(batch)
    assert torch.allclose(said[True][0], said[False][0])


@pytest.mark.parametrize(("share", "layers", "frozen"), [(0.5, 12, 6), (0.5, 3, 1), (0.99, 24, 23), (0.3, 2, 0)])
def test_one_layer_at_least_learns(share: float, layers: int, frozen: int) -> None:
    assert frozen_layers(share, layers) == frozen < layers


def test_an_encoder_that_keeps_its_layers_elsewhere_is_told() -> None:
    with pytest.raises(
        ModelError, match=r"the encoder 'odd' has no list of layers to freeze; --set fixed\.frozen_share=0"
    ):
        freeze_layers(torch.nn.Linear(2, 2), 0.5, "odd")
