"""Vocabulary trimming. In: an encoder's files and the token ids of a corpus. Out: the encoder with their rows only.

Rows that no batch holds get no gradient, and Adam without weight decay leaves them as they are: training the kept rows
alone gives the same losses as training the full table, at a fraction of the memory. `restore_vocabulary` puts the
full table back, with the trained rows in it.

The first trial counts the tokens and writes the weights beside the tables, whole or not at all; the next ones read
both. A file that is damaged is written anew.
"""

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional
from transformers.initialization import no_init_weights

from xa_search.encoding.files import node_copy
from xa_search.encoding.store import table_path
from xa_search.encoding.table import EncodedTable
from xa_search.errors import ModelError
from xa_search.model.encoder import load_encoder, load_encoder_config
from xa_search.model.hub import quiet_transformers
from xa_search.model.materialise import WITH_POOLER, stamp
from xa_search.records import EncodedCorpus, EncoderFiles
from xa_search.records.torn_files import tell_torn
from xa_search.records.whole_files import put_in_place

TOKEN_IDS = "token_ids"


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


def distinct_token_ids(corpus: EncodedCorpus, tables: Sequence[tuple[str, str]]) -> torch.Tensor:
    """Return the token ids in these tables, each a split (or `translations`) and a language; sorted, int64."""
    paths = [table_path(corpus, split, lang) for split, lang in tables]
    states = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    stored = corpus.directory / f"token-ids-{content_key(states)}.safetensors"
    try:
        return _read(stored)[TOKEN_IDS]
    except (OSError, SafetensorError) as error:  # not there yet, or damaged
        if stored.exists():
            tell_torn(stored, error, "the token ids are read from the tables again")
        token_ids = torch.from_numpy(np.unique(np.concatenate([EncodedTable(path).token_ids() for path in paths])))
        _write({TOKEN_IDS: token_ids}, stored)
        return token_ids


def load_trimmed_encoder(
    files: EncoderFiles, token_ids: torch.Tensor, directory: Path
) -> tuple["transformers.PreTrainedModel", torch.Tensor]:
    """Return the encoder with the rows of `token_ids` and of padding only, and the ids that were kept.

    It equals what `load_encoder` and `trim_vocabulary` make, bit by bit, but reads a file of these rows in `directory`.
    Raises ModelError as they do, and where the file cannot be written.
    """
    encoder = _empty_encoder(files)
    kept_ids = trim_vocabulary(encoder, token_ids, [encoder.config.pad_token_id or 0])
    rows = hashlib.sha256(kept_ids.numpy().tobytes()).hexdigest()
    identity = [files.origin, files.revision, files.embedding == "pooler", stamp(files.directory), rows]
    path = directory / f"encoder-{content_key(identity)}.safetensors"
    try:
        _fill(encoder, path)
    except (OSError, SafetensorError, RuntimeError) as error:  # not there yet, damaged, or with other names
        if path.exists():
            tell_torn(path, error, "the rows are taken from the whole encoder again")
        pretrained = load_encoder(files)
        trim_vocabulary(pretrained, kept_ids, [])
        _write(pretrained.state_dict(), path)
        _fill(encoder, path)
    return encoder, kept_ids


def _empty_encoder(files: EncoderFiles) -> "transformers.PreTrainedModel":
    """Build the encoder without filling its weights. Memory that is never touched is never taken.

    The meta device would leave the buffers empty that no file holds, such as the position ids.
    """
    config = load_encoder_config(files)
    options = {"add_pooling_layer": files.embedding == "pooler"} if config.model_type in WITH_POOLER else {}
    with quiet_transformers(), no_init_weights():
        encoder: transformers.PreTrainedModel = transformers.AutoModel.from_config(  # type: ignore[no-untyped-call]
            config, dtype=torch.float32, **options
        )
    encoder.train(False)
    return encoder


def _fill(encoder: "transformers.PreTrainedModel", path: Path) -> None:
    encoder.load_state_dict(_read(node_copy(path)), assign=True)


def _read(path: Path) -> dict[str, torch.Tensor]:
    """Read a copy of a file's tensors: a mapped file would die under a trial when another worker replaces it."""
    tensors: dict[str, torch.Tensor] = load_file(path, backend="pread")
    return tensors


def _write(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Write a file beside its place, then move it there: several workers may do so at once."""
    try:
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            part = Path(folder) / path.name
            save_file(dict(tensors), part)
            part.chmod(0o644)
            put_in_place(part, path)
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"cannot write {path} ({error}); free some space there, or choose another place with --home"
        ) from error


def content_key(content: Sequence[Any]) -> str:
    """Return a short name for what a file is made of."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
