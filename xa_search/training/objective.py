"""The loss of one training step. In: a model and a step's input. Out: the total loss with its terms."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from xa_search.model.crf import LearnedTransitions, crf_loss
from xa_search.model.joint import JointModel, JointOutput
from xa_search.model.losses import intent_loss, slot_loss
from xa_search.model.pairs import Pairs
from xa_search.model.registry import DISTANCES, PAIR_LOSSES
from xa_search.records import TrialSettings, look_up
from xa_search.training.registry import pair_losses
from xa_search.training.steps import StepBatch

Factors = Mapping[str, float | torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class LossTerms:
    """Scalars of one step; `total` carries the gradient, `terms` are its parts by name, without their factors."""

    total: torch.Tensor
    terms: dict[str, torch.Tensor]


def compute_losses(model: JointModel, step: StepBatch, settings: TrialSettings, factors: Factors) -> LossTerms:
    """Run the encoder over one step's input and sum the loss terms, those between pairs times their factors.

    Whatever the precision of the model's passes, losses are computed in fp32.
    """
    output = model(step.batch)
    # Autocast would take the products inside a loss back to bf16, where small distances read 0.
    with torch.autocast(output.sentence.device.type, enabled=False):
        intent = intent_loss(output, step.batch, settings.label_smoothing)
        slot = _slot_loss(model, output, step, settings)
        terms = {"intent": intent, "slot": slot, **dict.fromkeys(("align", *factors), intent.new_zeros(()))}
        if len(step.partners):
            terms |= _pair_losses(output, step, settings)
        return LossTerms(total=total_loss(terms, factors), terms=terms)


def no_losses(factors: Factors, device: torch.device) -> LossTerms:
    """Return the terms of a step without any input."""
    nothing = torch.zeros((), device=device)
    return LossTerms(total=nothing, terms=dict.fromkeys(("intent", "slot", "align", *factors), nothing))


def total_loss(terms: Mapping[str, torch.Tensor], factors: Factors) -> torch.Tensor:
    """Return the task loss plus the losses between pairs times their factors."""
    total = terms["intent"] + terms["slot"]
    for name, factor in factors.items():
        total = total + factor * terms[name]
    return total


def _slot_loss(model: JointModel, output: JointOutput, step: StepBatch, settings: TrialSettings) -> torch.Tensor:
    if isinstance(model.decoder, LearnedTransitions):
        return crf_loss(output.slot_logits, step.batch.word_counts, step.batch.slots, model.decoder.scores())
    return slot_loss(output, step.batch, settings.label_smoothing)


def _pair_losses(output: JointOutput, step: StepBatch, settings: TrialSettings) -> dict[str, torch.Tensor]:
    pairs = Pairs(
        output=output,
        sources=step.sources,
        partners=step.partners,
        intents=step.intents,
        slot_presence=step.slot_presence,
        distance=look_up(DISTANCES, "align_distance", settings.align_distance),
    )
    return {name: PAIR_LOSSES[name].function(pairs) for name in pair_losses(settings)}
