"""A model scored on another corpus. In: gold utterances, predictions, a label map. Out: the scores of a language, with
intervals.

`intents` and `slots` say for a label of the model what the corpus calls it; `null` for a slot that the corpus does not
mark, so that it is taken out. A predicted label that the map does not name is always wrong. Rows whose own intent no
label of the model stands for count as wrong too, unless the map says `leave_out: true`.

Also counts what a label map leaves open, so that no label is lost in silence.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from xa_search.config.shipped import LABEL_MAPS
from xa_search.config.yaml_files import is_file, load_yaml_file
from xa_search.corpora.text import clean_label
from xa_search.errors import UsageError, value_faults
from xa_search.records import OUTSIDE, Utterance
from xa_search.training.evaluation import Prediction
from xa_search.training.final_test import outcomes_of
from xa_search.training.metrics import spans_of
from xa_search.training.statistics import Interval, f1_interval, share_interval

NOT_MAPPED = " (not in the map)"


class LabelMap(BaseModel):
    """What a corpus calls the labels of a model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    intents: dict[str, str]
    slots: dict[str, str | None]
    leave_out: bool = False
    """Leave out the rows whose intent no label of the model stands for."""

    @field_validator("intents", "slots")
    @classmethod
    def clean(cls, labels: dict[str, str | None]) -> dict[str, str | None]:
        """Clean both sides as corpora clean their labels. Raises ValueError where two names become one."""
        cleaned: dict[str, str | None] = {}
        for left, right in labels.items():
            name = clean_label(left)
            if name in cleaned:
                raise ValueError(f"two entries are named {name!r} but for marks that cannot be seen")
            cleaned[name] = None if right is None else clean_label(right)
        return cleaned

    def translate(self, prediction: Prediction) -> Prediction:
        """Return a prediction in the labels of the corpus."""
        return Prediction(
            intent=self.intents.get(prediction.intent, prediction.intent + NOT_MAPPED),
            intent_probability=prediction.intent_probability,
            slots=self._translate_tags(prediction.slots),
            slot_probabilities=prediction.slot_probabilities,
        )

    def _translate_tags(self, tags: Sequence[str]) -> tuple[str, ...]:
        """Translate the tags; two slots of different types that meet stay two, also where both now have one type."""
        translated: list[str] = []
        before = OUTSIDE
        for tag in tags:
            label = self.slots.get(tag[2:], tag[2:] + NOT_MAPPED) if tag != OUTSIDE else None
            begins = tag[:2] == "B-" or (tag[2:] != before[2:] and bool(translated) and translated[-1][2:] == label)
            translated.append(OUTSIDE if label is None else ("B-" if begins else "I-") + label)
            before = tag
        return tuple(translated)


def same_labels(intents: Sequence[str], slot_types: Sequence[str]) -> LabelMap:
    """Return the map for a corpus that has the model's own labels."""
    return LabelMap(
        intents={name: name for name in map(clean_label, intents)},
        slots={name: name for name in map(clean_label, slot_types)},
    )


def read_label_map(name: str) -> LabelMap:
    """Read a map by its name or its file. Raises UsageError with one line a fault."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else LABEL_MAPS / f"{name}.yaml"
    if not is_file(path):
        known = ", ".join(sorted(known.stem for known in LABEL_MAPS.glob("*.yaml")))
        raise UsageError(f"--label-map {name!r}: no such file; give a YAML file or one of these: {known}")
    try:
        return LabelMap.model_validate(load_yaml_file(path, path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as text ({error}); give another --label-map") from None
    except ValidationError as error:
        raise UsageError("\n".join(value_faults(str(path), error))) from None


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
