"""The metrics. In: gold and predicted intents and slot tags. Out: fractions between 0 and 1.

Slot F1 is conlleval's (seqeval, IOB2 tags, default mode), micro-averaged over spans; the strict mode, which takes no
span that starts with I-, and the published one, which merges neighbours of one type, stand beside it.
"""

import warnings
from collections import Counter
from collections.abc import Sequence

from seqeval.metrics import f1_score
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB2

from xa_search.records import OUTSIDE

Tags = Sequence[str]


def accuracy(gold: Sequence[str], predicted: Sequence[str]) -> float:
    """The share of equal labels; 0 of nothing."""
    return sum(g == p for g, p in zip(gold, predicted, strict=True)) / max(1, len(gold))


def slot_f1(gold: Sequence[Tags], predicted: Sequence[Tags]) -> float:
    """Span F1 as conlleval computes it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(f1_score([list(tags) for tags in gold], [list(tags) for tags in predicted], zero_division=0))


def slot_f1_strict(gold: Sequence[Tags], predicted: Sequence[Tags]) -> float:
    """Span F1 where a span counts only if it is well-formed IOB2."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(
            f1_score(
                [list(tags) for tags in gold],
                [list(tags) for tags in predicted],
                mode="strict",
                scheme=IOB2,
                zero_division=0,
            )
        )


def slot_f1_merged(gold: Sequence[Tags], predicted: Sequence[Tags]) -> float:
    """Span F1 where neighbouring slots of one type are one slot, as the published code scores: it never tags B-."""
    return slot_f1([_merged(tags) for tags in gold], [_merged(tags) for tags in predicted])


def _merged(tags: Tags) -> list[str]:
    return [tag if tag == OUTSIDE else f"I-{tag[2:]}" for tag in tags]


def exact_match(
    gold_intents: Sequence[str], gold: Sequence[Tags], predicted_intents: Sequence[str], predicted: Sequence[Tags]
) -> float:
    """The share of utterances whose intent and slot tags are all right."""
    rows = zip(gold_intents, gold, predicted_intents, predicted, strict=True)
    return sum(gi == pi and list(g) == list(p) for gi, g, pi, p in rows) / max(1, len(gold_intents))


def slot_types(tags: Tags) -> Counter[str]:
    """The multiset of the slot types of an utterance's spans."""
    return Counter(slot_type for slot_type, _, _ in get_entities(list(tags)))


def slot_type_f1(gold: Sequence[Counter[str]], predicted: Sequence[Counter[str]]) -> float:
    """Micro F1 between multisets of slot types: it needs no word alignment between two languages.

    1 when neither side has a slot anywhere.
    """
    hits = sum((g & p).total() for g, p in zip(gold, predicted, strict=True))
    total = sum(g.total() for g in gold) + sum(p.total() for p in predicted)
    return 2 * hits / total if total else 1.0
