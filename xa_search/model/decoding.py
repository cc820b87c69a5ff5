"""Slot tags from slot logits. In: the logits of the words of some utterances. Out: each one's best legal tags.

Legal is what IOB2 allows: I-x stands behind B-x or I-x only. Among legal sequences the best is that with the highest
sum of its words' logits and of its transitions' scores times a weight (Viterbi, 1967); the scores are log-probabilities
of the tags that the source's training utterances have side by side. Weight 0 forbids what is not legal, no more.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.5, 1.0)
"""What the weight of the transitions is chosen from."""
TRANSITIONS = "decoder.transitions"
"""The decoder's scores among the weights of a model."""
TOTALS_AT_ONCE = 2**23


def legal_transitions(slot_tags: Sequence[str]) -> np.ndarray:
    """Return which tag may follow which, bool [tags + 1, tags + 1].

    The last row is for the first word of an utterance, the last column for the end behind its last word.
    """
    opened = [tag[2:] for tag in slot_tags] + [""]
    legal = np.ones((len(slot_tags) + 1, len(slot_tags) + 1), dtype=bool)
    for place, tag in enumerate(slot_tags):
        if tag.startswith("I-"):
            legal[:, place] = [slot_type == tag[2:] for slot_type in opened]
    legal[-1, -1] = False
    return legal


def transition_scores(tags: np.ndarray, lengths: np.ndarray, slot_tags: Sequence[str]) -> torch.Tensor:
    """Return the log-probability of each tag behind each, float32 [tags + 1, tags + 1]; -inf where that is not legal.

    `tags` are the numbers of all tags of some utterances, one utterance behind the other, and `lengths` count them.
    What follows a tag is smoothed by one observation that is shared out as tags are in all (a Dirichlet prior of
    weight 1): a tag that was seen three times still says something, one that was never seen what all say.
    """
    legal = legal_transitions(slot_tags)
    edge = len(slot_tags)
    chain = np.append(np.insert(tags, np.cumsum(lengths) - lengths, edge), edge)
    counts = np.bincount(chain[:-1] * (edge + 1) + chain[1:], minlength=legal.size).reshape(legal.shape) * legal
    prior = legal * (counts.sum(axis=0) + 1.0)
    prior /= prior.sum(axis=1, keepdims=True)
    shares = (counts + prior) / (counts.sum(axis=1, keepdims=True) + 1.0)
    with np.errstate(divide="ignore"):
        return torch.from_numpy(np.log(shares)).float()


class SlotDecoder(nn.Module):
    """The scores of the transitions and their weight; both are kept with the weights of a model."""

    transitions: torch.Tensor
    weight: torch.Tensor

    def __init__(self, transitions: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("transitions", transitions)
        self.register_buffer("weight", torch.zeros(()))

    def forward(self, slot_logits: torch.Tensor, word_counts: torch.Tensor) -> torch.Tensor:
        """Return the tags, int64 [S], of utterances with so many words [R] each, from their words' logits [S, tags]."""
        return decode(slot_logits, word_counts, self.transitions.detach(), float(self.weight))


def decoder_among(tensors: Mapping[str, torch.Tensor]) -> SlotDecoder | None:
    """Return an empty decoder for a model's weights; none where they were made to be read word by word."""
    return SlotDecoder(torch.zeros_like(tensors[TRANSITIONS])) if TRANSITIONS in tensors else None


def decode(
    slot_logits: torch.Tensor, word_counts: torch.Tensor, transitions: torch.Tensor, weight: float
) -> torch.Tensor:
    """Return the best legal tags, int64 [S]; `transitions` are as `transition_scores` gives them."""
    scores = torch.where(transitions.isfinite(), weight * transitions, -torch.inf)
    parts = torch.split(word_counts, max(1, TOTALS_AT_ONCE // scores.numel()))
    logits = torch.split(slot_logits.float(), [int(part.sum()) for part in parts])
    found = [_best_tags(words, counts, scores) for words, counts in zip(logits, parts, strict=True)]
    return torch.cat(found) if found else word_counts.new_zeros(0)


def pad_words(logits: torch.Tensor, word_counts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the words [S, tags] of R utterances as [R, longest, tags], and the place [S] of each in its flat form."""
    words, tags = logits.shape
    rows, longest = len(word_counts), int(word_counts.max())
    row_of_word = torch.arange(rows, device=logits.device).repeat_interleave(word_counts, output_size=words)
    first_words = word_counts.cumsum(0) - word_counts
    places = row_of_word * longest + torch.arange(words, device=logits.device) - first_words[row_of_word]
    return logits.new_zeros(rows * longest, tags).index_copy(0, places, logits).view(rows, longest, tags), places


def _best_tags(logits: torch.Tensor, word_counts: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """Decode some utterances side by side, word by word; behind its last word an utterance keeps what it has."""
    if not len(logits):
        return word_counts.new_zeros(0)
    padded, places = pad_words(logits, word_counts)
    into = scores[:-1, :-1].T.contiguous()
    same = torch.arange(logits.shape[1], device=logits.device)
    best = scores[-1, :-1] + padded[:, 0]
    came_from = []
    for place in range(1, padded.shape[1]):
        going_on = (place < word_counts)[:, None]
        highest, before = (best[:, None, :] + into).max(dim=-1)
        came_from.append(torch.where(going_on, before, same))
        best = torch.where(going_on, highest + padded[:, place], best)
    chosen = [(best + scores[:-1, -1]).argmax(dim=-1)]
    for before in reversed(came_from):
        chosen.append(before.gather(1, chosen[-1][:, None])[:, 0])
    return torch.stack(chosen[::-1], dim=1).flatten()[places]
