"""How probable decoded slots are. In: slot logits, and the scores of transitions. Out: a probability a word.

Logits and scores make a distribution over whole sequences of tags (a linear chain; Lafferty et al., 2001), whose most
probable one is what `decoding` finds. A slot is as probable as all sequences together that have exactly this slot: the
forward and the backward sums give that (Rabiner, 1989). All sums are in float64: float32 loses what is improbable.
"""

from collections.abc import Sequence

import torch

from xa_search.model.decoding import pad_words


def weighted_scores(transitions: torch.Tensor, weight: float) -> torch.Tensor:
    """Return the scores of transitions times their weight, float64; what is not legal stays so."""
    return torch.where(transitions.isfinite(), weight * transitions.double(), -torch.inf)


def log_likelihood(
    slot_logits: torch.Tensor, word_counts: torch.Tensor, scores: torch.Tensor, tags: torch.Tensor
) -> torch.Tensor:
    """Return the sum over utterances of the log-probability of their tags [S], which must be legal ones.

    `slot_logits` are those of all words [S, tags], `word_counts` [R] count them; `scores` are [tags + 1, tags + 1].
    """
    own, place_in_row = slot_logits.double().gather(1, tags[:, None])[:, 0], _places_in_rows(word_counts)
    edge = len(scores) - 1
    before = torch.where(place_in_row == 0, edge, tags.roll(1))
    last = place_in_row == word_counts.repeat_interleave(word_counts) - 1
    moves = scores[before, tags] + torch.where(last, scores[tags, edge], 0.0)
    _, totals, _ = _forward(slot_logits, word_counts, scores)
    return (own + moves).sum() - totals[word_counts > 0].sum()


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
    alphas, totals, places = _forward(slot_logits, word_counts, scores)
    betas, ahead = _backward(slot_logits, word_counts, scores)
    row = torch.arange(len(word_counts), device=tags.device).repeat_interleave(word_counts)
    beta = betas[places, tags]
    begins = alphas[places, tags] + beta - totals[row]
    goes_on, follows = _kinds(slot_tags, tags.device)
    before = tags.roll(1)
    inside = goes_on[tags] & (follows[before] == tags) & (_places_in_rows(word_counts) > 0)
    step = scores[before, tags] + slot_logits.double().gather(1, tags[:, None])[:, 0] + beta - beta.roll(1)
    continued = (scores[tags, follows[tags]] + ahead[places, follows[tags]] - beta).exp()
    ends = torch.log1p(-continued.clamp(max=1 - 1e-12))
    last_of_slot = (follows[tags] >= 0) & ~torch.cat([inside[1:], inside.new_zeros(1)])
    last_word = _places_in_rows(word_counts) == word_counts[row] - 1
    parts = torch.where(inside, step, begins) + torch.where(last_of_slot & ~last_word, ends, 0.0)
    slot = (~inside).cumsum(0) - 1
    sums = parts.new_zeros(int(slot[-1]) + 1).index_add(0, slot, parts)
    return sums.exp().clamp(max=1.0)[slot]


def _kinds(slot_tags: Sequence[str], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return which tags are I-, and for each tag the I- tag that would go on with its slot; -1 for `O`."""
    numbers = {tag: number for number, tag in enumerate(slot_tags)}
    follows = [numbers.get(f"I-{tag[2:]}", -1) if tag[1:2] == "-" else -1 for tag in slot_tags]
    goes_on = torch.tensor([tag.startswith("I-") for tag in slot_tags], device=device)
    return goes_on, torch.tensor(follows, device=device)


def _places_in_rows(word_counts: torch.Tensor) -> torch.Tensor:
    """Return of each word the how-manieth it is of its utterance, from 0."""
    first_words = word_counts.cumsum(0) - word_counts
    return torch.arange(int(word_counts.sum()), device=word_counts.device) - first_words.repeat_interleave(word_counts)


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
