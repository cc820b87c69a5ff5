"""Floating-point operations of training, by formula. In: a model and rows. Out: how many the rows need, padding apart.

A product of matrices counts as two operations a multiplication. The backward pass costs twice the forward pass: each
product has a gradient to its left and one to its right. So, for a sentence of n tokens, L layers and H dimensions:
- encoder: each of the P parameters outside the embeddings meets each token once: 2 P n forward, 6 P n in all.
  P = L (4 H^2 of query, key, value and output + 2 H I of the feed-forward block, I wide), and biases and norms, which
  are under 0.3% of it.
- attention: scores and weighted sum are 2 n^2 H each a layer: 4 n^2 H L forward, 12 n^2 H L in all.
- heads: 6 H intents a labelled sentence, and 6 H tags a labelled word.
Embedding look-ups, norms, softmax, dropout and the optimiser are left out: none is a product of matrices.
"""

import numpy as np
from published_step import PublishedModel

from xa_search.model.joint import JointModel
from xa_search.training.data import TrialData


def training_operations(model: JointModel | PublishedModel, data: TrialData, epoch: int, *, independent: bool) -> float:
    """Count one pass over `data`. Independent pairs encode each source sentence twice, once for its own task loss."""
    rows = data.source.rows(data.train)
    translations = [row for row in data.paired_translations(np.arange(len(rows)), epoch) if row is not None]
    sentences = [*rows, *translations, *(rows if independent else [])]
    lengths = np.array([len(row.input_ids) for row in sentences], dtype=np.float64)
    config = model.encoder.config
    encoder = 6 * encoder_parameters(model) * lengths.sum()
    attention = 12 * config.num_hidden_layers * config.hidden_size * np.square(lengths).sum()
    labelled_words = sum(len(row.positions) for row in rows)
    intent_head = 6 * config.hidden_size * model.intent_head.out_features * len(rows)
    slot_head = 6 * config.hidden_size * model.slot_head.out_features * labelled_words
    return float(encoder + attention + intent_head + slot_head)


def encoder_parameters(model: JointModel | PublishedModel) -> int:
    """Return the number of the encoder's parameters outside its embeddings."""
    named = model.encoder.named_parameters()
    return sum(parameter.numel() for name, parameter in named if not name.startswith("embeddings."))
