"""The losses of an epoch's steps, summed where they are computed. In: the loss terms of each step. Out: their means.

Nothing is read while steps are taken: on a GPU a read would wait until all that was asked of it is done. The sums are
copied away now and then, and a copy is looked at when the next one is made: by then it has arrived.
"""

from dataclasses import dataclass

import torch

from xa_search.errors import NonFiniteError
from xa_search.training.objective import LossTerms


@dataclass(frozen=True, slots=True)
class _Copy:
    """The sums after so many steps, on their way to the CPU until `arrived`."""

    values: torch.Tensor
    steps: int
    arrived: torch.cuda.Event


class EpochSums:
    """Sums of the loss terms and of the gradient's norm, over the steps of an epoch."""

    def __init__(self, device: torch.device, epoch: int) -> None:
        self.steps = 0
        self._device = device
        self._epoch = epoch
        self._names: tuple[str, ...] = ()
        self._sums = torch.zeros(0)
        self._copy: _Copy | None = None

    def add(self, losses: LossTerms, norm: torch.Tensor) -> None:
        """Take in what a step gave."""
        values = torch.stack([losses.total, *losses.terms.values(), norm.detach()])
        if self.steps == 0:
            self._names = ("train_loss_total", *(f"train_loss_{name}" for name in losses.terms), "gradient_norm")
            self._sums = torch.zeros_like(values)
        self._sums += values
        self.steps += 1

    def check(self) -> None:
        """Look at the sums; on a GPU at those of the last check. Raises NonFiniteError."""
        if self._device.type != "cuda":
            self._judge(self._sums, self.steps)
            return
        self._judge_copy()
        values = torch.empty(self._sums.shape, dtype=self._sums.dtype, pin_memory=True)
        values.copy_(self._sums, non_blocking=True)
        arrived = torch.cuda.Event()
        arrived.record()
        self._copy = _Copy(values, self.steps, arrived)

    def means(self) -> dict[str, float]:
        """Return the means over all steps by metric name, once they are computed. Raises NonFiniteError."""
        self._judge_copy()
        self._judge(self._sums, self.steps)
        return {name: value / self.steps for name, value in zip(self._names, self._sums.tolist(), strict=True)}

    def _judge_copy(self) -> None:
        if self._copy is not None:
            self._copy.arrived.synchronize()
            self._judge(self._copy.values, self._copy.steps)

    def _judge(self, sums: torch.Tensor, steps: int) -> None:
        broken = [name for name, finite in zip(self._names, sums.isfinite().tolist(), strict=True) if not finite]
        if broken:
            raise NonFiniteError(f"{', '.join(broken)} not finite in epoch {self._epoch + 1} by step {steps}")
