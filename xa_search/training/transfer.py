"""A model scored on another corpus. In: gold utterances and predictions. Out: the scores of a language, with intervals.

Also counts what a label map leaves open, so that no label is lost in silence.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from seqeval.metrics.sequence_labeling import get_entities

from xa_search.records import Utterance
from xa_search.training.evaluate import Prediction
from xa_search.training.intervals import Interval, f1_interval, share_interval
from xa_search.training.label_map import LabelMap


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageScore:
    """The scores of a language on `rows` utterances; `left_out` more have an intent that no label stands for."""

    lang: str
    rows: int
    left_out: int
    intent_accuracy: Interval
    slot_f1: Interval
    exact_match: Interval


@dataclass(frozen=True, slots=True)
class OpenLabels:
    """How often a label had no counterpart: intents and slots of the corpus, predicted intents and slots."""

    intents: Counter[str] = field(default_factory=Counter)
    slots: Counter[str] = field(default_factory=Counter)
    predicted_intents: Counter[str] = field(default_factory=Counter)
    predicted_slots: Counter[str] = field(default_factory=Counter)


def score_language(
    lang: str, gold: Sequence[Utterance], predictions: Sequence[Prediction], labels: LabelMap, still_open: OpenLabels
) -> LanguageScore:
    """Score the predictions of a language in the corpus's labels, and count into `still_open`."""
    reachable = set(labels.intents.values())
    still_open.intents.update(row.intent for row in gold if row.intent not in reachable)
    pairs = [
        (row, prediction)
        for row, prediction in zip(gold, predictions, strict=True)
        if row.intent in reachable or not labels.leave_out
    ]
    _count_open(pairs, labels, still_open)
    translated = [(row, labels.translate(prediction)) for row, prediction in pairs]
    right = np.array([row.intent == answer.intent for row, answer in translated], dtype=bool)
    same_tags = np.array([row.slots == answer.slots for row, answer in translated], dtype=bool)
    spans = [(_spans(row.slots), _spans(answer.slots)) for row, answer in translated]
    correct = np.array([len(gold_spans & found) for gold_spans, found in spans], dtype=np.int64)
    found = np.array([len(found) for _, found in spans], dtype=np.int64)
    wanted = np.array([len(gold_spans) for gold_spans, _ in spans], dtype=np.int64)
    return LanguageScore(
        lang=lang,
        rows=len(pairs),
        left_out=len(gold) - len(pairs),
        intent_accuracy=share_interval(right),
        slot_f1=f1_interval(correct, found, wanted),
        exact_match=share_interval(right & same_tags),
    )


def _count_open(pairs: Sequence[tuple[Utterance, Prediction]], labels: LabelMap, still_open: OpenLabels) -> None:
    reachable = set(labels.slots.values())
    for row, prediction in pairs:
        still_open.slots.update(kind for kind, _, _ in _spans(row.slots) if kind not in reachable)
        still_open.predicted_slots.update(kind for kind, _, _ in _spans(prediction.slots) if kind not in labels.slots)
        if prediction.intent not in labels.intents:
            still_open.predicted_intents[prediction.intent] += 1


def _spans(tags: Sequence[str]) -> set[tuple[str, int, int]]:
    return set(get_entities(list(tags)))
