"""The joint model. In: a Batch. Out: a sentence embedding, intent logits, and slot logits a word.

CrossAligner's head (arXiv 2203.09982; its authors' code): one linear layer over the slot logits of all words of an
utterance in their order. It learns on the source, whose slots are known, what it asks of the translation; only the
losses of training use it.

The architecture of XeroAlign (arXiv 2105.02472, section 3): one encoder, a linear intent classifier on the sentence
embedding, a linear slot classifier on the first sub-word of each word. CrossAligner trains one head more.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from xa_search.encoding.batches import Batch
from xa_search.model.decoding import SlotDecoder
from xa_search.model.packed import Dropout, encode_packed, encode_padded, use_packed_attention
from xa_search.model.posterior import weighted_scores

TEMPERATURES = "temperatures"


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


@dataclass(frozen=True, slots=True)
class JointOutput:
    """`sentence` [B, H] before dropout, `intent_logits` [B, intents], `slot_logits` [S, tags] of the scored words.

    `presence_logits` [B, slot types] are there only while a model trains that has the head for them.
    """

    sentence: torch.Tensor
    intent_logits: torch.Tensor
    slot_logits: torch.Tensor
    presence_logits: torch.Tensor | None = None


class JointModel(nn.Module):
    """An encoder with an intent head and a slot head. The encoder can be run through the model only.

    How its logits are read is kept with it: the decoder of slot tags, none where each word takes its best one, and the
    temperatures [2] of the intents' and of the slot tags' probabilities.
    """

    presence_head: SlotPresence | None
    decoder: SlotDecoder | None
    temperatures: torch.Tensor

    def __init__(self, encoder: Any, embedding: str, intents: int, slot_tags: int, dropout: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.embedding = embedding
        self.dropout = Dropout(dropout)
        self.intent_head = nn.Linear(encoder.config.hidden_size, intents)
        self.slot_head = nn.Linear(encoder.config.hidden_size, slot_tags)
        self.presence_head = None
        self.decoder = None
        self.register_buffer(TEMPERATURES, torch.ones(2))
        self._encode = encode_packed if use_packed_attention(encoder) else encode_padded

    def forward(self, batch: Batch) -> JointOutput:
        """Encode and classify a batch."""
        sentence, words = self.embed(batch)
        intent_logits = self.intent_head(self.dropout(sentence))
        slot_logits = self.slot_head(self.dropout(words))
        presence_logits = None
        if self.training and self.presence_head is not None:
            presence_logits = self.presence_head(slot_logits, batch)
        return JointOutput(sentence, intent_logits, slot_logits, presence_logits)

    def chain_scores(self) -> torch.Tensor:
        """Return the weighted scores of transitions, float64 [tags + 1, tags + 1]; zeros without a decoder."""
        if self.decoder is not None:
            return weighted_scores(self.decoder.transitions.detach(), float(self.decoder.weight))
        tags = self.slot_head.out_features
        return self.slot_head.weight.new_zeros(tags + 1, tags + 1, dtype=torch.float64)

    def embed(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what the heads read: sentence embeddings [B, H], and the hidden states [S, H] of the scored words."""
        hidden = self._encode(self.encoder, batch)
        sentence = embed_sentences(self.encoder, self.embedding, hidden, batch)
        return sentence, hidden.index_select(0, batch.words)


def embed_sentences(encoder: Any, embedding: str, hidden: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return the sentence embeddings [B, H] of an encoder's hidden states [N, H]."""
    if embedding == "mean":
        rows = torch.arange(len(batch.lengths), device=hidden.device)
        row_of_token = rows.repeat_interleave(batch.lengths, output_size=len(hidden))
        sums = hidden.new_zeros(len(rows), hidden.shape[1], dtype=torch.float32)
        return sums.index_add(0, row_of_token, hidden.float()) / batch.lengths[:, None]
    first = hidden.index_select(0, batch.lengths.cumsum(0) - batch.lengths)
    if embedding == "pooler":
        pooled: torch.Tensor = encoder.pooler(first[:, None])
        return pooled
    return first
