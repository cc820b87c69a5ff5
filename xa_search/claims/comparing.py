"""Systems compared on the same utterances. In: what each got right. Out: a difference in points, with its 95% interval.

A score is the mean over languages, and over the seeds of a system; several corpora count alike. Utterances of one id in
several languages are translations in some corpora: they are drawn together, as are the answers of all systems.
Seeds are drawn again too, the same for all systems, so that the interval tells of another training as well; few tell
little.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xa_search.claims.evidence import Evidence
from xa_search.claims.statements import Comparison, System
from xa_search.training.intervals import Interval, ratios, resampled_interval
from xa_search.training.outcomes import Outcomes

POINTS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusTests:
    """The tests of systems on one corpus; each system has one a seed, and all were tested in these languages."""

    corpus: str
    languages: tuple[str, ...]
    systems: Mapping[System, tuple[Evidence, ...]]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that any system was trained with."""
        return tuple(sorted({one.settings.seed for tests in self.systems.values() for one in tests}))

    @property
    def utterances(self) -> dict[str, frozenset[str]]:
        """The ids, by language, of the utterances that every system was tested on."""
        tests = [one.outcomes for seeds in self.systems.values() for one in seeds]
        return {
            lang: frozenset.intersection(*(frozenset(outcomes[lang].ids) for outcomes in tests))
            for lang in self.languages
        }


def difference(parts: Sequence[CorpusTests], metric: str, comparison: Comparison, published: float) -> Interval:
    """Return the value of a comparison in points; `published` is taken off."""
    columns = [_columns(part, metric) for part in parts]
    # Of what is drawn from these, the sums say how often each seed was drawn.
    seeds = [np.eye(len(part.seeds)) for part in parts]
    ends = np.cumsum([one.shape[1] for one in (*columns, *seeds)])[:-1]

    def value(sums: np.ndarray) -> np.ndarray:
        blocks = np.split(sums, ends, axis=1)
        drawn = zip(parts, blocks[: len(parts)], blocks[len(parts) :], strict=True)
        of_corpora = [_combined(comparison, _scores(part, block, counts)) for part, block, counts in drawn]
        mean: np.ndarray = np.mean(of_corpora, axis=0)
        return POINTS * mean - published

    return resampled_interval([*columns, *seeds], value)


def scores(part: CorpusTests, metric: str) -> dict[System, float]:
    """Return the score of each system in percent."""
    found = _scores(part, _columns(part, metric).sum(axis=0)[None], np.ones((1, len(part.seeds))))
    return {system: float(POINTS * score[0]) for system, score in found.items()}


def _scores(part: CorpusTests, sums: np.ndarray, counts: np.ndarray) -> dict[System, np.ndarray]:
    """Return the score of each system in each draw, of the sums of a corpus's columns; `counts` is [draws, seeds]."""
    widths = [2 * len(tests) * len(part.languages) for tests in part.systems.values()]
    blocks = np.split(sums, np.cumsum(widths)[:-1], axis=1)
    return {
        system: _mean_over_seeds(part, tests, ratios(block), counts)
        for (system, tests), block in zip(part.systems.items(), blocks, strict=True)
    }


def _mean_over_seeds(
    part: CorpusTests, tests: Sequence[Evidence], of_tests: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """Weigh the scores [draws, tests x languages] of a system's seeds by how often each was drawn; never by 0 all."""
    by_test = of_tests.reshape(len(of_tests), len(tests), len(part.languages)).mean(axis=2)
    weights = counts[:, [part.seeds.index(one.settings.seed) for one in tests]]
    weights = np.where(weights.sum(axis=1, keepdims=True) > 0, weights, 1.0)
    mean: np.ndarray = np.average(by_test, axis=1, weights=weights)
    return mean


def _combined(comparison: Comparison, scores: Mapping[System, np.ndarray]) -> np.ndarray:
    total: np.ndarray = np.sum([scores[system] for system in comparison.plus], axis=0)
    for system in comparison.minus:
        total = total - scores[system]
    best = [scores[system] for system in (*comparison.best_of, *comparison.if_tested) if system in scores]
    return total - np.max(best, axis=0) if best else total


def _columns(part: CorpusTests, metric: str) -> np.ndarray:
    """Return [ids, columns]: for each system, seed and language what the score's numerator and denominator get."""
    utterances = part.utterances
    ids = sorted(frozenset.union(*utterances.values()))
    place = {name: number for number, name in enumerate(ids)}
    columns = []
    for test in (one for seeds in part.systems.values() for one in seeds):
        for lang in part.languages:
            outcomes = test.outcomes[lang]
            shared = [number for number, name in enumerate(outcomes.ids) if name in utterances[lang]]
            places = [place[outcomes.ids[number]] for number in shared]
            for counts in _counts(outcomes, metric):
                column = np.zeros(len(ids))
                np.add.at(column, places, counts[shared])
                columns.append(column)
    return np.stack(columns, axis=1)


def _counts(outcomes: Outcomes, metric: str) -> tuple[np.ndarray, np.ndarray]:
    if metric == "slots":
        return 2 * outcomes.correct, outcomes.found + outcomes.gold
    return outcomes.intent.astype(np.int64), np.ones(len(outcomes.ids), dtype=np.int64)
