"""How probable decoded slots are. In: slot logits, and the scores of transitions. Out: a probability a word.

Logits and scores make a distribution over whole sequences of tags (a linear chain; Lafferty et al., 2001), whose most
probable one is what `decoding` finds. A slot is as probable as all sequences together that have exactly this slot: the
forward and the backward sums give that (Rabiner, 1989). All sums are in float64: float32 loses what is improbable.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from xa_search.model.decoding import pad_words

NEARLY_SURE = 1 - 1e-12


def weighted_scores(transitions: torch.Tensor, weight: float) -> torch.Tensor:
    """Return the scores of transitions times their weight, float64; what is not legal stays so."""
    return torch.where(transitions.isfinite(), weight * transitions.double(), -torch.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """The slots that tags make, word by word [S]; a word in no slot stands for itself.

    `number` is that of the slot that a word is in, `inside` says that it is not its first word, `last` that it is its
    last one and not that of the utterance, and `follows` is the tag that would go on with the slot, -1 for none.
    """

    number: torch.Tensor
    inside: torch.Tensor
    last: torch.Tensor
    follows: torch.Tensor


def slots_of(tags: torch.Tensor, word_counts: torch.Tensor, slot_tags: Sequence[str]) -> Slots:
    """Return the slots of the tags [S] of utterances of so many words [R]."""
    numbers = {tag: number for number, tag in enumerate(slot_tags)}
    going_on = [numbers.get(f"I-{tag[2:]}", -1) if tag[1:2] == "-" else -1 for tag in slot_tags]
    follows = torch.tensor(going_on, device=tags.device)[tags]
    ends = torch.zeros(len(tags) + 1, dtype=torch.bool, device=tags.device)
    ends[word_counts.cumsum(0)] = True
    ends[0] = True
    inside = (follows.roll(1) == tags) & ~ends[:-1]
    last = ~torch.cat([inside[1:], inside.new_zeros(1)]) & ~ends[1:]
    return Slots(number=(~inside).cumsum(0) - 1, inside=inside, last=last, follows=follows)


def which_are_right(
    tags: torch.Tensor, gold: torch.Tensor, word_counts: torch.Tensor, slot_tags: Sequence[str]
) -> torch.Tensor:
    """Return of each word [S] whether the slot that it is in by its tag is one of the gold tags' slots."""
    mine, other = slots_of(tags, word_counts, slot_tags), slots_of(gold, word_counts, slot_tags)
    goes_on_there = torch.cat([other.inside[1:], other.inside.new_zeros(1)])
    wrong = (tags != gold) | (mine.inside != other.inside) | (mine.last & goes_on_there)
    count = torch.zeros_like(tags).index_add(0, mine.number, wrong.to(tags.dtype))
    return (count == 0)[mine.number]


def slot_probabilities(
    slot_logits: torch.Tensor,
    word_counts: torch.Tensor,
    scores: torch.Tensor,
    tags: torch.Tensor,
    slot_tags: Sequence[str],
) -> torch.Tensor:
    """Return, float64 [S], the probability of the slot that each word is in by its tag; of `O` for a word in none.

    The words of one slot have the same one: that it begins at its first word, and ends behind its last. Where a slot
    begins with I-, as it does only without a decoder, sequences count too in which it goes on with one before it.
    """
    if not len(tags):
        return slot_logits.new_zeros(0, dtype=torch.float64)
    slots = slots_of(tags, word_counts, slot_tags)
    alphas, totals, places = _forward(slot_logits, word_counts, scores)
    betas, ahead = _backward(slot_logits, word_counts, scores)
    row = torch.arange(len(word_counts), device=tags.device).repeat_interleave(word_counts)
    before, beta = tags.roll(1), betas[places, tags]
    begins = alphas[places, tags] + beta - totals[row]
    step = scores[before, tags] + slot_logits.double().gather(1, tags[:, None])[:, 0] + beta - beta.roll(1)
    continued = (scores[tags, slots.follows] + ahead[places, slots.follows] - beta).exp()
    ends = torch.log1p(-continued.clamp(max=NEARLY_SURE))
    in_a_slot = slots.follows >= 0
    parts = torch.where(slots.inside, step, begins) + torch.where(slots.last & in_a_slot, ends, 0.0)
    sums = torch.zeros_like(parts).index_add(0, slots.number, parts)
    return sums.exp().clamp(max=1.0)[slots.number]


def _forward(
    slot_logits: torch.Tensor, word_counts: torch.Tensor, scores: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the forward sums of all padded words, the logarithm of each utterance's total, and its words' places."""
    padded, places = pad_words(slot_logits.double(), word_counts)
    alpha = scores[-1, :-1] + padded[:, 0]
    alphas = [alpha]
    into = scores[:-1, :-1].exp()
    for place in range(1, padded.shape[1]):
        alpha = torch.where((place < word_counts)[:, None], _sum_over(alpha, into) + padded[:, place], alpha)
        alphas.append(alpha)
    return torch.stack(alphas, dim=1).flatten(0, 1), (alpha + scores[:-1, -1]).logsumexp(-1), places


def _backward(
    slot_logits: torch.Tensor, word_counts: torch.Tensor, scores: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the backward sums of all padded words, and those of the word behind each with its own logits in them."""
    padded, _ = pad_words(slot_logits.double(), word_counts)
    out_of = scores[:-1, :-1].exp().T
    ahead = torch.full_like(padded[:, 0], -torch.inf)
    betas, aheads = [], []
    for place in reversed(range(padded.shape[1])):
        is_last = (place >= word_counts - 1)[:, None]
        beta = torch.where(is_last, scores[:-1, -1], _sum_over(ahead, out_of))
        betas.append(beta)
        aheads.append(ahead)
        ahead = beta + padded[:, place]
    return torch.stack(betas[::-1], dim=1).flatten(0, 1), torch.stack(aheads[::-1], dim=1).flatten(0, 1)


def _sum_over(logs: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Return log(exp(logs) @ factors): a product of matrices, where logsumexp would need a third dimension."""
    highest = logs.amax(dim=-1, keepdim=True).clamp(min=-1e300)
    return ((logs - highest).exp() @ factors).log() + highest
