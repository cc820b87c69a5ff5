"""The losses of feedback. In: logits of the model that learns and of the frozen reference. Out: one loss a judgement.

Preference (DPO; Rafailov et al., arXiv 2305.18290, equation 7): of two answers of one softmax the partition cancels,
so that logits will do in place of log-probabilities. With logits z of the model and z0 of the reference, the chosen
answer w and the rejected one l:

    intents   -log sigmoid(beta * m),      m = (z_w - z_l) - (z0_w - z0_l)
    slots     -log sigmoid(beta / k * sum m) over the k words in which the two parses differ

A verdict without a correction (binary classifier optimisation; Jung et al., arXiv 2404.04656): the reward of an answer
y is r = beta * (log p(y|x) - log p0(y|x)), and with d, the running mean of half the sum of the mean rewards of answers
that were found right and of those found wrong,

    right  -log sigmoid(r - d)             wrong  -log sigmoid(d - r)

A thumb down on a whole parse says that intent or tags are wrong, not both: -log(1 - p(intent) * prod p(tags)).
The control (`sft`) takes a correction as a label: its cross entropy, and -log(1 - p) of an answer that was found wrong.
"""

import math

import torch
from torch.nn import functional

from xa_search.records import IGNORED

LEAST = 1e-7
"""1 - p is never taken for less, or the gradient of an answer that is sure would have no bound."""


def intent_margins(
    logits: torch.Tensor, reference: torch.Tensor, chosen: torch.Tensor, rejected: torch.Tensor
) -> torch.Tensor:
    """Return m of each row, [N], of logits [N, classes]; 0 where a row lacks one of the answers (IGNORED)."""
    moved = (logits - reference).float()
    both = (chosen != IGNORED) & (rejected != IGNORED)
    return torch.where(both, _at(moved, chosen) - _at(moved, rejected), 0.0)


def slot_margins(
    logits: torch.Tensor,
    reference: torch.Tensor,
    chosen: torch.Tensor,
    rejected: torch.Tensor,
    word_counts: torch.Tensor,
) -> torch.Tensor:
    """Return the mean of m over the words in which two parses differ, [N], of the words' logits [S, tags].

    `chosen` and `rejected` are [S], `word_counts` [N]; 0 where no word differs, or an answer is unknown (IGNORED).
    """
    differ = (chosen != rejected) & (chosen != IGNORED) & (rejected != IGNORED)
    of_words = torch.where(differ, intent_margins(logits, reference, chosen, rejected), 0.0)
    return sum_words(of_words, word_counts) / sum_words(differ.float(), word_counts).clamp(min=1)


def preference_loss(margins: torch.Tensor, beta: float) -> torch.Tensor:
    """Return -log sigmoid(beta * m) of each margin."""
    return functional.softplus(-beta * margins)


def answer_log_probability(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the log-probability of a label in each row, [N], of logits [N, classes]; 0 where it is IGNORED."""
    return torch.where(labels != IGNORED, _at(logits.float().log_softmax(-1), labels), 0.0)


def binary_loss(rewards: torch.Tensor, right: torch.Tensor, shift: torch.Tensor | float) -> torch.Tensor:
    """Return the loss of verdicts without a correction, [N]; `right` is bool [N]."""
    return functional.softplus(torch.where(right, shift - rewards, rewards - shift))


def wrong_answer_loss(log_probability: torch.Tensor) -> torch.Tensor:
    """Return -log(1 - p), [N], of log p [N]: exact where p is near 0 and near 1, and bounded at 1."""
    below = log_probability.float().clamp(max=math.log1p(-LEAST))
    far = below < -math.log(2)
    # Both branches are computed, and a gradient that is not finite in the other one would spoil this one's.
    small = torch.where(far, below, torch.full_like(below, -1.0))
    near = torch.where(far, torch.full_like(below, -1.0), below)
    return -torch.where(far, torch.log1p(-small.exp()), torch.log(-torch.expm1(near)))


def sum_words(values: torch.Tensor, word_counts: torch.Tensor) -> torch.Tensor:
    """Return the sum over the words of each row, [N], of values [S]."""
    rows = torch.arange(len(word_counts), device=values.device).repeat_interleave(word_counts, output_size=len(values))
    return values.new_zeros(len(word_counts)).index_add(0, rows, values)


def _at(values: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return values.gather(1, labels.clamp(min=0)[:, None])[:, 0]
