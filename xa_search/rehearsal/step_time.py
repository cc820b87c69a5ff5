"""How long a step of the real search takes. In: a model's dimensions and texts of the corpus. Out: measured seconds.

The weights are random: they change the result of a step, not its time. A GPU takes the whole model; on processor cores
two shallow models are timed and the line through both is followed, as all layers of an encoder are alike; so are those
that are frozen.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
import transformers

from xa_search.corpora import Corpus
from xa_search.corpora.corpus import find_translations
from xa_search.encoding.store import collect_labels
from xa_search.encoding.table import EncodedRow
from xa_search.model.encoder import encoder_directory
from xa_search.model.frozen import freeze_layers, frozen_layers
from xa_search.model.joint import JointModel
from xa_search.model.losses import LossWeights
from xa_search.model.packed import replace_dropout
from xa_search.model.sizes import resolve_size
from xa_search.records import EncodedCorpus, TrialSettings
from xa_search.rehearsal.forecast import StepTime
from xa_search.training.data import attended_padding, training_collator
from xa_search.training.device import PRECISION, resolve_precision, trial_device
from xa_search.training.evaluation import Predictor
from xa_search.training.micro_batches import MicroBatches
from xa_search.training.registry import pair_losses
from xa_search.training.steps import StepRows

LETTERS_A_TOKEN = 3.2
"""As XLM-R's tokenizer splits MTOD and the bundled corpus: from 2.4 (Thai) to 3.6 (German), measured."""
VOCABULARY = 20_000
"""The rows of the embedding table that a corpus leaves, as the disk forecast has it."""
FIRST_WORD_ID = 5
SHALLOW = (2, 4)
WARM_UP_STEPS = 1
TIMED_STEPS = 3
SAMPLE = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimensions:
    """What decides how long an encoder takes; its other traits are taken to be XLM-R's."""

    hidden: int
    layers: int
    heads: int
    inner: int

    def operations(self, tokens: float) -> float:
        """Return a training step's operations: two a multiplication, and a backward pass of twice the forward one."""
        return 6 * tokens * self.layers * (4 * self.hidden**2 + 2 * self.hidden * self.inner)


KNOWN = {
    "tiny": Dimensions(hidden=32, layers=2, heads=2, inner=64),
    "small": Dimensions(hidden=384, layers=12, heads=12, inner=1536),
    "base": Dimensions(hidden=768, layers=12, heads=12, inner=3072),
    "large": Dimensions(hidden=1024, layers=24, heads=16, inner=4096),
}


def dimensions_of(size: str, home: Path) -> Dimensions | None:
    """Return a model's dimensions; none where it has not been downloaded and nobody knows them."""
    if size in KNOWN:
        return KNOWN[size]
    directory = resolve_size(size).directory or encoder_directory(size, home)
    try:
        config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
        return Dimensions(
            hidden=config["hidden_size"],
            layers=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            inner=config["intermediate_size"],
        )
    except (OSError, ValueError, KeyError):
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """Texts of a corpus as a model would see them; their tokens are random, but as many as their letters make."""

    labels: EncodedCorpus
    sources: Sequence[EncodedRow]
    translations: Sequence[EncodedRow]

    @property
    def mean_tokens(self) -> float:
        """The mean number of tokens of a text."""
        return fmean(len(row.input_ids) for row in (*self.sources, *self.translations))


