"""The metrics. In: gold and predicted intents and slot tags. Out: fractions between 0 and 1.

Slot F1 is conlleval's (seqeval, IOB2 tags, default mode), micro-averaged over spans; the strict mode, which takes no
span that starts with I-, and the published one, which merges neighbours of one type, stand beside it.
"""

import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np
from seqeval.metrics import f1_score
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB2

from xa_search.records import OUTSIDE

Tags = Sequence[str]
CALIBRATION_BINS = 15


def accuracy(gold: Sequence[str], predicted: Sequence[str]) -> float:
    """The share of equal labels; 0 of nothing."""
    return sum(g == p for g, p in zip(gold, predicted, strict=True)) / max(1, len(gold))


def slot_f1(gold: Sequence[Tags], predicted: Sequence[Tags]) -> float:
    """Span F1 as conlleval computes it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(f1_score([list(tags) for tags in gold], [list(tags) for tags in predicted], zero_division=0))


def legal_span_f1(gold: np.ndarray, predicted: np.ndarray, word_counts: np.ndarray, slot_tags: Sequence[str]) -> float:
    """Slot F1 of the numbers of legal IOB2 tags, those of one utterance behind those of another; all are int64.

    It equals `slot_f1` there, without a loop over words. A negative number is a tag that nobody can predict.
    """
    begins, goes_on = (np.array([tag.startswith(start) for tag in slot_tags] + [False]) for start in ("B-", "I-"))
    new_utterance = np.zeros(len(gold) + 1, dtype=bool)
    new_utterance[np.cumsum(word_counts)] = True
    spans = []
    for tags in (gold, predicted):
        known = np.where(tags < 0, len(slot_tags), tags)
        stops = np.flatnonzero(new_utterance | np.append(~goes_on[known], True))
        starts = np.flatnonzero(begins[known])
        ends = stops[np.searchsorted(stops, starts, side="right")]
        spans.append(np.stack([starts, ends, tags[starts]]))
    mine, other = spans
    shared, left, right = np.intersect1d(mine[0], other[0], assume_unique=True, return_indices=True)
    hits = int((mine[:, left] == other[:, right]).all(axis=0).sum()) if len(shared) else 0
    total = mine.shape[1] + other.shape[1]
    return 2 * hits / total if total else 0.0


def expected_calibration_error(probabilities: Sequence[float], right: Sequence[bool]) -> float:
    """By how much probabilities miss the share that is right, over bins of equal width; 0 of none.

    Each of CALIBRATION_BINS counts by the number of its answers (Guo et al., arXiv 1706.04599, equation 3).
    """
    if not len(probabilities):
        return 0.0
    said, came_true = np.asarray(probabilities, dtype=np.float64), np.asarray(right, dtype=np.float64)
    bins = np.minimum((said * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    return float(np.abs(np.bincount(bins, said - came_true)).sum() / len(said))


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


def spans_of(tags: Tags) -> set[tuple[str, int, int]]:
    """Return the slot spans of an utterance: type, first and last word."""
    return set(get_entities(list(tags)))


def slot_type_f1(gold: Sequence[Counter[str]], predicted: Sequence[Counter[str]]) -> float:
    """Micro F1 between multisets of slot types: it needs no word alignment between two languages.

    1 when neither side has a slot anywhere.
    """
    hits = sum((g & p).total() for g, p in zip(gold, predicted, strict=True))
    total = sum(g.total() for g in gold) + sum(p.total() for p in predicted)
    return 2 * hits / total if total else 1.0
