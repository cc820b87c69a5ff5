"""The built-in losses, and the factors before those between pairs. In: model outputs and labels. Out: scalars.

total = cross entropy(intent) + cross entropy(slot tags) + the losses between pairs, each times its factor.
XeroAlign (arXiv 2105.02472, section 3.2) has one such loss, the distance: its factor is 1, its distance the mean
squared error. CrossAligner (arXiv 2203.09982) adds three: contrastive, translate-intent and its own. What is said of
them here was read from code that its authors published, not from the paper's text.

Either the weights stay, or each is multiplied by a share that follows how much its loss still varies: a loss that no
longer changes needs no more weight (Groenendijk et al., arXiv 2009.01717).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from xa_search.model.pairs import Distance, PairLoss, Pairs
from xa_search.records import IGNORED

if TYPE_CHECKING:
    from xa_search.encoding.batches import Batch
    from xa_search.model.joint import JointOutput

CONTRASTIVE_TEMPERATURE = 0.05
NO_ZERO = 1e-8
UNIFORM_STEPS = 2


def intent_loss(output: "JointOutput", batch: "Batch", label_smoothing: float = 0.0) -> torch.Tensor:
    """Cross entropy of the intents, averaged over the batch."""
    return _cross_entropy(output.intent_logits, batch.intents, label_smoothing)


def slot_loss(output: "JointOutput", batch: "Batch", label_smoothing: float = 0.0) -> torch.Tensor:
    """Cross entropy of the slot tags, averaged over the scored words of the batch."""
    return _cross_entropy(output.slot_logits, batch.slots, label_smoothing)


def mse_distance(source: torch.Tensor, partner: torch.Tensor) -> torch.Tensor:
    """Mean over pairs and dimensions of the squared difference."""
    return functional.mse_loss(source, partner)


def cosine_distance(source: torch.Tensor, partner: torch.Tensor) -> torch.Tensor:
    """1 - cosine, averaged over pairs."""
    return 1 - _similarities(source, partner).diagonal().mean()


def align_loss(source: torch.Tensor, partner: torch.Tensor, distance: Distance) -> torch.Tensor:
    """Distance between the embeddings of N pairs, both [N, H]; the gradient flows into both sides."""
    return distance.function(source.float(), partner.float())


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


def _cross_entropy(logits: torch.Tensor, labels: torch.Tensor, label_smoothing: float = 0.0) -> torch.Tensor:
    """Mean cross entropy over the labels that are not IGNORED; 0 with a gradient when there are none.

    With smoothing a share of each label is spread evenly over all (Szegedy et al., arXiv 1512.00567, section 7).
    """
    scored = (labels != IGNORED).sum()
    total = functional.cross_entropy(
        logits.float(), labels, ignore_index=IGNORED, reduction="sum", label_smoothing=label_smoothing
    )
    return total / scored.clamp(min=1)


def _align(pairs: Pairs) -> torch.Tensor:
    return align_loss(*pairs.sentences, pairs.distance)


def _contrastive(pairs: Pairs) -> torch.Tensor:
    return contrastive_loss(*pairs.sentences)


def _translate_intent(pairs: Pairs) -> torch.Tensor:
    return translate_intent_loss(pairs.partner_intent_logits, pairs.intents)


def _slot_presence(pairs: Pairs) -> torch.Tensor:
    return slot_presence_loss(*pairs.presence_logits, pairs.slot_presence)


MSE = Distance(name="mse", function=mse_distance)
COSINE = Distance(name="cosine", function=cosine_distance)
ALIGN = PairLoss(name="align", function=_align)
CONTRASTIVE = PairLoss(name="contrastive", function=_contrastive, divided=False)
TRANSLATE_INTENT = PairLoss(name="translate_intent", function=_translate_intent, reads_intents=True)
SLOT_PRESENCE = PairLoss(name="slot_presence", function=_slot_presence, reads_slot_presence=True)


class LossWeights(nn.Module):
    """Fixed weights, or weights times shares that sum to 1; its buffers are the statistics of the shares.

    For a loss L of step t, with M its mean over the steps before, the ratio is l = L / M, and 1 in the first step. With
    the mean m and the standard deviation s of l over the steps before, c = s / m, and the loss's share is c divided by
    the sum of all c. In the first two steps all shares are equal. Means and deviations are kept online (Welford).
    CrossAligner's authors weight so the losses between pairs only, as we do, but do not divide by the sum.
    """

    steps: torch.Tensor
    mean_loss: torch.Tensor
    mean_ratio: torch.Tensor
    squares: torch.Tensor

    def __init__(self, fixed: Mapping[str, float], *, by_variation: bool) -> None:
        super().__init__()
        self._fixed = dict(fixed)
        self.by_variation = by_variation and len(fixed) > 0
        if self.by_variation:
            for name in ("steps", "mean_loss", "mean_ratio", "squares"):
                self.register_buffer(name, torch.zeros(len(fixed)))

    def factors(self) -> dict[str, float | torch.Tensor]:
        """Return the factor before each loss in the next step."""
        if not self.by_variation:
            return dict(self._fixed)
        return {name: weight * share for (name, weight), share in zip(self._fixed.items(), self.shares(), strict=True)}

    def shares(self) -> torch.Tensor:
        """Return the share of each loss in the next step."""
        variation = (self.squares / self.steps.clamp(min=1) + NO_ZERO).sqrt() / self.mean_ratio.clamp(min=NO_ZERO)
        variation = torch.where(self.steps < UNIFORM_STEPS, 1.0, variation)
        return variation / variation.sum()

    @torch.no_grad()
    def learn(self, losses: Mapping[str, torch.Tensor]) -> None:
        """Take in the losses of a step, without their factors."""
        if not self.by_variation:
            return
        loss = torch.stack([losses[name].detach().float() for name in self._fixed])
        ratio = torch.where(self.steps == 0, 1.0, loss / self.mean_loss.clamp(min=NO_ZERO))
        self.steps += 1
        away = ratio - self.mean_ratio
        self.mean_ratio += away / self.steps
        self.squares += away * (ratio - self.mean_ratio)
        self.mean_loss += (loss - self.mean_loss) / self.steps

    def report(self) -> dict[str, float]:
        """Return the shares of the next step by metric name; nothing where the weights stay."""
        shares = self.shares().tolist() if self.by_variation else []
        return {f"loss_share_{name}": share for name, share in zip(self._fixed, shares, strict=False)}