def sample_texts(corpus: Corpus, max_tokens: int, home: Path) -> Texts:
    """Return some source utterances and some translations of each target."""
    random = np.random.default_rng(0)
    intents, slot_tags = collect_labels(corpus.utterances(corpus.source, "train"))
    labels = EncodedCorpus(
        directory=home,
        source=corpus.source,
        targets=corpus.targets,
        intents=tuple(intents),
        slot_tags=tuple(slot_tags),
    )
    utterances = [row.words for row in islice(corpus.utterances(corpus.source, "train"), SAMPLE)]
    paired = [lang for lang in corpus.targets if find_translations(corpus, lang) is not None]
    each = max(1, SAMPLE // max(1, len(paired)))
    translated = [row.words for lang in paired for row in islice(corpus.translations(lang), each)]
    return Texts(
        labels=labels,
        sources=[_row(words, labels, max_tokens, random) for words in utterances],
        translations=[_row(words, labels, max_tokens, random) for words in translated],
    )


def _row(words: tuple[str, ...], labels: EncodedCorpus, max_tokens: int, random: np.random.Generator) -> EncodedRow:
    tokens = min(max_tokens, 2 + max(len(words), round(sum(map(len, words)) / LETTERS_A_TOKEN)))
    return EncodedRow(
        id="",
        words=list(words),
        input_ids=random.integers(FIRST_WORD_ID, VOCABULARY, tokens),
        positions=np.arange(1, 1 + min(len(words), tokens - 2)),
        intent=labels.intents[0],
        slots=[labels.slot_tags[0]] * len(words),
    )


def measure_step(settings: TrialSettings, dimensions: Dimensions, texts: Texts, threads: int, home: Path) -> StepTime:
    """Time steps of alignment, with a translation for each utterance, on this machine's GPU, else on its cores."""
    settings = settings.model_copy(update={"method": "xeroalign", "pairing": "shared", "align_weight": 1.0})
    before, on_gpu = torch.get_num_threads(), trial_device().type == "cuda"
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng():
            seconds, how = _measured(settings, dimensions, texts, threads, home)
    finally:
        torch.set_num_threads(before)
    where = torch.cuda.get_device_name() if on_gpu else f"{threads} of this machine's processor cores"
    return StepTime(
        utterances=2 * settings.batch_size,
        seconds=seconds,
        on_gpu=on_gpu,
        source=f"measured on {where}, {how}",
    )


def _measured(
    settings: TrialSettings, dimensions: Dimensions, texts: Texts, threads: int, home: Path
) -> tuple[float, str]:
    if trial_device().type == "cuda" or dimensions.layers <= max(SHALLOW):
        return _mean_seconds(settings, dimensions, texts, threads, home), "random weights"
    first, second = SHALLOW
    learning = settings.model_copy(update={"frozen_share": 0.0})
    few, more = (
        _mean_seconds(learning, replace(dimensions, layers=layers), texts, threads, home) for layers in SHALLOW
    )
    frozen, below = frozen_layers(settings.frozen_share, dimensions.layers), 0.0
    how = f"random weights, {first} and {second} of {dimensions.layers} layers"
    if frozen:  # as many layers that learn as the first has, above frozen ones
        half = settings.model_copy(update={"frozen_share": 1 - first / second})
        beside = _mean_seconds(half, replace(dimensions, layers=second), texts, threads, home)
        below, how = max(0.0, beside - few) / (second - first), f"{how}, {frozen} of them frozen"
    a_layer = max(0.0, more - few) / (second - first)
    return few + a_layer * (dimensions.layers - frozen - first) + below * frozen, how


def _mean_seconds(settings: TrialSettings, dimensions: Dimensions, texts: Texts, threads: int, home: Path) -> float:
    """Take steps as a trial takes them; return the mean seconds of the timed ones."""
    device = trial_device()
    encoder = _random_encoder(dimensions, settings)
    padding = attended_padding(settings, encoder)
    collator = training_collator(texts.labels, device, padding)
    model = JointModel(encoder, "mean", len(texts.labels.intents), len(texts.labels.slot_tags), settings.dropout)
    predictor = Predictor(
        model=model.to(device).train(),
        collator=collator,
        corpus=texts.labels,
        device=device,
        precision=resolve_precision(settings.precision, device, threads, home / PRECISION, encoder.config),
    )
    weights = LossWeights(pair_losses(settings), by_variation=False).to(device)
    micro_batches = MicroBatches(predictor=predictor, collator=collator, settings=settings, weights=weights)
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate, fused=True)
    seconds = []
    for rows in _steps(texts, settings.batch_size):
        begin = time.perf_counter()
        micro_batches.accumulate_gradients(rows.collate(collator, pair_losses(settings)))
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - begin)
    return fmean(seconds[WARM_UP_STEPS:])


def _random_encoder(dimensions: Dimensions, settings: TrialSettings) -> torch.nn.Module:
    config = transformers.XLMRobertaConfig(
        vocab_size=VOCABULARY,
        hidden_size=dimensions.hidden,
        num_hidden_layers=dimensions.layers,
        num_attention_heads=dimensions.heads,
        intermediate_size=dimensions.inner,
        max_position_embeddings=settings.max_tokens + 2,
        type_vocab_size=1,
        pad_token_id=1,
    )
    encoder: torch.nn.Module = transformers.XLMRobertaModel(config, add_pooling_layer=False)
    freeze_layers(encoder, settings.frozen_share, settings.model_size)
    replace_dropout(encoder, settings.dropout)
    return encoder


def _steps(texts: Texts, batch_size: int) -> Iterator[StepRows]:
    """Yield the rows of steps that are drawn from the texts; short rows come first, as in a trial."""
    random = np.random.default_rng(0)
    for _ in range(WARM_UP_STEPS + TIMED_STEPS):
        task = [texts.sources[i] for i in random.integers(0, len(texts.sources), batch_size)]
        partners = [texts.translations[i] for i in random.integers(0, len(texts.translations), batch_size)]
        task.sort(key=lambda row: len(row.input_ids))
        yield StepRows(task=task, places=list(range(batch_size)), sources=[], partners=partners)
