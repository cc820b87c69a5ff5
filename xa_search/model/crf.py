"""A linear-chain CRF over slot tags. In: slot logits, gold tags. Out: its loss, and transitions that are learned.

The score of a tag sequence is the sum of its words' logits and of its transitions' scores, that of its first tag and
that of its end among them; its probability is that of a softmax over all legal sequences (Lafferty et al., 2001). The
learned scores are read as those that are counted: `decoding` finds the best sequence, with weight 1.
"""

from collections.abc import Sequence

import torch
from torch import nn

from xa_search.model.decoding import SlotDecoder, legal_transitions, pad_words
from xa_search.records import IGNORED

LEAST = 1e-30
"""What is less probable beside the best tag of a word adds nothing; its logarithm would have no gradient."""


class LearnedTransitions(SlotDecoder):
    """Scores of transitions that learn with the model, from 0; -inf stays where a transition is not legal."""

    def __init__(self, slot_tags: Sequence[str]) -> None:
        legal = torch.from_numpy(legal_transitions(slot_tags))
        super().__init__(torch.zeros(legal.shape))
        del self.transitions
        self.transitions = nn.Parameter(torch.where(legal, 0.0, -torch.inf))
        self.register_buffer("legal", legal, persistent=False)
        self.weight.fill_(1.0)

    legal: torch.Tensor

    def scores(self) -> torch.Tensor:
        """Return the scores [tags + 1, tags + 1]; what is not legal has no gradient."""
        return torch.where(self.legal, self.transitions, -torch.inf)


def crf_loss(
    slot_logits: torch.Tensor, word_counts: torch.Tensor, gold: torch.Tensor, scores: torch.Tensor
) -> torch.Tensor:
    """Return the negative log-likelihood of gold tags [S], over the words of the utterances [R] that count.

    Utterances with a tag that is IGNORED do not count; 0 with a gradient where none is left.
    """
    row = torch.arange(len(word_counts), device=gold.device).repeat_interleave(word_counts)
    unknown = torch.zeros_like(word_counts).index_add(0, row, (gold == IGNORED).to(word_counts.dtype))
    counts = (unknown == 0) & (word_counts > 0)
    chosen = counts[row]
    if not bool(chosen.any()):
        return slot_logits.sum() * 0.0
    logits, tags, words = slot_logits[chosen].float(), gold[chosen], word_counts[counts]
    loss = log_partition(logits, words, scores).sum() - path_scores(logits, words, tags, scores).sum()
    return loss / len(tags)


def path_scores(
    slot_logits: torch.Tensor, word_counts: torch.Tensor, tags: torch.Tensor, scores: torch.Tensor
) -> torch.Tensor:
    """Return the score [R] of the tags [S] of utterances that all have words."""
    edge = len(scores) - 1
    first = word_counts.cumsum(0) - word_counts
    before = tags.roll(1).index_fill(0, first, edge)
    words = slot_logits.gather(1, tags[:, None])[:, 0] + scores[before, tags]
    row = torch.arange(len(word_counts), device=tags.device).repeat_interleave(word_counts)
    ends = scores[tags[first + word_counts - 1], edge]
    return ends + torch.zeros_like(ends).index_add(0, row, words)


def log_partition(slot_logits: torch.Tensor, word_counts: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """Return the logarithm [R] of the sum over all legal sequences, by the forward algorithm; all R have words."""
    padded, _ = pad_words(slot_logits, word_counts)
    into, ends = scores[:-1, :-1].exp(), scores[:-1, -1]
    alpha = scores[-1, :-1] + padded[:, 0]
    for place in range(1, padded.shape[1]):
        highest = alpha.detach().amax(dim=-1, keepdim=True)
        reached = ((alpha - highest).exp() @ into).clamp(min=LEAST).log() + highest
        alpha = torch.where((place < word_counts)[:, None], reached + padded[:, place], alpha)
    return (alpha + ends).logsumexp(-1)
