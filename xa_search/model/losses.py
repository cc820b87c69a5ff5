"""The loss terms. In: model outputs and labels. Out: scalars.

total = cross entropy(intent) + cross entropy(slot tags) + align_weight x distance(source, partner)
(XeroAlign, arXiv 2105.02472, section 3.2; the paper's weight is 1 and its distance the mean squared error).
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


def align_loss(source: torch.Tensor, translation: torch.Tensor, distance: str) -> torch.Tensor:
    """Distance between the embeddings of N pairs, both [N, H]; the gradient flows into both sides.

    `mse` is the mean over pairs and dimensions of the squared difference; `cosine` is 1 - cosine, averaged;
    `contrastive` is the symmetric cross entropy of finding each translation among those of the batch (InfoNCE,
    arXiv 1807.03748).
    """
    source, translation = source.float(), translation.float()
    if distance == "mse":
        return functional.mse_loss(source, translation)
    similarity = functional.normalize(source, dim=-1) @ functional.normalize(translation, dim=-1).T
    if distance == "cosine":
        return 1 - similarity.diagonal().mean()
    if distance == "contrastive":
        logits = similarity / CONTRASTIVE_TEMPERATURE
        labels = torch.arange(len(logits), device=logits.device)
        return (functional.cross_entropy(logits, labels) + functional.cross_entropy(logits.T, labels)) / 2
    raise AssertionError(f"unknown distance {distance!r}")


def _cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy over the labels that are not IGNORED; 0 with a gradient when there are none."""
    scored = (labels != IGNORED).sum()
    total = functional.cross_entropy(logits.float(), labels, ignore_index=IGNORED, reduction="sum")
    return total / scored.clamp(min=1)
