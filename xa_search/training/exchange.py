"""What a trial's processes tell each other. In: each one's gradients and losses. Out: their sums, in all of them.

Each process has a part of every batch, its losses weighted as that part's share of the whole: sums are what one process
would have had. Where a trial has one process, everything here does nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import distributed, nn

from xa_search.training.objective import LossTerms


def own_part() -> tuple[int, int]:
    """Return the number of this process among those of its trial, and how many they are."""
    return (distributed.get_rank(), distributed.get_world_size()) if distributed.is_initialized() else (0, 1)


@contextmanager
def leader_first() -> Iterator[None]:
    """Let the first process go ahead, so that what it measures or writes is there for the others."""
    number, count = own_part()
    if count > 1 and number > 0:
        distributed.barrier()
    yield
    if count > 1 and number == 0:
        distributed.barrier()


def take_leaders_weights(model: nn.Module) -> None:
    """Begin with the weights of the first process."""
    if own_part()[1] > 1:
        for tensor in model.state_dict().values():
            distributed.broadcast(tensor, src=0)


def sum_gradients(model: nn.Module) -> None:
    """Add up the gradients of all processes; a parameter that has none in any of them keeps none."""
    if own_part()[1] == 1:
        return
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    found = torch.tensor([parameter.grad is not None for parameter in parameters], dtype=torch.int32)
    found = found.to(parameters[0].device)
    distributed.all_reduce(found, distributed.ReduceOp.MAX)
    sums = []
    for parameter, has_gradient in zip(parameters, found.tolist(), strict=True):
        if has_gradient:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            sums.append(distributed.all_reduce(parameter.grad, async_op=True))
    for one in sums:
        one.wait()


def sum_losses(losses: LossTerms) -> LossTerms:
    """Add up the loss terms of all processes."""
    if own_part()[1] == 1:
        return losses
    values = torch.stack([losses.total, *losses.terms.values()])
    distributed.all_reduce(values)
    total, *terms = values.unbind()
    return LossTerms(total=total, terms=dict(zip(losses.terms, terms, strict=True)))
