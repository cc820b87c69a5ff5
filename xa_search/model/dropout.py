"""Dropout that draws fast on a CPU. In: a tensor. Out: the tensor with some elements set to 0 and the rest scaled.

torch draws a number for each element on its own; here one draw of 64 bits decides on four elements.
"""

from typing import Any

import torch
from torch import nn
from torch.nn import functional

STEPS = 2**16
"""The share is rounded to a multiple of 1 / STEPS."""


class Dropout(nn.Module):
    """Drops the share `p` of the elements while training."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the tensor, in training with dropped elements."""
        return drop(tensor, self.p) if self.training else tensor


def drop(tensor: torch.Tensor, share: float) -> torch.Tensor:
    """Set about `share` of the elements to 0, and divide the rest by the share that is kept."""
    if share == 0:
        return tensor
    if tensor.device.type != "cpu":
        return functional.dropout(tensor, share)
    dropped: torch.Tensor = _Drop.apply(tensor, share)  # type: ignore[no-untyped-call]
    return dropped


def replace_dropout(module: nn.Module, share: float) -> None:
    """Put our dropout in the place of every dropout layer inside `module`."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Dropout):
                setattr(parent, name, Dropout(share))


class _Drop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor, share: float) -> torch.Tensor:
        limit = round(share * STEPS)
        draws = torch.empty(-(-tensor.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        draws = draws.view(torch.int16)[: tensor.numel()].view(tensor.shape)
        factors = torch.empty(tensor.shape, dtype=tensor.dtype)
        torch.ge(draws, limit - STEPS // 2, out=factors).mul_(STEPS / (STEPS - limit))
        ctx.save_for_backward(factors)
        return tensor * factors

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (factors,) = ctx.saved_tensors
        return gradient * factors, None
