"""What finished searches have measured. In: searches of a home, a claim. Out: their tested trials, the difference
between systems on the same utterances in points with its 95% interval, or what is missing there.

A score is the mean over languages, and over the seeds of a system; several corpora count alike. Utterances of one id in
several languages are translations in some corpora: they are drawn together, as are the answers of all systems.
Seeds are drawn again too, the same for all systems, so that the interval tells of another training as well; few tell
little.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xa_search.claims.statements import Claim, Comparison, System
from xa_search.records import TrialRecord, TrialSettings
from xa_search.records.search import trial_directory
from xa_search.search.history import SearchHistory
from xa_search.search.winner import best_of_each_kind
from xa_search.training.final_test import Outcomes, read_outcomes
from xa_search.training.inspection import FINDINGS, INSPECTIONS, MEAN
from xa_search.training.metrics import Interval, ratios, resampled_interval

POINTS = 100
SIZES = ("large", "base", "small")
"""The paper's size first, then the nearest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The best trial of its method and size in a finished search, and what it got right in each language.

    `closer` is by how much its embeddings of translations came closer, in the mean over targets, where that is known.
    """

    search_id: str
    corpus: str
    targets: tuple[str, ...]
    source: str
    selection: str
    trial: int
    score: float
    settings: TrialSettings
    outcomes: dict[str, Outcomes]
    closer: Interval | None

    def tested_in(self, lang: str) -> bool:
        """Whether a language was tested, and not as an unseen one."""
        return lang in self.outcomes and lang in (self.source, *self.targets)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """The evidence of several searches; `gaps` say what should be there and is not."""

    evidence: tuple[Evidence, ...]
    gaps: tuple[str, ...]


def gather(searches: Iterable[SearchHistory]) -> Gathered:
    """Read the tests of finished searches. Of equal corpus, method, size and seed, the best by selection counts."""
    best: dict[tuple[str, str, str, int], Evidence] = {}
    gaps: list[str] = []
    for search in searches:
        if search.plan is None or not search.is_over:
            reason = "kept no plan, so that its corpus is not known" if search.plan is None else "is not over"
            gaps.append(f"{search.search_id} {reason}")
            continue
        for trial in best_of_each_kind(search.trials):
            outcomes = read_outcomes(trial_directory(search.directory, trial.number))
            if not outcomes:
                gaps.append(f"{_named(search, trial)} was never tested; type the same `xa-search run` again")
                continue
            found = _evidence(search, trial, outcomes)
            key = (found.corpus, trial.settings.method, trial.settings.model_size, trial.settings.seed)
            if key not in best or best[key].score < found.score:
                best[key] = found
    return Gathered(evidence=tuple(best.values()), gaps=tuple(gaps))


def _evidence(search: SearchHistory, trial: TrialRecord, outcomes: dict[str, Outcomes]) -> Evidence:
    assert search.plan is not None
    space = search.plan.space
    return Evidence(
        search_id=search.search_id,
        corpus=space.corpus,
        targets=space.targets,
        source=space.source,
        selection=space.selection,
        trial=trial.number,
        score=trial.score or 0.0,
        settings=trial.settings,
        outcomes=outcomes,
        closer=_closer(search.directory / INSPECTIONS / str(trial.number) / FINDINGS),
    )


def _closer(path: Path) -> Interval | None:
    if not path.exists():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))["closer"].get(MEAN)
    return None if found is None else Interval(**found)


def _named(search: SearchHistory, trial: TrialRecord) -> str:
    kind = f"{trial.settings.method}, {trial.settings.model_size}"
    return f"{search.search_id}: the best trial of {kind}, number {trial.number},"


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


def find_tests(
    claim: Claim, evidence: Sequence[Evidence], languages: Mapping[str, tuple[str, ...]]
) -> list[CorpusTests] | str:
    """Return the tests of all systems that a claim compares, of one size; else in words what is missing."""
    sizes = _sizes(evidence)
    for size in sizes:
        found = [_tests(claim, corpus, size, evidence, languages[corpus]) for corpus in claim.corpora]
        parts = [one for one in found if one is not None]
        if parts and (len(parts) == len(found) or not claim.every_corpus):
            return parts
    gaps = [_gap(claim, corpus, evidence, languages[corpus]) for corpus in claim.corpora]
    return "; ".join(filter(None, gaps)) or "no size was tested on every corpus"


def _sizes(evidence: Sequence[Evidence]) -> list[str]:
    tested = {one.settings.model_size for one in evidence}
    return [size for size in SIZES if size in tested] + sorted(tested.difference(SIZES))


def _tests(
    claim: Claim, corpus: str, size: str, evidence: Sequence[Evidence], languages: tuple[str, ...]
) -> CorpusTests | None:
    compared = (*claim.compare.needed, *claim.compare.if_tested)
    found = {system: _of(system, corpus, size, evidence, languages) for system in compared}
    if not all(found[system] for system in claim.compare.needed):
        return None
    tests = CorpusTests(
        corpus=corpus,
        languages=languages,
        systems={system: seeds for system, seeds in found.items() if seeds},
    )
    return tests if all(tests.utterances.values()) else None


def _of(
    system: System, corpus: str, size: str, evidence: Sequence[Evidence], languages: tuple[str, ...]
) -> tuple[Evidence, ...]:
    return tuple(
        one
        for one in evidence
        if (one.corpus, one.settings.method) == (corpus, system.method)
        and one.settings.model_size == (system.size or size)
        and all(one.tested_in(lang) for lang in languages)
    )


def _gap(claim: Claim, corpus: str, evidence: Sequence[Evidence], languages: tuple[str, ...]) -> str:
    """Say what a corpus lacks, at the size that lacks the least; nothing where it lacks nothing."""
    own = [one for one in evidence if one.corpus == corpus]
    if not own:
        return f"no finished search on {corpus}"
    gaps = []
    for size in _sizes(own):
        if _tests(claim, corpus, size, own, languages) is not None:
            return ""
        systems = dict.fromkeys(claim.compare.needed)
        lacking = [system for system in systems if not _of(system, corpus, size, own, languages)]
        gaps.append([f"{system.method} {system.size or size}" for system in lacking])
    fewest = min(gaps, key=len)
    if not fewest:
        return f"{corpus}: the systems share no test utterance"
    return f"{corpus}: not tested in {', '.join(languages)}: {', '.join(fewest)}"
