"""The loss of one training step. In: a model and a step's input. Out: the total loss with its terms."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from xa_search.model.joint import JointModel, JointOutput
from xa_search.model.losses import (
    align_loss,
    contrastive_loss,
    intent_loss,
    slot_loss,
    slot_presence_loss,
    translate_intent_loss,
)
from xa_search.records import TrialSettings
from xa_search.training.steps import StepBatch

Factors = Mapping[str, float | torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class LossTerms:
    """Scalars of one step; `total` carries the gradient, `terms` are its parts by name, without their factors."""

    total: torch.Tensor
    terms: dict[str, torch.Tensor]


def compute_losses(model: JointModel, step: StepBatch, settings: TrialSettings, factors: Factors) -> LossTerms:
    """Run the encoder over one step's input and sum the loss terms, those between pairs times their factors."""
    output = model(step.batch)
    intent, slot = intent_loss(output, step.batch), slot_loss(output, step.batch)
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


def _pair_losses(output: JointOutput, step: StepBatch, settings: TrialSettings) -> dict[str, torch.Tensor]:
    sources, partners = step.sources, step.partners
    losses = {}
    if "align" in settings.pair_losses:
        losses["align"] = align_loss(output.sentence[sources], output.sentence[partners], settings.align_distance)
    if "contrastive" in settings.pair_losses:
        losses["contrastive"] = contrastive_loss(output.sentence[sources], output.sentence[partners])
    if "translate_intent" in settings.pair_losses:
        losses["translate_intent"] = translate_intent_loss(output.intent_logits[partners], step.intents)
    if output.presence_logits is not None:
        presence = output.presence_logits
        losses["slot_presence"] = slot_presence_loss(presence[sources], presence[partners], step.slot_presence)
    return losses
