"""Evaluation. In: a model and encoded rows. Out: predictions, and metrics with flat names.

Between rows and predictions stand logits: they can be read in several ways without running the model again.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from xa_search.encoding.batches import Batch, Collator, sorted_batches
from xa_search.encoding.table import EncodedRow
from xa_search.model.joint import JointModel
from xa_search.model.posterior import slot_probabilities
from xa_search.records import OUTSIDE, EncodedCorpus
from xa_search.training import metrics

TOKENS_A_BATCH = 4096
CALIBRATION = ("intent_ece", "slot_ece", "raw_intent_ece", "raw_slot_ece")
"""By how much probabilities miss, with and without (raw) the temperatures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a model says of one utterance: an intent and a tag a word, with their probabilities.

    Words of one slot have the same one, that of the whole slot.
    """

    intent: str
    intent_probability: float
    slots: tuple[str, ...]
    slot_probabilities: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Logits:
    """What a model says of R rows before it is read: `intents` [R, intents], `slots` [S, tags] of their scored words.

    `places` [R] are the rows' places among all that were asked for, `batch` has their words and labels.
    """

    places: np.ndarray
    batch: Batch
    intents: torch.Tensor
    slots: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictor:
    """A model with what it needs to read rows and to name its labels."""

    model: JointModel
    collator: Collator
    corpus: EncodedCorpus
    device: torch.device
    precision: str

    def predict(self, rows: Sequence[EncodedRow]) -> list[Prediction]:
        """Predict in large batches of similar length; a word that was cut off is predicted as outside."""
        return self.read(rows, self.logits(rows))

    def logits(self, rows: Sequence[EncodedRow]) -> Iterator[Logits]:
        """Yield what the model says of the rows, batch by batch."""
        self.model.eval()
        for places in sorted_batches(self.collator.lengths(rows), TOKENS_A_BATCH):
            batch = self.collator([rows[place] for place in places]).to(self.device)
            bf16 = torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16")
            with torch.inference_mode(), bf16:
                output = self.model(batch)
            yield Logits(
                places=places, batch=batch, intents=output.intent_logits.float(), slots=output.slot_logits.float()
            )

    def read(self, rows: Sequence[EncodedRow], found: Iterable[Logits], *, calibrated: bool = True) -> list[Prediction]:
        """Make predictions of logits: tags by the model's decoder, and probabilities by its temperatures or without."""
        predictions: dict[int, Prediction] = {}
        intent_temperature, slot_temperature = self.model.temperatures.tolist() if calibrated else (1.0, 1.0)
        scores = self.model.chain_scores() / slot_temperature
        for one in found:
            sure, best = (one.intents / intent_temperature).softmax(-1).max(-1)
            tags, counts = self._tags(one), one.batch.word_counts
            shares = slot_probabilities(one.slots / slot_temperature, counts, scores, tags, self.corpus.slot_tags)
            words = zip(tags.tolist(), shares.tolist(), strict=True)
            for place, intent, probability in zip(one.places, best.tolist(), sure.tolist(), strict=True):
                row = rows[place]
                known = [next(words) for _ in row.positions]
                cut_off = len(row.words) - len(known)
                predictions[int(place)] = Prediction(
                    intent=self.corpus.intents[intent],
                    intent_probability=probability,
                    slots=(*(self.corpus.slot_tags[tag] for tag, _ in known), *[OUTSIDE] * cut_off),
                    slot_probabilities=(*(share for _, share in known), *[0.0] * cut_off),
                )
        return [predictions[place] for place in range(len(rows))]

    def _tags(self, found: Logits) -> torch.Tensor:
        if self.model.decoder is None:
            return found.slots.argmax(-1)
        tags: torch.Tensor = self.model.decoder(found.slots, found.batch.word_counts)
        return tags


def labelled_metrics(
    rows: Sequence[EncodedRow], predictions: Sequence[Prediction], split: str, lang: str, *, has_slots: bool = True
) -> dict[str, float]:
    """Score predictions against the labels of a split; without slots the intent is all there is: `accuracy`."""
    gold_intents, gold_slots = [row.intent or "" for row in rows], [row.slots or [] for row in rows]
    intents, slots = [p.intent for p in predictions], [p.slots for p in predictions]
    if not has_slots:
        return {f"{split}_accuracy_{lang}": metrics.accuracy(gold_intents, intents)}
    return {
        f"{split}_intent_acc_{lang}": metrics.accuracy(gold_intents, intents),
        f"{split}_slot_f1_{lang}": metrics.slot_f1(gold_slots, slots),
        f"{split}_slot_f1_strict_{lang}": metrics.slot_f1_strict(gold_slots, slots),
        f"{split}_slot_f1_merged_{lang}": metrics.slot_f1_merged(gold_slots, slots),
        f"{split}_exact_match_{lang}": metrics.exact_match(gold_intents, gold_slots, intents, slots),
    }


def label_free_metrics(
    source_rows: Sequence[EncodedRow], predictions: Sequence[Prediction], lang: str, *, has_slots: bool
) -> dict[str, float]:
    """Score predictions on the translations of held-out source utterances, against the source labels."""
    accuracy = metrics.accuracy([row.intent or "" for row in source_rows], [p.intent for p in predictions])
    if not has_slots:
        return {f"held_out_accuracy_{lang}": accuracy}
    return {
        f"held_out_intent_acc_{lang}": accuracy,
        f"held_out_slot_type_f1_{lang}": metrics.slot_type_f1(
            [metrics.slot_types(row.slots or []) for row in source_rows],
            [metrics.slot_types(p.slots) for p in predictions],
        ),
    }


def calibration_metrics(
    rows: Sequence[EncodedRow],
    predictions: Sequence[Prediction],
    split: str,
    lang: str,
    prefix: str,
    *,
    has_slots: bool,
) -> dict[str, float]:
    """Return by how much the probabilities of intents and slots miss how often they are right."""
    pairs = list(zip(rows, predictions, strict=True))
    said = [said.intent_probability for _, said in pairs]
    found = {"intent": metrics.expected_calibration_error(said, [row.intent == said.intent for row, said in pairs])}
    if has_slots:
        slots = [
            (
                said.slot_probabilities[first],
                (slot_type, first, last) in metrics.spans_of(row.slots or ()),
            )
            for row, said in pairs
            for slot_type, first, last in metrics.spans_of(said.slots)
        ]
        found["slot"] = metrics.expected_calibration_error([sure for sure, _ in slots], [right for _, right in slots])
    return {f"{split}_{prefix}{kind}_ece_{lang}": value for kind, value in found.items()}


def mean_over_targets(scores: dict[str, float], split: str, targets: Sequence[str]) -> dict[str, float]:
    """Average each labelled metric of a split over the target languages; where there are none, there is no mean."""
    if not targets:
        return {}
    kinds = ("intent_acc", "slot_f1", "slot_f1_strict", "slot_f1_merged", "exact_match", "accuracy", *CALIBRATION)
    measured = [kind for kind in kinds if f"{split}_{kind}_{targets[0]}" in scores]
    return {
        f"{split}_{kind}_mean": float(np.mean([scores[f"{split}_{kind}_{lang}"] for lang in targets]))
        for kind in measured
    }
