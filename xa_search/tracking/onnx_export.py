"""A model as ONNX, for programs without torch. In: a bundle. Out: a folder that answers with onnxruntime.

The graph takes `input_ids` and `attention_mask`, int64 [rows, tokens], both of any size, and gives `intent_logits`
[rows, intents] and `slot_logits` [rows, tokens, tags], all in fp32. Tokenisation, decoding and probabilities are in the
folder's `model_onnx.py`. It needs the extra `onnx`, so that only what is asked for it imports this module.

int8 is onnxruntime's dynamic quantisation: weights are 8-bit integers with a scale for each channel, activations are
quantised as they come; nothing is calibrated. How often such a model answers otherwise: docs/serving.md.
"""

import logging
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.torch import load_file
from torch import nn
from torch.export import Dim
from torch.onnx import OnnxExporterError

from xa_search.errors import ModelError
from xa_search.model.decoding import TRANSITIONS
from xa_search.model.joint import TEMPERATURES
from xa_search.tracking.bundle import CARD, HEADS, Bundle
from xa_search.tracking.export import ONNX_MODULES, labels_of, new_folder, write_labels, write_modules

GRAPH = "model.onnx"
SAMPLE_ROWS, SAMPLE_TOKENS = 2, 9
QUANTISED = ["MatMul", "Gemm", "Gather"]
"""Products, and the table of token embeddings, which is most of a multilingual encoder's weights."""


class PaddedModel(nn.Module):
    """Encoder and heads as a graph sees them: padded rows in, logits of every token out."""

    def __init__(self, encoder: Any, embedding: str, intent_head: nn.Linear, slot_head: nn.Linear) -> None:
        super().__init__()
        self.encoder = encoder
        self.embedding = embedding
        self.intent_head = intent_head
        self.slot_head = slot_head

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the intent logits [R, intents] and the slot logits [R, T, tags] of rows [R, T]."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return self.intent_head(self._sentence(hidden, attention_mask)), self.slot_head(hidden)

    def _sentence(self, hidden: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        if self.embedding == "mean":
            weights = attention_mask[:, :, None].to(hidden.dtype)
            return (hidden * weights).sum(1) / weights.sum(1)
        sentence: torch.Tensor = self.encoder.pooler(hidden) if self.embedding == "pooler" else hidden[:, 0]
        return sentence


def export_onnx(loaded: Bundle, bundle: Path, directory: Path, *, int8: bool) -> tuple[Path, ...]:
    """Write a bundle's model, which is `loaded`, as ONNX to `directory`, whole or not at all; return its files.

    Raises UsageError where something lies there already, ModelError for an encoder that cannot be exported.
    """
    with new_folder(directory) as part:
        for path in sorted(bundle.iterdir()):
            if path.is_file() and path.name not in (CARD, "config.json") and path.suffix != ".safetensors":
                shutil.copyfile(path, part / path.name)
        write_labels(part, labels_of(bundle) | _reading(bundle) | {"weights": "int8" if int8 else "fp32"})
        write_modules(part, ONNX_MODULES)
        if int8:
            exact = part / "fp32"
            exact.mkdir()
            write_graph(loaded, exact / GRAPH)
            quantise(exact / GRAPH, part / GRAPH)
            shutil.rmtree(exact)
        else:
            write_graph(loaded, part / GRAPH)
    return tuple(sorted(directory.iterdir()))


def write_graph(loaded: Bundle, path: Path) -> None:
    """Write the graph in fp32; its weights lie beside it. Raises ModelError."""
    model = loaded.predictor.model
    model.encoder.set_attn_implementation("sdpa")
    padded = PaddedModel(model.encoder, model.embedding, model.intent_head, model.slot_head).cpu().eval()
    ids = torch.full((SAMPLE_ROWS, SAMPLE_TOKENS), 5)
    mask = torch.ones_like(ids)
    sizes = {0: Dim("rows"), 1: Dim("tokens")}
    try:
        with _quietly():
            program = torch.onnx.export(
                padded,
                (ids, mask),
                dynamo=True,
                verbose=False,
                input_names=["input_ids", "attention_mask"],
                output_names=["intent_logits", "slot_logits"],
                dynamic_shapes=(sizes, sizes),
            )
    except OnnxExporterError as error:
        reason = str(error).partition("\n")[0]
        raise ModelError(
            f"the encoder {model.encoder.config.model_type} cannot be exported as ONNX ({reason}); "
            "export it without --onnx"
        ) from error
    assert program is not None
    program.save(path, external_data=True)


def quantise(exact: Path, path: Path) -> None:
    """Write a graph with 8-bit weights."""
    with _quietly():
        quantize_dynamic(
            exact,
            path,
            op_types_to_quantize=QUANTISED,
            per_channel=True,
            weight_type=QuantType.QInt8,
            use_external_data_format=True,
        )


@contextmanager
def _quietly() -> Iterator[None]:
    """Leave out what the exporter says of itself and of torchvision, and advice about the quantisation of images."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def _reading(bundle: Path) -> dict[str, Any]:
    """Return how logits are read: temperatures, and the scores of transitions; null for those that are not legal."""
    heads = load_file(bundle / HEADS)
    found: dict[str, Any] = {"temperatures": heads[TEMPERATURES].tolist() if TEMPERATURES in heads else [1.0, 1.0]}
    if TRANSITIONS in heads:
        weight = float(heads["decoder.weight"])
        scores = torch.where(heads[TRANSITIONS].isfinite(), weight * heads[TRANSITIONS], torch.nan)
        found["transitions"] = [[None if score != score else score for score in row] for row in scores.tolist()]
    return found
