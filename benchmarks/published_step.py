"""XeroAlign's published training step, written anew from its description. In: a TrialJob. Out: what takes its steps.

Every sentence is padded to one length and no attention mask is passed, so that padding is attended. A step encodes
three batches: labelled source utterances, and the two sides of pairs that are drawn on their own. A sentence's
embedding is its first token's. Adam holds every row of the vocabulary.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.optim.lr_scheduler import LRScheduler

from xa_search.encoding.table import EncodedRow
from xa_search.model.encoder import load_encoder
from xa_search.records import IGNORED, OUTSIDE, EncodedCorpus, TrialJob, TrialSettings
from xa_search.training.data import TrialData, load_trial_data
from xa_search.training.device import trial_device
from xa_search.training.evaluation import Prediction
from xa_search.training.trainer import learning_rate_schedule

PAD_LENGTH = 70
ROWS_A_PREDICTION = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedBatch:
    """One step's input. All token ids are [rows, pad length].

    `intents` [rows] and `slots` [rows, pad length] are the labels of `task`, IGNORED where nothing is scored. Row i of
    `translations` belongs to row i of `sources`, and neither to row i of `task`.
    """

    task: torch.Tensor
    intents: torch.Tensor
    slots: torch.Tensor
    sources: torch.Tensor
    translations: torch.Tensor


class Padder:
    """Pads rows to one length with the label numbers of a corpus; tokens and words beyond that length are cut."""

    def __init__(self, corpus: EncodedCorpus, pad_length: int, pad_id: int) -> None:
        self.pad_length, self._pad_id = pad_length, pad_id
        self._intents = {intent: number for number, intent in enumerate(corpus.intents)}
        self._slot_tags = {tag: number for number, tag in enumerate(corpus.slot_tags)}

    def input_ids(self, rows: Sequence[EncodedRow]) -> torch.Tensor:
        """Return the token ids [rows, pad length]."""
        padded = np.full((len(rows), self.pad_length), self._pad_id, dtype=np.int64)
        for place, row in enumerate(rows):
            kept = row.input_ids[: self.pad_length]
            padded[place, : len(kept)] = kept
        return torch.from_numpy(padded)

    def intents(self, rows: Sequence[EncodedRow]) -> torch.Tensor:
        """Return the intents [rows]."""
        return torch.tensor([self._intents.get(row.intent or "", IGNORED) for row in rows])

    def slots(self, rows: Sequence[EncodedRow]) -> torch.Tensor:
        """Return the slot tags [rows, pad length]: a word's tag at its first sub-word, IGNORED elsewhere."""
        padded = np.full((len(rows), self.pad_length), IGNORED, dtype=np.int64)
        for place, row in enumerate(rows):
            kept = row.positions[row.positions < self.pad_length]
            tags = (row.slots or [])[: len(kept)]
            padded[place, kept[: len(tags)]] = [self._slot_tags.get(tag, IGNORED) for tag in tags]
        return torch.from_numpy(padded)


class PublishedModel(nn.Module):
    """An encoder with an intent head on the first token and a slot head on all tokens."""

    def __init__(self, encoder: Any, intents: int, slot_tags: int, dropout: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.intent_head = nn.Linear(encoder.config.hidden_size, intents)
        self.slot_head = nn.Linear(encoder.config.hidden_size, slot_tags)

    def forward(self, input_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the intent logits [rows, intents] and the slot logits [rows, pad length, tags]."""
        hidden = self.encoder(input_ids=input_ids).last_hidden_state
        return self.intent_head(self.dropout(hidden[:, 0])), self.slot_head(self.dropout(hidden))

    def embed(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Return the sentence embeddings [rows, hidden]."""
        embeddings: torch.Tensor = self.encoder(input_ids=input_ids).last_hidden_state[:, 0]
        return embeddings


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedLearner:
    """The live parts of a run of the published recipe."""

    job: TrialJob
    data: TrialData
    model: PublishedModel
    padder: Padder
    optimizer: torch.optim.Optimizer
    schedule: LRScheduler
    device: torch.device

    def take_step(self, batch: PublishedBatch) -> torch.Tensor:
        """Learn from one step's input. Return the total loss."""
        settings = self.job.settings
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=settings.precision == "bf16"):
            loss = self._loss(batch)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip_norm)
        self.optimizer.step()
        self.schedule.step()
        return loss.detach()

    def _loss(self, batch: PublishedBatch) -> torch.Tensor:
        """Task loss of the labelled batch, and the distance of the pairs with a gradient into both sides."""
        intent_logits, slot_logits = self.model(batch.task.to(self.device))
        task = functional.cross_entropy(intent_logits.float(), batch.intents.to(self.device), ignore_index=IGNORED)
        slots = batch.slots.flatten().to(self.device)
        task = task + functional.cross_entropy(slot_logits.flatten(0, 1).float(), slots, ignore_index=IGNORED)
        sources = self.model.embed(batch.sources.to(self.device))
        translations = self.model.embed(batch.translations.to(self.device))
        align = functional.mse_loss(sources.float(), translations.float())
        return task + self.job.settings.align_weight * align


