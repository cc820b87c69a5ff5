"""Evaluation. In: a model and encoded rows. Out: predictions, metrics with flat names, and the selection score.

`label_free` sees the held-out source utterances and their translations, `source_dev` the source dev split, `target_dev`
the targets' labelled dev splits (not zero-shot). No rule sees a test split.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import torch

from xa_search.encoding.batches import Collator, sorted_batches
from xa_search.encoding.table import EncodedRow
from xa_search.model.joint import JointModel
from xa_search.records import OUTSIDE, EncodedCorpus, Selection
from xa_search.training import metrics

TOKENS_A_BATCH = 4096


def scored_metrics(selection: Selection, corpus: EncodedCorpus) -> list[str]:
    """The names of the metrics whose mean is the selection score."""
    if selection == "label_free":
        split, languages, slots = "held_out", corpus.aligned, "slot_type_f1"
    else:
        split, slots = "dev", "slot_f1"
        languages = (corpus.source,) if selection == "source_dev" else corpus.targets
    kinds = ("intent_acc", slots) if corpus.has_slots else ("accuracy",)
    return [f"{split}_{kind}_{lang}" for lang in languages for kind in kinds]


def selection_score(metrics: dict[str, float], selection: Selection, corpus: EncodedCorpus) -> float:
    """The mean of the metrics that the rule looks at."""
    return fmean(metrics[name] for name in scored_metrics(selection, corpus))


def reads_target_labels(selection: Selection) -> bool:
    """Tell whether the rule looks at labelled target data, so that the search is not zero-shot."""
    return selection == "target_dev"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a model says of one utterance: an intent, its probability, and a tag a word."""

    intent: str
    intent_probability: float
    slots: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictor:
    """A model with what it needs to read rows and to name its labels."""

    model: JointModel
    collator: Collator
    corpus: EncodedCorpus
    device: torch.device
    precision: str

    @torch.inference_mode()
    def predict(self, rows: Sequence[EncodedRow]) -> list[Prediction]:
        """Predict in large batches of similar length; a word that was cut off is predicted as outside."""
        self.model.eval()
        predictions: dict[int, Prediction] = {}
        for indices in sorted_batches(self.collator.lengths(rows), TOKENS_A_BATCH):
            chosen = [rows[i] for i in indices]
            batch = self.collator(chosen).to(self.device)
            with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16"):
                output = self.model(batch)
            probabilities, intents = (best.tolist() for best in output.intent_logits.float().softmax(-1).max(-1))
            tags = iter(output.slot_logits.argmax(-1).tolist())
            for place, row, probability, intent in zip(indices, chosen, probabilities, intents, strict=True):
                known = [self.corpus.slot_tags[next(tags)] for _ in row.positions]
                cut_off = [OUTSIDE] * (len(row.words) - len(known))
                predictions[int(place)] = Prediction(
                    intent=self.corpus.intents[intent], intent_probability=probability, slots=(*known, *cut_off)
                )
        return [predictions[place] for place in range(len(rows))]


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


def mean_over_targets(scores: dict[str, float], split: str, targets: Sequence[str]) -> dict[str, float]:
    """Average each labelled metric of a split over the target languages."""
    kinds = ("intent_acc", "slot_f1", "slot_f1_strict", "slot_f1_merged", "exact_match", "accuracy")
    measured = [kind for kind in kinds if f"{split}_{kind}_{targets[0]}" in scores]
    return {
        f"{split}_{kind}_mean": float(np.mean([scores[f"{split}_{kind}_{lang}"] for lang in targets]))
        for kind in measured
    }
