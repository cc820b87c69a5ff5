"""Collapse. In: a trainer between two steps. Out: a CollapsedError once its model no longer tells utterances apart.

A slow trainer, too, says one intent and no slot for a long time, and no better than chance; but its embeddings stay
apart. Measured on 187 MTOD utterances with the small encoder, as the share of the spread before the first step:
collapsed (learning rate 1e-3 to 1e-2, weight 1) below 0.0001 within at most two epochs of the fall; slow (5e-6 to 3e-5,
weight 0.1 to 60) never below 0.56; pressed together by a heavy weight (5e-4 with 50 and 91) down to 0.02 before and
after the warm-up, and apart again later. So 0.005 divides them.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from xa_search.encoding.table import EncodedRow
from xa_search.errors import CollapsedError
from xa_search.model.losses import intent_loss, slot_loss
from xa_search.records import IGNORED
from xa_search.training.evaluation import Predictor
from xa_search.training.trainer import Trainer

PROBE_ROWS = 32
BUDGET_SHARE = 0.15
"""The share of its steps after which a trial is looked at first, if it has warmed up by then."""
ONE_INTENT = 0.95
SPREAD_LEFT = 0.005
LEAST_NORM = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a model makes of held-out source utterances, beside what their labels say.

    `top_intent` is the share of the utterances with the intent that is most frequent, `slot_tags` the number of
    different tags of all their words. `loss` is the mean cross entropy of the intents and of the slot tags; `chance`
    the least that a model can reach which says the same of every utterance and word. `spread` is how far the sentence
    embeddings lie from their mean, measured by their length: 0 when all are the same.
    """

    top_intent: float
    gold_top_intent: float
    slot_tags: int
    loss: float
    chance: float
    spread: float


class CollapseWatch:
    """Looks at a trainer's model now and then. Made before the first step, as the spread it then has is the measure."""

    def __init__(self, trainer: Trainer) -> None:
        held_out = trainer.data.selecting
        count = len(held_out.rows)
        places = np.linspace(0, count, min(PROBE_ROWS, count), endpoint=False).astype(np.int64)
        self._learner = trainer
        self._rows = held_out.source.rows(held_out.rows[places])
        self._first = probe_model(trainer.predictor, self._rows)
        warmed_up = math.floor(trainer.job.settings.warmup * trainer.steps) + 1
        self._first_look = max(math.ceil(BUDGET_SHARE * trainer.steps), warmed_up)

    def look(self, *, epoch_ends: bool) -> None:
        """Probe the model if it is time to. Raises CollapsedError with what was seen."""
        taken = self._learner.schedule.last_epoch
        if taken != self._first_look and not (epoch_ends and taken > self._first_look):
            return
        probe = probe_model(self._learner.predictor, self._rows)
        if has_collapsed(self._first, probe):
            raise CollapsedError(
                f"collapsed by step {taken} of {self._learner.steps}: one intent for {probe.top_intent:.0%} of "
                f"{len(self._rows)} held-out utterances and one slot tag for all words, a loss of {probe.loss:.2f} "
                f"(chance: {probe.chance:.2f}), and {probe.spread / self._first.spread:.2%} of the spread that their "
                "embeddings had at first; lower learning_rate or align_weight"
            )


def has_collapsed(first: Probe, now: Probe) -> bool:
    """Whether a model that began at `first` says the same of everything because everything looks the same to it."""
    one_intent = now.top_intent >= max(ONE_INTENT, now.gold_top_intent)
    spread_gone = now.spread < SPREAD_LEFT * first.spread
    return one_intent and now.slot_tags <= 1 and now.loss >= now.chance and spread_gone


@torch.inference_mode()
def probe_model(predictor: Predictor, rows: list[EncodedRow]) -> Probe:
    """Run the model over the rows in evaluation mode and in full precision, as rounding would look like spread."""
    batch = predictor.collator(rows).to(predictor.device)
    predictor.model.eval()
    output = predictor.model(batch)
    predictor.model.train()
    return Probe(
        top_intent=_top_share(output.intent_logits.argmax(-1)),
        gold_top_intent=_top_share(batch.intents),
        slot_tags=len(torch.unique(output.slot_logits.argmax(-1))),
        loss=float(intent_loss(output, batch) + slot_loss(output, batch)),
        chance=_entropy(batch.intents) + _entropy(batch.slots),
        spread=float((output.sentence - output.sentence.mean(0)).norm() / output.sentence.norm().clamp(min=LEAST_NORM)),
    )


def _top_share(labels: torch.Tensor) -> float:
    return float((labels == labels.mode().values).float().mean())


def _entropy(labels: torch.Tensor) -> float:
    counts = torch.bincount(labels[labels != IGNORED])
    return float(-torch.xlogy(counts / counts.sum(), counts / counts.sum()).sum())