def build_published(job: TrialJob, pad_length: int = PAD_LENGTH) -> PublishedLearner:
    """Load a run's data and model. Sets the thread count and the random state of this process.

    Of the job's settings it follows rates, weights, batch size, precision (fp32 or bf16) and seed.
    """
    settings, device = job.settings, trial_device()
    torch.set_num_threads(job.threads)
    torch.manual_seed(settings.seed)
    data = load_trial_data(job.corpus, settings)
    encoder = load_encoder(job.encoder)
    model = PublishedModel(encoder, len(job.corpus.intents), len(job.corpus.slot_tags), settings.dropout).to(device)
    rate, heads = settings.learning_rate, [*model.intent_head.parameters(), *model.slot_head.parameters()]
    head_group = {"params": heads, "lr": rate * settings.head_learning_rate_factor}
    optimizer = torch.optim.Adam([{"params": model.encoder.parameters()}, head_group], lr=rate)
    steps = settings.epochs * -(-len(data.train) // settings.batch_size)
    return PublishedLearner(
        job=job,
        data=data,
        model=model,
        padder=Padder(job.corpus, pad_length, encoder.config.pad_token_id or 0),
        optimizer=optimizer,
        schedule=learning_rate_schedule(optimizer, "one_cycle", settings.warmup, steps),
        device=device,
    )


def published_batches(data: TrialData, padder: Padder, settings: TrialSettings, epoch: int) -> Iterator[PublishedBatch]:
    """Yield the batches of an epoch: labelled rows in one random order, pairs in another."""
    task_order, pair_order = (
        np.random.default_rng([settings.seed, epoch, stream]).permutation(len(data.train)) for stream in (0, 1)
    )
    for start in range(0, len(data.train), settings.batch_size):
        chosen, paired = (order[start : start + settings.batch_size] for order in (task_order, pair_order))
        task = data.source.rows(data.train[chosen])
        sources = data.source.rows(data.train[paired])
        translations = data.paired_translations(paired, epoch)
        found = [(source, other) for source, other in zip(sources, translations, strict=True) if other is not None]
        yield PublishedBatch(
            task=padder.input_ids(task),
            intents=padder.intents(task),
            slots=padder.slots(task),
            sources=padder.input_ids([source for source, _ in found]),
            translations=padder.input_ids([other for _, other in found]),
        )


@torch.inference_mode()
def predict_padded(trainer: PublishedLearner, rows: Sequence[EncodedRow]) -> list[Prediction]:
    """Predict as the model was trained, with the padding attended; a word that was cut off is outside."""
    trainer.model.eval()
    corpus = trainer.job.corpus
    predictions = []
    for start in range(0, len(rows), ROWS_A_PREDICTION):
        chosen = rows[start : start + ROWS_A_PREDICTION]
        intent_logits, slot_logits = trainer.model(trainer.padder.input_ids(chosen).to(trainer.device))
        best = intent_logits.softmax(-1).max(-1)
        shares, tags = (found.cpu().numpy() for found in slot_logits.softmax(-1).max(-1))
        for place, row in enumerate(chosen):
            kept = row.positions[row.positions < trainer.padder.pad_length]
            known = [corpus.slot_tags[tag] for tag in tags[place, kept]]
            cut_off = len(row.words) - len(known)
            predictions.append(
                Prediction(
                    intent=corpus.intents[int(best.indices[place])],
                    intent_probability=float(best.values[place]),
                    slots=(*known, *[OUTSIDE] * cut_off),
                    slot_probabilities=(*shares[place, kept].tolist(), *[0.0] * cut_off),
                )
            )
    return predictions
