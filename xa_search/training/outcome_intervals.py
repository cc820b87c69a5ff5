"""Scores of tested models with their intervals. In: outcomes by language. Out: a mean score, or a difference of two.

Utterances of one id in several languages are translations in some corpora: they stand in one row.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from xa_search.training.final_test import Outcomes
from xa_search.training.statistics import Interval, Sample, interval

INTENT, SLOTS, EXACT = "intent", "slots", "exact"
"""What is scored: intent accuracy, micro F1 of slot spans, the share of utterances that are right as a whole."""


def outcome_columns(
    outcomes: Outcomes, metric: str, shared: frozenset[str], ids: Mapping[str, int]
) -> list[np.ndarray]:
    """Return what each utterance adds to a score's numerator and to its denominator, both [ids].

    Only utterances of the `shared` ids count; `ids` has the row of each.
    """
    chosen = [number for number, name in enumerate(outcomes.ids) if name in shared]
    places = [ids[outcomes.ids[number]] for number in chosen]
    columns = []
    for counts in _counts(outcomes, metric):
        column = np.zeros(len(ids))
        np.add.at(column, places, counts[chosen])
        columns.append(column)
    return columns


def mean_interval(
    system: Mapping[str, Outcomes], less: Mapping[str, Outcomes] | None, metric: str, languages: Sequence[str]
) -> Interval | None:
    """Return the mean over languages of one model's score, less that of another one where there is one.

    None where a language was not tested, or the two were tested on no common utterance.
    """
    systems = (system,) if less is None else (system, less)
    if not languages or any(lang not in one for one in systems for lang in languages):
        return None
    shared = {lang: frozenset.intersection(*(frozenset(one[lang].ids) for one in systems)) for lang in languages}
    if not all(shared.values()):
        return None
    ids = {name: number for number, name in enumerate(sorted(frozenset.union(*shared.values())))}
    columns = [
        column
        for one in systems
        for lang in languages
        for column in outcome_columns(one[lang], metric, shared[lang], ids)
    ]
    weights = np.repeat(np.array([1.0, -1.0][: len(systems)]), len(languages)) / len(languages)
    return interval([Sample(counts=[np.stack(columns, axis=1)], weights=weights)])


def _counts(outcomes: Outcomes, metric: str) -> tuple[np.ndarray, np.ndarray]:
    if metric == SLOTS:
        return 2 * outcomes.correct, outcomes.found + outcomes.gold
    right = outcomes.exact if metric == EXACT else outcomes.intent
    return right.astype(np.int64), np.ones(len(outcomes.ids), dtype=np.int64)
