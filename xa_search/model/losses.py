"""The loss terms. In: model outputs and labels. Out: scalars.

total = cross entropy(intent) + cross entropy(slot tags) + the losses between pairs, each times its factor.
XeroAlign (arXiv 2105.02472, section 3.2) has one such loss, the distance: its factor is 1, its distance the mean
squared error. CrossAligner (arXiv 2203.09982) adds three: contrastive, translate-intent and its own. What is said of
them here was read from code that its authors published, not from the paper's text.
"""

import torch
from torch.nn import functional

from xa_search.encoding.batches import IGNORED, Batch
from xa_search.model.joint import JointOutput

CONTRASTIVE_TEMPERATURE = 0.05


def intent_loss(output: JointOutput, batch: Batch) -> torch.Tensor:
    """Cross entropy of the intents, averaged over the batch."""
    return _cross_entropy(output.intent_logits, batch.intents)


def slot_loss(output: JointOutput, batch: Batch) -> torch.Tensor:
    """Cross entropy of the slot tags, averaged over the scored words of the batch."""
    return _cross_entropy(output.slot_logits, batch.slots)


def align_loss(source: torch.Tensor, partner: torch.Tensor, distance: str) -> torch.Tensor:
    """Distance between the embeddings of N pairs, both [N, H]; the gradient flows into both sides.

    `mse` is the mean over pairs and dimensions of the squared difference; `cosine` is 1 - cosine, averaged.
    """
    source, partner = source.float(), partner.float()
    if distance == "mse":
        return functional.mse_loss(source, partner)
    if distance == "cosine":
        return 1 - _similarities(source, partner).diagonal().mean()
    raise AssertionError(f"unknown distance {distance!r}")


def contrastive_loss(source: torch.Tensor, partner: torch.Tensor) -> torch.Tensor:
    """Cross entropy of finding each partner among those of the batch, and each source, averaged (both sides [N, H]).

    The scores are cosines divided by a temperature (InfoNCE, arXiv 1807.03748). The authors' code has no temperature,
    and looks for the partners only: cosines between -1 and 1 tell them apart too little.
    """
    logits = _similarities(source.float(), partner.float()) / CONTRASTIVE_TEMPERATURE
    labels = torch.arange(len(logits), device=logits.device)
    return (functional.cross_entropy(logits, labels) + functional.cross_entropy(logits.T, labels)) / 2


def translate_intent_loss(partner_logits: torch.Tensor, intents: torch.Tensor) -> torch.Tensor:
    """Cross entropy of the sources' intents [N] on the intent logits of their partners [N, intents]."""
    return _cross_entropy(partner_logits, intents)


def slot_presence_loss(
    source_logits: torch.Tensor, partner_logits: torch.Tensor, present: torch.Tensor
) -> torch.Tensor:
    """Binary cross entropy of which slot types the sources have, `present` [N, types], on both sides of the pairs.

    CrossAligner's own loss: the mean over pairs and types on the sources plus the same on their partners, whose own
    slots nobody knows. The logits are those of `SlotPresence`.
    """
    losses = [
        functional.binary_cross_entropy_with_logits(logits.float(), present, reduction="sum")
        for logits in (source_logits, partner_logits)
    ]
    return (losses[0] + losses[1]) / max(1, present.numel())


def _similarities(source: torch.Tensor, partner: torch.Tensor) -> torch.Tensor:
    """The cosine of each source embedding with each partner's, [N, N]."""
    return functional.normalize(source, dim=-1) @ functional.normalize(partner, dim=-1).T


def _cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy over the labels that are not IGNORED; 0 with a gradient when there are none."""
    scored = (labels != IGNORED).sum()
    total = functional.cross_entropy(logits.float(), labels, ignore_index=IGNORED, reduction="sum")
    return total / scored.clamp(min=1)
