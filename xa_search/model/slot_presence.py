"""Which slot types an utterance has. In: slot logits of words. Out: a logit a slot type, for each utterance.

CrossAligner's head (arXiv 2203.09982; its authors' code): one linear layer over the slot logits of all words of an
utterance in their order. It learns on the source, whose slots are known, what it asks of the translation; only the
losses of training use it.
"""

import torch
from torch import nn
from torch.nn import functional

from xa_search.encoding.batches import Batch


class SlotPresence(nn.Module):
    """The linear layer, for at most so many words; words that an utterance does not have count as zeros.

    The authors' layer reads every token, padding too, and has a class a slot tag; ours reads scored words, and has a
    class a slot type.
    """

    def __init__(self, words: int, slot_tags: int, slot_types: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(words * slot_tags, slot_types)

    def forward(self, slot_logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Return the logits [B, types] of the utterances of a batch, from those of its words [S, tags]."""
        words, tags = slot_logits.shape
        rows, longest = len(batch.lengths), max(block.longest for block in batch.blocks)
        row_of_word = torch.arange(rows, device=slot_logits.device).repeat_interleave(
            batch.word_counts, output_size=words
        )
        first_words = batch.word_counts.cumsum(0) - batch.word_counts
        places = torch.arange(words, device=slot_logits.device) - first_words[row_of_word]
        padded = slot_logits.new_zeros(rows * longest, tags)
        padded = padded.index_copy(0, row_of_word * longest + places, slot_logits).view(rows, longest * tags)
        return functional.linear(padded, self.classifier.weight[:, : longest * tags], self.classifier.bias)
