"""How sure a model may say that it is. In: logits and labels that it did not learn from. Out: a temperature.

Logits divided by it give probabilities that come true as often as they say (temperature scaling: Guo et al., arXiv
1706.04599, section 4.2). It changes no answer: what is most probable stays so.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch.nn import functional

from xa_search.model.posterior import slot_probabilities, slots_of, which_are_right
from xa_search.records import IGNORED

COLDEST, HOTTEST = 0.25, 8.0
"""Where every label was right, no temperature would be cold enough: few utterances cannot tell so much."""
STEPS, MOST_ROWS = 14, 300
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
    logits: torch.Tensor,
    word_counts: torch.Tensor,
    scores: torch.Tensor,
    tags: torch.Tensor,
    gold: torch.Tensor,
    slot_tags: Sequence[str],
) -> float:
    """Return the temperature that makes it likeliest that the slots of the tags [S] are right where they are.

    Logits [S, tags] and scores of transitions (as in `posterior`) are divided by the same one. Utterances with a gold
    tag that is IGNORED count nothing, of the others MOST_ROWS are enough; 1 where there is no slot in them.
    """
    row = torch.arange(len(word_counts), device=tags.device).repeat_interleave(word_counts)
    unknown = torch.zeros_like(word_counts).index_add(0, row, (gold == IGNORED).to(word_counts.dtype))
    usable = torch.nonzero((unknown == 0) & (word_counts > 0))[:, 0]
    chosen = torch.zeros(len(word_counts), dtype=torch.bool, device=tags.device)
    chosen[usable[:: max(1, -(-len(usable) // MOST_ROWS))]] = True
    logits, tags, gold, counts = logits[chosen[row]].double(), tags[chosen[row]], gold[chosen[row]], word_counts[chosen]
    if not len(tags):
        return 1.0
    slots = slots_of(tags, counts, slot_tags)
    begins = (slots.follows >= 0) & ~slots.inside
    right = which_are_right(tags, gold, counts, slot_tags)[begins].double()
    if not len(right):
        return 1.0

    def loss(temperature: float) -> float:
        sure = slot_probabilities(logits / temperature, counts, scores / temperature, tags, slot_tags)[begins]
        return float(functional.binary_cross_entropy(sure, right))

    return best_temperature(loss)


def best_temperature(loss: Callable[[float], float]) -> float:
    """Return where a loss is lowest, by a golden-section search over the logarithm; it should have one lowest place."""
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
