"""The learning rate over the steps. In: an optimiser and the number of steps. Out: what to call after each step."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

NUDGE = 1e-6


def learning_rate_schedule(optimizer: Optimizer, kind: str, warmup: float, steps: int) -> LRScheduler:
    """Rise to each group's learning rate over the share `warmup` of the steps, then fall by a cosine or a line."""
    if kind == "one_cycle":
        highest = [group["lr"] for group in optimizer.param_groups]
        total = max(2, steps)
        # A rise of exactly one step makes torch divide by zero.
        rise = warmup + NUDGE if warmup * total == 1 else warmup
        return OneCycleLR(optimizer, max_lr=highest, total_steps=total, pct_start=rise, cycle_momentum=False)
    rising = max(1, round(steps * warmup))
    falling = max(1, steps - rising)
    return LambdaLR(optimizer, lambda step: min((step + 1) / rising, max(0.0, (steps - step) / falling)))
