"""The factors before the losses between pairs. In: the fixed weights and the losses of each step. Out: the factors.

Either the weights stay, or each is multiplied by a share that follows how much its loss still varies: a loss that no
longer changes needs no more weight (Groenendijk et al., arXiv 2009.01717).
"""

from collections.abc import Mapping

import torch
from torch import nn

NO_ZERO = 1e-8
UNIFORM_STEPS = 2


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
