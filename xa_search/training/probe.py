"""Heads that begin with what a frozen encoder knows. In: a model before its first step. Out: its heads, fitted.

One pass of the encoder over labelled utterances gives the features of both heads. The heads that are fitted to them lie
beside the encoded corpus, by encoder and rows: all trials of a search begin with the same ones, fitted once.
"""

import hashlib
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from xa_search.encoding.batches import sorted_batches
from xa_search.encoding.files import write_whole
from xa_search.encoding.table import EncodedRow
from xa_search.model.linear_heads import FittedHead, Labelled, fit_head
from xa_search.model.trimming import content_key
from xa_search.records import EncoderFiles
from xa_search.records.torn_files import tell_torn
from xa_search.training.data import TaskRows
from xa_search.training.evaluation import TOKENS_A_BATCH, Predictor

MOST_ROWS = 10_000
MOST_WORDS = 30_000
"""A linear head of some hundred features needs no more, and fitting takes seconds, not minutes."""
FORMAT = 1
DRAW_SEED = 22021005
Heads = dict[str, FittedHead]
"""A head for `intent`, and one for `slot` where the corpus has slots."""


@torch.inference_mode()
def frozen_features(predictor: Predictor, rows: list[EncodedRow]) -> tuple[Labelled, Labelled]:
    """Return the sentence embeddings of rows with their intents, and the words with their tags, in evaluation mode."""
    model = predictor.model
    model.eval()
    sentences, words = [], []
    for places in sorted_batches(predictor.collator.lengths(rows), TOKENS_A_BATCH):
        batch = predictor.collator([rows[place] for place in places]).to(predictor.device)
        with torch.autocast(predictor.device.type, dtype=torch.bfloat16, enabled=predictor.precision == "bf16"):
            sentence, of_words = model.embed(batch)
        sentences.append((sentence.float(), batch.intents))
        words.append((of_words.float(), batch.slots))
    intents, slots = (
        Labelled(features=torch.cat([part for part, _ in parts]), labels=torch.cat([part for _, part in parts]))
        for parts in (sentences, words)
    )
    return intents, slots


def probed_heads(
    predictor: Predictor, files: EncoderFiles, rows: TaskRows, dev: list[EncodedRow], directory: Path
) -> Heads:
    """Return the heads of a frozen encoder, fitted to labelled rows; dev chooses how strongly they are held back.

    The model must be as it was loaded. What is fitted is kept in `directory` and read from there the next time.
    """
    chosen = np.sort(np.random.default_rng(DRAW_SEED).permutation(len(rows))[:MOST_ROWS])
    labelled = rows.read(chosen)
    path = directory / f"heads-{_key(predictor, files, labelled, dev)}.safetensors"
    try:
        return _heads_of(load_file(path, backend="pread"))
    except (OSError, SafetensorError, KeyError) as error:  # not there yet, or damaged
        if path.exists():
            tell_torn(path, error, "the heads are fitted again")
        heads = _fit(predictor, labelled, dev)
        tensors = {
            f"{name}.{part}": tensor.contiguous().cpu()
            for name, head in heads.items()
            for part, tensor in (
                ("weight", head.weight),
                ("bias", head.bias),
                ("strength", torch.tensor(head.strength, dtype=torch.float64)),
            )
        }
        write_whole(path, partial(save_file, tensors))
        return heads


def begin_with(predictor: Predictor, heads: Heads) -> dict[str, float]:
    """Put fitted heads into a model, and return their strengths as metrics."""
    heads["intent"].put_into(predictor.model.intent_head)
    if "slot" in heads:
        heads["slot"].put_into(predictor.model.slot_head)
    return {f"probe_{name}_strength": head.strength for name, head in heads.items()}


def _fit(predictor: Predictor, labelled: list[EncodedRow], dev: list[EncodedRow]) -> Heads:
    corpus = predictor.corpus
    intents, words = frozen_features(predictor, labelled)
    dev_intents, dev_words = frozen_features(predictor, dev)
    heads = {"intent": fit_head(_plain(intents), _plain(dev_intents), len(corpus.intents))}
    if corpus.has_slots:
        heads["slot"] = fit_head(_some(words), _some(dev_words), len(corpus.slot_tags))
    return heads


def _plain(labelled: Labelled) -> Labelled:
    """Return the same outside inference mode, where a gradient can be taken."""
    return Labelled(features=labelled.features.clone(), labels=labelled.labels.clone())


def _some(words: Labelled) -> Labelled:
    chosen = np.sort(np.random.default_rng(DRAW_SEED).permutation(len(words.labels))[:MOST_WORDS])
    places = torch.from_numpy(chosen).to(words.labels.device)
    return _plain(Labelled(features=words.features[places], labels=words.labels[places]))


def _heads_of(tensors: dict[str, torch.Tensor]) -> Heads:
    names = dict.fromkeys(name.partition(".")[0] for name in tensors)
    return {
        name: FittedHead(
            weight=tensors[f"{name}.weight"],
            bias=tensors[f"{name}.bias"],
            strength=float(tensors[f"{name}.strength"]),
        )
        for name in names
    }


def _key(predictor: Predictor, files: EncoderFiles, labelled: list[EncodedRow], dev: list[EncodedRow]) -> str:
    """Name what decides the heads: the encoder and how it is read, the tokens and labels of the rows."""
    digest = hashlib.sha256()
    for part in (labelled, dev):
        for row in part:
            digest.update(row.input_ids.astype(np.int64).tobytes())
            digest.update(repr((row.intent, row.slots)).encode())
        digest.update(predictor.collator.lengths(part).tobytes())
    how = [files.origin, files.revision, predictor.model.embedding, predictor.precision, predictor.corpus.slot_tags]
    return content_key([FORMAT, *how, predictor.corpus.intents, digest.hexdigest()])
