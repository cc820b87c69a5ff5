"""Linear heads on a frozen encoder. In: its features and their labels. Out: weights that a head can begin with.

Multinomial logistic regression on standardised features, with a penalty on the weights whose strength the dev labels
choose: linear probing, which fine-tuning then begins with (Kumar et al., arXiv 2202.10054).
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from xa_search.records import IGNORED

STRENGTHS = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001)
"""The penalty is a strength times half the squared weights; the loss before it is a mean over rows."""
MOST_ITERATIONS = 60
LEAST_SPREAD = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """N rows of features, float32 [N, H], with their labels, int64 [N]; rows whose label is IGNORED count nothing."""

    features: torch.Tensor
    labels: torch.Tensor

    def known(self) -> "Labelled":
        """Return the rows that have a label."""
        there = self.labels != IGNORED
        return Labelled(features=self.features[there], labels=self.labels[there])


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedHead:
    """The weights [classes, H] and the bias [classes] of a linear head, for features as the encoder gives them."""

    weight: torch.Tensor
    bias: torch.Tensor
    strength: float

    def put_into(self, head: nn.Linear) -> None:
        """Let a head begin with these weights."""
        with torch.no_grad():
            head.weight.copy_(self.weight)
            head.bias.copy_(self.bias)


def fit_head(train: Labelled, dev: Labelled, classes: int) -> FittedHead:
    """Return the head of the strength that gives the dev labels the highest likelihood.

    The strengths are tried from the highest on, each from the weights of the one before, until dev is no longer better;
    without a dev label the middle one is taken.
    """
    train, dev = train.known(), dev.known()
    mean, spread = train.features.mean(0), train.features.std(0, correction=0).clamp(min=LEAST_SPREAD)
    standard = (train.features - mean) / spread
    dev_standard = (dev.features - mean) / spread
    weight = torch.zeros(classes, standard.shape[1], device=standard.device)
    bias = torch.zeros(classes, device=standard.device)
    best: tuple[float, float, torch.Tensor, torch.Tensor] | None = None
    for strength in STRENGTHS if len(dev.labels) else STRENGTHS[: len(STRENGTHS) // 2 + 1]:
        weight, bias = _minimise(standard, train.labels, weight, bias, strength)
        loss = 0.0
        if len(dev.labels):
            loss = float(functional.cross_entropy(functional.linear(dev_standard, weight, bias), dev.labels))
        if best is not None and loss > best[0]:
            break
        best = (loss, strength, weight, bias)
    assert best is not None
    _, strength, weight, bias = best
    folded = weight / spread
    return FittedHead(weight=folded, bias=bias - folded @ mean, strength=strength)


def _minimise(
    features: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, strength: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the weights and the bias of the lowest penalised loss, found by L-BFGS from those that are given."""
    weight, bias = weight.clone().requires_grad_(), bias.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=MOST_ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        found = functional.cross_entropy(functional.linear(features, weight, bias), labels)
        found = found + strength / 2 * weight.square().sum()
        found.backward()  # type: ignore[no-untyped-call]
        return found

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return weight.detach(), bias.detach()


def draw_head(head: nn.Linear, generator: torch.Generator) -> None:
    """Draw the weights of a head as torch draws those of any linear layer, by a generator of its own."""
    bound = head.in_features**-0.5
    with torch.no_grad():
        for parameter in (head.weight, head.bias):
            parameter.copy_((torch.rand(parameter.shape, generator=generator) * 2 - 1) * bound)
