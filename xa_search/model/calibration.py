"""How sure a model may say that it is. In: logits and labels that it did not learn from. Out: a temperature.

Logits divided by it give probabilities that come true as often as they say (temperature scaling: Guo et al., arXiv
1706.04599, section 4.2). It changes no answer: the highest logit stays the highest.
"""

import math
from collections.abc import Callable

import torch
from torch.nn import functional

from xa_search.model.posterior import log_likelihood
from xa_search.records import IGNORED

COLDEST, HOTTEST = 0.25, 8.0
"""Where every label was right, no temperature would be cold enough: few utterances cannot tell so much."""
STEPS, MOST_ROWS = 20, 300
GOLDEN = (math.sqrt(5) - 1) / 2


def fit_temperature(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the temperature that gives the labels [N] the highest likelihood under the logits [N, classes].

    Labels that are IGNORED count nothing; 1 where there are no others.
    """
    logits, labels = logits[labels != IGNORED].float(), labels[labels != IGNORED]
    if not len(labels):
        return 1.0
    return best_temperature(lambda temperature: float(functional.cross_entropy(logits / temperature, labels)))


def fit_slot_temperature(
    slot_logits: torch.Tensor, word_counts: torch.Tensor, scores: torch.Tensor, tags: torch.Tensor
) -> float:
    """Return the temperature that gives whole sequences of tags [S] the highest likelihood; they are legal ones.

    Logits and scores (as in `posterior`) are divided by the same one. Utterances with a tag that is IGNORED count
    nothing; of the others MOST_ROWS are enough. 1 where there are none.
    """
    row = torch.arange(len(word_counts), device=tags.device).repeat_interleave(word_counts)
    unknown = torch.zeros_like(word_counts).index_add(0, row, (tags == IGNORED).to(word_counts.dtype))
    usable = torch.nonzero((unknown == 0) & (word_counts > 0))[:, 0]
    if not len(usable):
        return 1.0
    chosen = torch.zeros(len(word_counts), dtype=torch.bool, device=tags.device)
    chosen[usable[:: -(-len(usable) // MOST_ROWS)]] = True
    logits, counts, gold = slot_logits[chosen[row]].double(), word_counts[chosen], tags[chosen[row]]
    return best_temperature(
        lambda temperature: -float(log_likelihood(logits / temperature, counts, scores / temperature, gold))
    )


def best_temperature(loss: Callable[[float], float]) -> float:
    """Return where a loss is lowest that is convex in the inverse temperature: a golden-section search finds it."""
    low, high = math.log(COLDEST), math.log(HOTTEST)
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    loss_left, loss_right = loss(math.exp(left)), loss(math.exp(right))
    for _ in range(STEPS):
        if loss_left <= loss_right:
            high, right, loss_right = right, left, loss_left
            left = high - GOLDEN * (high - low)
            loss_left = loss(math.exp(left))
        else:
            low, left, loss_left = left, right, loss_right
            right = low + GOLDEN * (high - low)
            loss_right = loss(math.exp(right))
    return math.exp((low + high) / 2)
