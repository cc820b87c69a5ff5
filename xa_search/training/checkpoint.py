"""A trial's weights on disk. In: a joint model. Out: one safetensors file, and the model rebuilt from it.

A checkpoint holds the trained embedding rows only; `restore_model` puts the full vocabulary back.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from xa_search.encoding.store import slot_types_of
from xa_search.errors import ModelError
from xa_search.model.decoding import decoder_among
from xa_search.model.encoder import load_encoder
from xa_search.model.frozen import freeze_layers
from xa_search.model.joint import TEMPERATURES, JointModel, SlotPresence
from xa_search.model.linear_heads import draw_head
from xa_search.model.packed import replace_dropout
from xa_search.model.registry import PAIR_LOSSES
from xa_search.model.trimming import load_trimmed_encoder, restore_vocabulary, trim_vocabulary
from xa_search.records import EncodedCorpus, EncoderFiles, TrialSettings
from xa_search.records.whole_files import put_in_place
from xa_search.training.registry import pair_losses

KEPT_IDS = "kept_token_ids"
PRESENCE_HEAD = "presence_head."


def build_model(
    encoder_files: EncoderFiles, corpus: EncodedCorpus, settings: TrialSettings, token_ids: torch.Tensor
) -> tuple[JointModel, torch.Tensor]:
    """Return a joint model whose vocabulary is trimmed to `token_ids`, and the ids that were kept."""
    files = replace(encoder_files, embedding=settings.embedding or encoder_files.embedding)
    encoder, kept_ids = load_trimmed_encoder(files, token_ids, corpus.directory)
    model = _joint_model(encoder, files.embedding, corpus, settings)
    generator = torch.Generator().manual_seed(settings.seed if settings.head_seed is None else settings.head_seed)
    for head in (model.intent_head, model.slot_head):
        draw_head(head, generator)
    _add_presence_head(model, corpus, settings)
    return model, kept_ids


def continue_model(
    encoder_files: EncoderFiles, corpus: EncodedCorpus, settings: TrialSettings, token_ids: torch.Tensor, weights: Path
) -> tuple[JointModel, torch.Tensor]:
    """Return a finished trial's model, to learn on, with the embedding rows of `token_ids`; and the ids that were kept.

    Rows that the trial did not have are those of the pretrained encoder.
    """
    model = restore_model(encoder_files, corpus, settings, weights)
    kept_ids = trim_vocabulary(model.encoder, token_ids, [model.encoder.config.pad_token_id or 0])
    _add_presence_head(model, corpus, settings)
    return model, kept_ids


def _add_presence_head(model: JointModel, corpus: EncodedCorpus, settings: TrialSettings) -> None:
    """Give the model the head that a loss between pairs reads, if one does; only training needs it."""
    if any(PAIR_LOSSES[name].reads_slot_presence for name in pair_losses(settings)):
        types = len(slot_types_of(corpus.slot_tags))
        model.presence_head = SlotPresence(settings.max_tokens, len(corpus.slot_tags), types)


def save_checkpoint(model: JointModel, kept_ids: torch.Tensor, path: Path) -> None:
    """Write the weights beside their place, then move them there: the file appears whole or not at all.

    What only training needs is left out.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in model.state_dict().items()
        if not name.startswith(PRESENCE_HEAD)
    }
    temporary = path.with_suffix(".partial")
    save_file({**tensors, KEPT_IDS: kept_ids}, temporary)
    put_in_place(temporary, path)


def restore_model(
    encoder_files: EncoderFiles, corpus: EncodedCorpus, settings: TrialSettings, path: Path
) -> JointModel:
    """Rebuild a trial's model from its checkpoint, with the encoder's full vocabulary.

    Raises ModelError where the file is missing or torn.
    """
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: no whole weights ({error}); train the trial again: xa-search replay") from error
    files = replace(encoder_files, embedding=settings.embedding or encoder_files.embedding)
    encoder: Any = load_encoder(files)
    pretrained = encoder.get_input_embeddings().weight.detach()
    trim_vocabulary(encoder, tensors.pop(KEPT_IDS), [])
    model = _joint_model(encoder, files.embedding, corpus, settings)
    model.decoder = decoder_among(tensors)
    model.load_state_dict({TEMPERATURES: model.temperatures, **tensors})  # earlier trials have none
    restore_vocabulary(encoder, pretrained)
    return model


def _joint_model(encoder: Any, embedding: str, corpus: EncodedCorpus, settings: TrialSettings) -> JointModel:
    freeze_layers(encoder, settings.frozen_share, settings.model_size)
    replace_dropout(encoder, settings.dropout)
    before_heads = settings.dropout if settings.head_dropout is None else settings.head_dropout
    return JointModel(encoder, embedding, len(corpus.intents), len(corpus.slot_tags), before_heads)
