"""How sure a model may say that it is. In: logits and labels that it did not learn from. Out: a temperature.

Logits divided by it give probabilities that come true as often as they say (temperature scaling: Guo et al., arXiv
1706.04599, section 4.2). It changes no answer: the highest logit stays the highest.
"""

import math

import torch
from torch.nn import functional

from xa_search.records import IGNORED

COLDEST, HOTTEST = 0.25, 8.0
"""Where every label was right, no temperature would be cold enough: few utterances cannot tell so much."""
STEPS = 40
GOLDEN = (math.sqrt(5) - 1) / 2


def fit_temperature(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the temperature that gives the labels [N] the highest likelihood under the logits [N, classes].

    The loss is convex in its inverse, so that a golden-section search over its logarithm finds it. Labels that are
    IGNORED count nothing; 1 where there are no others.
    """
    logits, labels = logits[labels != IGNORED].float(), labels[labels != IGNORED]
    if not len(labels):
        return 1.0
    low, high = math.log(COLDEST), math.log(HOTTEST)
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    loss_left, loss_right = _loss(logits, labels, left), _loss(logits, labels, right)
    for _ in range(STEPS):
        if loss_left <= loss_right:
            high, right, loss_right = right, left, loss_left
            left = high - GOLDEN * (high - low)
            loss_left = _loss(logits, labels, left)
        else:
            low, left, loss_left = left, right, loss_right
            right = low + GOLDEN * (high - low)
            loss_right = _loss(logits, labels, right)
    return math.exp((low + high) / 2)


def _loss(logits: torch.Tensor, labels: torch.Tensor, log_temperature: float) -> float:
    return float(functional.cross_entropy(logits / math.exp(log_temperature), labels))
