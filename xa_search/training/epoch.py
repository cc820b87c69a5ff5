"""The epochs of a trial. In: a trainer, and how far it came. Out: a stretch of training up to each report.

Nothing is read while steps are taken: on a GPU a read would wait until all that was asked of it is done. Losses are
summed where they are computed; the sums are copied away now and then, and a copy is looked at when the next is made.

A stretch ends where the trial reports: at a rung within an epoch, or at the epoch's end. What the epoch adds up to is
kept with the trial's progress, so that a trial that goes on from a rung does and tells what one that ran through does.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from statistics import fmean

import numpy as np
import torch

from xa_search.errors import NonFiniteError
from xa_search.training.collapse import CollapseWatch
from xa_search.training.device import gpu_utilisation
from xa_search.training.distributed import own_part
from xa_search.training.objective import LossTerms
from xa_search.training.steps import made_ahead, step_batches
from xa_search.training.trainer import Trainer

STEPS_BETWEEN_CHECKS = 10


@dataclass(frozen=True, slots=True)
class _Copy:
    """The sums after so many steps, on their way to the CPU until `arrived`."""

    values: torch.Tensor
    steps: int
    arrived: torch.cuda.Event


@dataclass(slots=True, kw_only=True)
class EpochTotals:
    """How many steps of an epoch were taken, and the sums of what they told, scalars on the device."""

    steps: int = 0
    sums: dict[str, torch.Tensor] = field(default_factory=dict)
    _copy: _Copy | None = field(default=None, init=False)

    def add(self, losses: LossTerms, norm: torch.Tensor) -> None:
        """Take in a step's losses and the norm of its gradient."""
        self.steps += 1
        told = {"train_loss_total": losses.total, "gradient_norm": norm}
        told |= {f"train_loss_{name}": term for name, term in losses.terms.items()}
        values = torch.stack([value.detach() for value in told.values()])
        if self.sums:
            values += torch.stack([self.sums[name] for name in told]).to(values.device)
        self.sums = dict(zip(told, values.unbind(), strict=True))

    def check(self, epoch: int) -> None:
        """Raise NonFiniteError with what is not finite; on a GPU, with what was not at the check before."""
        values = torch.stack(list(self.sums.values()))
        if values.device.type != "cuda":
            self._judge(values, self.steps, epoch)
            return
        self._judge_copy(epoch)
        copied = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
        copied.copy_(values, non_blocking=True)
        arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
        arrived.record()
        self._copy = _Copy(copied, self.steps, arrived)

    def means(self, epoch: int) -> dict[str, float]:
        """Return the mean of each over the steps, once they are computed. Raises NonFiniteError as `check` does."""
        self._judge_copy(epoch)
        values = torch.stack(list(self.sums.values())).cpu()
        self._judge(values, self.steps, epoch)
        return {name: value / self.steps for name, value in zip(self.sums, values.tolist(), strict=True)}

    def _judge_copy(self, epoch: int) -> None:
        if self._copy is not None:
            self._copy.arrived.synchronize()
            self._judge(self._copy.values, self._copy.steps, epoch)

    def _judge(self, values: torch.Tensor, steps: int, epoch: int) -> None:
        broken = [name for name, finite in zip(self.sums, values.isfinite().tolist(), strict=True) if not finite]
        if broken:
            raise NonFiniteError(f"{', '.join(broken)} not finite in epoch {epoch} by step {steps}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """What was trained since the report before: in which epoch, and whether that ends here.

    `steps` are those of the whole trial so far. Losses in `metrics` are means over the epoch so far, seconds and steps
    those of the stretch.
    """

    epoch: int
    whole: bool
    steps: int
    totals: EpochTotals
    metrics: dict[str, float]


def train_on(trainer: Trainer, watch: CollapseWatch, epoch: int, totals: EpochTotals) -> Iterator[Stretch]:
    """Train from where `totals` stand in an epoch, counted from 1, to the end of the last one, stretch by stretch."""
    for number in range(epoch, trainer.job.settings.epochs + 1):
        yield from _train_epoch(trainer, watch, number, totals)
        totals = EpochTotals()


def _train_epoch(trainer: Trainer, watch: CollapseWatch, epoch: int, totals: EpochTotals) -> Iterator[Stretch]:
    settings, predictor = trainer.job.settings, trainer.predictor
    before, utilisation, start = totals.steps, list[float](), time.perf_counter()

    def stretch(*, whole: bool) -> Stretch:
        metrics = totals.means(epoch) | ({"gpu_utilisation": fmean(utilisation)} if utilisation else {})
        metrics |= {"train_seconds": time.perf_counter() - start, "train_steps": float(totals.steps - before)}
        metrics |= _standing(trainer)
        steps = trainer.schedule.last_epoch
        return Stretch(epoch=epoch, whole=whole, steps=steps, totals=totals, metrics=metrics)

    _begin_stretch(trainer, epoch, totals)
    steps = islice(step_batches(trainer.data, trainer.collator, settings, epoch - 1), totals.steps, None)
    for step in made_ahead(steps):
        totals.add(*trainer.take_step(step))
        if totals.steps % STEPS_BETWEEN_CHECKS == 0:
            totals.check(epoch)
            if (share := gpu_utilisation(predictor.device)) is not None:
                utilisation.append(share)
        watch.look(epoch_ends=False)
        if trainer.schedule.last_epoch in trainer.job.rungs and totals.steps < trainer.steps_an_epoch:
            yield stretch(whole=False)
            _begin_stretch(trainer, epoch, totals)
            before, utilisation, start = totals.steps, [], time.perf_counter()
    watch.look(epoch_ends=True)
    yield stretch(whole=True)


def _begin_stretch(trainer: Trainer, epoch: int, totals: EpochTotals) -> None:
    trainer.model.train()
    number, _ = own_part()
    if number > 0:  # other dropout than the first process has, whose random state is the one that is saved
        place = [trainer.job.settings.seed, epoch, number, *([totals.steps] if totals.steps else [])]
        torch.manual_seed(int(np.random.default_rng(place).integers(2**62)))


def _standing(trainer: Trainer) -> dict[str, float]:
    """Return what a trial tells of how it trains."""
    return {
        "bf16": float(trainer.predictor.precision == "bf16"),
        "oom_halvings": float(trainer.micro_batches.halvings),
        **trainer.micro_batches.weights.report(),
        **trainer.data.span_counts,
        **trainer.start_metrics,
    }
