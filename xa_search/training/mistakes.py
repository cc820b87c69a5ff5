"""What a model gets wrong. In: a language's test rows and what was predicted of them. Out: confusions and examples.

Where trials run this is counted beside the scores, as the rows and predictions are there; both are read after the
winner is chosen, and never before.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from xa_search.encoding.files import write_whole
from xa_search.encoding.table import EncodedRow
from xa_search.records import Utterance
from xa_search.records.report import EXAMPLES, Confusion, Example, Mistakes
from xa_search.training.evaluation import Prediction
from xa_search.training.metrics import spans_of

MISTAKES = "test_mistakes.json"
NOTHING, OTHER_ENDS = "nothing", "other words"
"""What stands in a confusion of slots where one side has no span, and where the type is right but not the ends."""
MOST_CONFUSIONS = 12

Span = tuple[str, int, int]


def mistakes_of(
    rows: Sequence[Utterance | EncodedRow], predictions: Sequence[Prediction], *, has_slots: bool
) -> Mistakes:
    """Hold predictions against the labels of the rows: what was taken for what, and some of the wrong utterances."""
    intents: Counter[tuple[str, str]] = Counter()
    slots: Counter[tuple[str, str]] = Counter()
    wrong = []
    for place, (row, said) in enumerate(zip(rows, predictions, strict=True)):
        gold_tags = tuple(row.slots or ()) if has_slots else ()
        said_tags = said.slots if has_slots else ()
        if row.intent != said.intent:
            intents[row.intent or "", said.intent] += 1
        slots.update(slot_confusions(spans_of(gold_tags), spans_of(said_tags)))
        if row.intent != said.intent or gold_tags != said_tags:
            wrong.append(place)
    chosen = np.linspace(0, len(wrong), min(EXAMPLES, len(wrong)), endpoint=False).astype(np.int64)
    return Mistakes(
        utterances=len(rows),
        wrong=len(wrong),
        intents=_most(intents),
        slots=_most(slots),
        examples=tuple(_example(rows[wrong[one]], predictions[wrong[one]], has_slots) for one in chosen),
    )


def slot_confusions(gold: set[Span], predicted: set[Span]) -> list[tuple[str, str]]:
    """Return what each span that is not right was taken for: the predicted span that shares most words with it.

    A predicted span that meets no wrong gold span was taken from nothing. Right spans are left out.
    """
    missed, added = sorted(gold - predicted, key=_place), sorted(predicted - gold, key=_place)
    found = []
    for span in missed:
        rival = max(added, key=lambda other: _shared(span, other), default=None)
        if rival is None or not _shared(span, rival):
            found.append((span[0], NOTHING))
            continue
        found.append((span[0], OTHER_ENDS if rival[0] == span[0] else rival[0]))
    found += [(NOTHING, span[0]) for span in added if not any(_shared(span, other) for other in missed)]
    return found


def write_mistakes(mistakes: Mapping[str, Mistakes], directory: Path) -> None:
    """Write the mistakes of each language beside a model's weights."""
    content = {lang: one.model_dump(mode="json") for lang, one in mistakes.items()}
    directory.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, ensure_ascii=False)
    write_whole(directory / MISTAKES, lambda path: path.write_text(text, encoding="utf-8"))


def read_mistakes(directory: Path) -> dict[str, Mistakes]:
    """Return the mistakes of a trial by language, of its one model or of several; none where nobody kept them."""
    found: dict[str, Mistakes] = {}
    for path in sorted(directory.rglob(MISTAKES)):
        for lang, one in json.loads(path.read_text(encoding="utf-8")).items():
            found.setdefault(lang, Mistakes.model_validate(one))
    return found


def _place(span: Span) -> tuple[int, int, str]:
    return span[1], span[2], span[0]


def _shared(one: Span, other: Span) -> int:
    """Return how many words two spans share."""
    return max(0, min(one[2], other[2]) - max(one[1], other[1]) + 1)


def _most(counts: Counter[tuple[str, str]]) -> tuple[Confusion, ...]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Confusion(gold=gold, predicted=said, count=count) for (gold, said), count in ordered[:MOST_CONFUSIONS])


def _example(row: Utterance | EncodedRow, said: Prediction, has_slots: bool) -> Example:
    return Example(
        id=row.id,
        words=tuple(row.words),
        gold_intent=row.intent or "",
        predicted_intent=said.intent,
        gold_tags=tuple(row.slots or ()) if has_slots else (),
        predicted_tags=said.slots if has_slots else (),
    )
