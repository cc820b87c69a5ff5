"""A model scored on another corpus. In: gold utterances and predictions. Out: the scores of a language, with intervals.

Also counts what a label map leaves open, so that no label is lost in silence.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from xa_search.records import Utterance
from xa_search.training.evaluate import Prediction
from xa_search.training.intervals import Interval, f1_interval, share_interval
from xa_search.training.label_map import LabelMap
from xa_search.training.outcomes import outcomes_of, spans_of


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
    outcomes = outcomes_of([row for row, _ in translated], [answer for _, answer in translated])
    return LanguageScore(
        lang=lang,
        rows=len(pairs),
        left_out=len(gold) - len(pairs),
        intent_accuracy=share_interval(outcomes.intent),
        slot_f1=f1_interval(outcomes.correct, outcomes.found, outcomes.gold),
        exact_match=share_interval(outcomes.exact),
    )


def _count_open(pairs: Sequence[tuple[Utterance, Prediction]], labels: LabelMap, still_open: OpenLabels) -> None:
    reachable = set(labels.slots.values())
    for row, prediction in pairs:
        still_open.slots.update(kind for kind, _, _ in spans_of(row.slots) if kind not in reachable)
        still_open.predicted_slots.update(kind for kind, _, _ in spans_of(prediction.slots) if kind not in labels.slots)
        if prediction.intent not in labels.intents:
            still_open.predicted_intents[prediction.intent] += 1
