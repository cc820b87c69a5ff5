"""The mean of a trial's weights over epochs. In: a model after an epoch. Out: the mean of those of its second half.

On NLI, NER and QA, averaged XLM-R large transferred better than the epoch or run that English dev chose (computed from
the published runs of fdschmidt93/ofa-xlt). Early epochs hurt where training is slow: only the second half counts.
"""

from collections.abc import Mapping

import torch


def counts_in_average(epoch: int, epochs: int) -> bool:
    """Tell whether the weights after this epoch, counted from 1, are of the second half."""
    return 2 * epoch > epochs


class WeightAverage:
    """A running mean of weights, in fp32 on the CPU: theta_k = theta_(k-1) + (theta - theta_(k-1)) / k."""

    def __init__(self) -> None:
        self.count = 0
        self._mean: dict[str, torch.Tensor] = {}

    @torch.no_grad()
    def add(self, model: torch.nn.Module) -> None:
        """Take in the parameters of a model; how it is read (temperatures, transitions) is no part of the mean."""
        self.count += 1
        for name, parameter in model.named_parameters():
            new = parameter.detach().float().cpu()
            if self.count == 1:
                self._mean[name] = new.clone()
            else:
                self._mean[name] += (new - self._mean[name]) / self.count

    def put_into(self, model: torch.nn.Module) -> None:
        """Give a model the mean in place of its parameters. Raises ValueError where no weights were taken in."""
        if not self.count:
            raise ValueError("no weights were taken in")
        model.load_state_dict(self._mean, strict=False)

    def state(self) -> dict[str, torch.Tensor]:
        """Return the mean, to go on from."""
        return {**self._mean, "count": torch.tensor(self.count)} if self.count else {}

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from what `state` gave; nothing where it gave nothing."""
        mean = {name: tensor.cpu() for name, tensor in state.items()}
        self.count = int(mean.pop("count", torch.tensor(0)))
        self._mean = mean
