"""Frozen layers. In: an encoder. Out: the same; its token embeddings and lowest layers learn nothing and drop nothing.

No gradient is computed below the lowest layer that learns: of twelve layers, six frozen ones take a third of a step's
time away. The lowest layers of a multilingual encoder hold what its languages share least, and transfer gets no worse,
often better, where a few of them stay as they were pretrained (arXiv 1904.09077, section 5.2).
"""

from typing import Any

from torch import nn

from xa_search.errors import ModelError
from xa_search.model.packed import replace_dropout


def freeze_layers(encoder: Any, share: float, name: str) -> None:
    """Let the token embeddings and this share of the layers, rounded down, stay as they are; 0 freezes nothing.

    To be called before `replace_dropout`: a frozen layer drops nothing, so that it says the same of a text in training
    as in evaluation. Raises ModelError where the encoder called `name` keeps its layers elsewhere than BERT does.
    """
    if not share:
        return
    layers = getattr(getattr(encoder, "encoder", None), "layer", None)
    if not isinstance(layers, nn.ModuleList):
        raise ModelError(f"the encoder {name!r} has no list of layers to freeze; --set fixed.frozen_share=0")
    for module in (encoder.embeddings, *layers[: frozen_layers(share, len(layers))]):
        module.requires_grad_(False)
        replace_dropout(module, 0.0)


def frozen_layers(share: float, layers: int) -> int:
    """Return how many of so many layers stay as they are."""
    return int(share * layers)
