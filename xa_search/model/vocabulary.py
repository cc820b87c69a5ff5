"""Vocabulary trimming. In: an encoder and the token ids of a corpus. Out: the encoder with only their embedding rows.

Rows that no batch holds get no gradient, and Adam without weight decay leaves them as they are: training the kept rows
alone gives the same losses as training the full table, at a fraction of the memory. `restore_vocabulary` puts the
full table back, with the trained rows in it.
"""

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from xa_search.errors import ModelError


class TrimmedEmbedding(nn.Module):
    """An embedding table of some rows of a larger one, addressed by the ids of the larger one."""

    lookup: torch.Tensor

    def __init__(self, full: nn.Embedding, kept_ids: torch.Tensor) -> None:
        super().__init__()
        self.padding_idx = full.padding_idx
        self.weight = nn.Parameter(full.weight.detach()[kept_ids])
        lookup = torch.full((full.num_embeddings,), -1, dtype=torch.int64)
        lookup[kept_ids] = torch.arange(len(kept_ids))
        self.register_buffer("lookup", lookup, persistent=False)
        self._kept_padding = None if full.padding_idx is None else int(lookup[full.padding_idx])

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Embed ids of the full vocabulary; an id whose row was not kept raises an IndexError."""
        return functional.embedding(self.lookup[input_ids], self.weight, padding_idx=self._kept_padding)


def trim_vocabulary(encoder: Any, token_ids: torch.Tensor, special_ids: list[int]) -> torch.Tensor:
    """Keep the rows of `token_ids` and of the special ids, in place. Return the kept ids, sorted, int64 [rows]."""
    full = encoder.get_input_embeddings()
    wanted = torch.cat([token_ids, torch.tensor(special_ids, dtype=torch.int64)])
    kept_ids: torch.Tensor = torch.unique(wanted)
    if int(kept_ids[-1]) >= full.num_embeddings:
        raise ModelError(
            f"token id {int(kept_ids[-1])} is outside the encoder's {full.num_embeddings} embedding rows: "
            "tokenizer and encoder do not belong together; give the directory that holds both"
        )
    encoder.set_input_embeddings(TrimmedEmbedding(full, kept_ids))
    return kept_ids


def restore_vocabulary(encoder: Any, full_weight: torch.Tensor) -> None:
    """Replace the trimmed table by `full_weight` [vocabulary, hidden] with the trained rows put in, in place."""
    trimmed = encoder.get_input_embeddings()
    weight = full_weight.clone()
    kept = trimmed.lookup >= 0
    weight[kept] = trimmed.weight.detach()[trimmed.lookup[kept]]
    vocabulary, hidden = weight.shape
    encoder.set_input_embeddings(nn.Embedding(vocabulary, hidden, padding_idx=trimmed.padding_idx, _weight=weight))
