"""Encoders without padding. In: an encoder and a Batch. Out: the hidden states of its tokens.

torch draws a number for each element on its own; here one draw of 64 bits decides on four elements.

Every layer but attention works on single tokens, so nothing is padded there. BERT and XLM-R get an attention function
of ours, which pads block by block; other architectures are run on one padded batch and unpadded afterwards.
"""

# ruff: noqa: ARG001 (transformers names the arguments of attention functions)

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
import transformers
from torch import nn
from torch.nn import functional

from xa_search.encoding.batches import Batch, Block

STEPS = 2**16
"""The share is rounded to a multiple of 1 / STEPS."""
PACKED_ATTENTION = "xa_search_packed"
LAST_LAYER = -1
ALIGNED = 16
FIRST_POSITION = {"bert": 0, "xlm-roberta": 1}
"""What is added to the position of a token: XLM-R counts from its padding id + 1."""


class Dropout(nn.Module):
    """Drops the share `p` of the elements while training."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the tensor, in training with dropped elements."""
        return drop(tensor, self.p) if self.training else tensor


def drop(tensor: torch.Tensor, share: float) -> torch.Tensor:
    """Set about `share` of the elements to 0, and divide the rest by the share that is kept."""
    if share == 0:
        return tensor
    if tensor.device.type != "cpu":
        return functional.dropout(tensor, share)
    dropped: torch.Tensor = _Drop.apply(tensor, share)  # type: ignore[no-untyped-call]
    return dropped


def replace_dropout(module: nn.Module, share: float) -> None:
    """Put our dropout in the place of every dropout layer inside `module`."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Dropout):
                setattr(parent, name, Dropout(share))


class _Drop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor, share: float) -> torch.Tensor:
        limit = round(share * STEPS)
        draws = torch.empty(-(-tensor.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        draws = draws.view(torch.int16)[: tensor.numel()].view(tensor.shape)
        factors = torch.empty(tensor.shape, dtype=tensor.dtype)
        torch.ge(draws, limit - STEPS // 2, out=factors).mul_(STEPS / (STEPS - limit))
        ctx.save_for_backward(factors)
        return tensor * factors

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (factors,) = ctx.saved_tensors
        return gradient * factors, None


def use_packed_attention(encoder: Any) -> bool:
    """Give the encoder the packed attention, in place; return whether its architecture takes it."""
    if encoder.config.model_type not in FIRST_POSITION:
        return False
    transformers.AttentionInterface.register(PACKED_ATTENTION, packed_attention)
    encoder.set_attn_implementation(PACKED_ATTENTION)
    return True


def encode_packed(encoder: Any, batch: Batch, layer: int = LAST_LAYER) -> torch.Tensor:
    """Return a layer's hidden states [N, H] of a batch, from an encoder with packed attention."""
    return _hidden_of(_run_packed(encoder, batch, all_layers=layer != LAST_LAYER), layer)[0]


def _position_ids(encoder: Any, batch: Batch) -> torch.Tensor:
    """Return the positions as the architecture counts them: XLM-R gives padding that is attended its padding id."""
    first, padding = FIRST_POSITION[encoder.config.model_type], encoder.config.pad_token_id
    if not first:
        return batch.positions
    counted: torch.Tensor = batch.positions + first + padding
    return counted.masked_fill(batch.input_ids == padding, padding)


def encode_padded(encoder: Any, batch: Batch, layer: int = LAST_LAYER) -> torch.Tensor:
    """Return a layer's hidden states [N, H] of a batch, from any encoder."""
    output, places = _run_padded(encoder, batch, all_layers=layer != LAST_LAYER)
    return _hidden_of(output, layer).flatten(0, 1).index_select(0, places)


def encode_all_layers(encoder: Any, batch: Batch) -> list[torch.Tensor]:
    """Return the hidden states [N, H] of a batch after each layer, from any encoder; the last are what heads read."""
    if use_packed_attention(encoder):
        return [hidden[0] for hidden in _hidden_of_all(_run_packed(encoder, batch, all_layers=True))]
    output, places = _run_padded(encoder, batch, all_layers=True)
    return [hidden.flatten(0, 1).index_select(0, places) for hidden in _hidden_of_all(output)]


def _run_packed(encoder: Any, batch: Batch, *, all_layers: bool) -> Any:
    return encoder(
        input_ids=batch.input_ids[None],
        position_ids=_position_ids(encoder, batch)[None],
        blocks=batch.blocks,
        padded=[PaddedBlock(block) for block in batch.blocks],
        output_hidden_states=all_layers,
    )


def _run_padded(encoder: Any, batch: Batch, *, all_layers: bool) -> tuple[Any, torch.Tensor]:
    """Return the encoder's output [B, longest, ...], and where the tokens stand in it."""
    rows, longest = len(batch.lengths), max(block.longest for block in batch.blocks)
    row_of_token = torch.arange(rows, device=batch.lengths.device).repeat_interleave(
        batch.lengths, output_size=len(batch.input_ids)
    )
    places = row_of_token * longest + batch.positions
    input_ids = batch.input_ids.new_full((rows * longest,), encoder.config.pad_token_id or 0)
    mask = torch.zeros_like(input_ids)
    input_ids.index_copy_(0, places, batch.input_ids)
    mask.index_fill_(0, places, 1)
    output = encoder(
        input_ids=input_ids.view(rows, longest),
        attention_mask=mask.view(rows, longest),
        output_hidden_states=all_layers,
    )
    return output, places


def _hidden_of(output: Any, layer: int) -> torch.Tensor:
    """Return the hidden states after a layer, counted from 1; those after the last one may be normalised once more."""
    hidden: torch.Tensor = output.last_hidden_state if layer == LAST_LAYER else output.hidden_states[layer]
    return hidden


def _hidden_of_all(output: Any) -> list[torch.Tensor]:
    """Return the hidden states after each layer; the first that transformers gives are the token embeddings."""
    return [*output.hidden_states[1:-1], output.last_hidden_state]


def packed_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    blocks: Sequence[Block],
    padded: Sequence["PaddedBlock"],
    dropout: float = 0.0,
    scaling: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attend within each utterance; query, key and value are [1, heads, N, size], the result is [1, N, heads, size].

    `padded` says where the padding of each block is. The signature is that of transformers' attention functions.
    """
    heads = [tensor[0].transpose(0, 1) for tensor in (query, key, value)]
    if query.device.type != "cpu" and len(padded) == 1:
        return attend_in_few_kernels(heads, padded[0], dropout, scaling)[None], None
    attended, start = [], 0
    for block, one in zip(blocks, padded, strict=True):
        q, k, v = (_pad(tensor[start : start + block.tokens], block) for tensor in heads)
        attended.append(_unpad(_attend(q, k, v, one.real, dropout, scaling), block))
        start += block.tokens
    return torch.cat(attended)[None], None


def attend_in_few_kernels(
    heads: Sequence[torch.Tensor], padded: "PaddedBlock", dropout: float, scaling: float | None
) -> torch.Tensor:
    """Attend as a GPU does it best: a batch is one block, query, key and value are padded in one go, [N, heads, size].

    In the place of padding stands a token, which saves filling: no query sees it, and what it sees is dropped.
    """
    block = padded.block
    together = torch.cat(list(heads), dim=1).index_select(0, padded.tokens)
    q, k, v = together.view(block.rows, block.longest, -1, heads[0].shape[2]).transpose(1, 2).chunk(3, dim=1)
    bias = padded.bias(q.dtype)
    attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=dropout, scale=scaling)
    return _unpad(attended, block)


class PaddedBlock:
    """Where the padding of a block is, in the forms that attention asks for; each is made once for all layers."""

    def __init__(self, block: Block) -> None:
        self.block = block
        self._bias: torch.Tensor | None = None

    @cached_property
    def real(self) -> torch.Tensor:
        """Which places are no padding, bool [rows, 1, 1, longest]."""
        mask = torch.zeros(self.block.rows * self.block.longest, dtype=torch.bool, device=self.block.places.device)
        mask.index_fill_(0, self.block.places, True)
        return mask.view(self.block.rows, 1, 1, self.block.longest)

    @cached_property
    def tokens(self) -> torch.Tensor:
        """Which token stands at each place, int64 [rows x longest]; the first of all where there is none."""
        places = self.block.places
        return places.new_zeros(self.block.rows * self.block.longest).index_copy_(
            0, places, torch.arange(self.block.tokens, device=places.device)
        )

    def bias(self, dtype: torch.dtype) -> torch.Tensor:
        """Return what is added to the scores, [rows, 1, 1, longest]: -inf for padding.

        Its rows begin at multiples of ALIGNED elements, or torch's kernels would copy it in each layer.
        """
        if self._bias is None or self._bias.dtype != dtype:
            rows, longest = self.block.rows, self.block.longest
            whole = torch.zeros(rows, 1, 1, -(-longest // ALIGNED) * ALIGNED, dtype=dtype, device=self.real.device)
            self._bias = whole[..., :longest].masked_fill_(~self.real, -torch.inf)
        return self._bias


def _pad(tokens: torch.Tensor, block: Block) -> torch.Tensor:
    """[tokens, heads, size] -> [rows, heads, longest, size]; padding is zero."""
    flat = tokens.new_zeros(block.rows * block.longest, tokens.shape[1] * tokens.shape[2])
    flat = flat.index_copy(0, block.places, tokens.flatten(1))
    return flat.view(block.rows, block.longest, *tokens.shape[1:]).transpose(1, 2)


def _unpad(padded: torch.Tensor, block: Block) -> torch.Tensor:
    """[rows, heads, longest, size] -> [tokens, heads, size]."""
    return padded.transpose(1, 2).flatten(0, 1).index_select(0, block.places)


def _attend(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor, dropout: float, scaling: float | None
) -> torch.Tensor:
    """Scaled dot-product attention on a CPU, where torch's own has no fast kernel with dropout, and draws slowly."""
    if dropout == 0:
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout, scale=scaling)
    scores = (q * (q.shape[-1] ** -0.5 if scaling is None else scaling)) @ k.transpose(2, 3)
    weights = (scores + torch.zeros(mask.shape, dtype=scores.dtype).masked_fill_(~mask, -torch.inf)).softmax(-1)
    return drop(weights, dropout) @ v
