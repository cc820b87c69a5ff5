"""Systems held against each other. In: evidence, a claim. Out: tests of equal budgets on the same seeds and utterances,
and the difference between systems in points with its 95% interval, or what is missing there.

What is compared was found in one search, or with equal budgets: as many training utterances, epochs and trials, ranked
by the same rule. Each seed counts for which all systems were tested. A score is the mean over languages and seeds;
several corpora count alike. Utterances of one id in several languages are translations in some corpora: they are one.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import numpy as np

from xa_search.claims.evidence import Evidence
from xa_search.claims.statements import Claim, Comparison, System
from xa_search.training.outcome_intervals import outcome_columns
from xa_search.training.statistics import Interval, Sample, interval, seed_values

POINTS = 100
SIZES = ("large", "base", "small")
"""The paper's size first, then the nearest."""
GROUNDS: tuple[Callable[[Evidence], Any], ...] = (lambda one: one.family, lambda one: one.budget)
"""What makes trials comparable: searches that differ in their seed alone, or equal budgets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusTests:
    """The tests of systems on one corpus, one for each of the same `seeds`; all were tested in these languages."""

    corpus: str
    languages: tuple[str, ...]
    systems: Mapping[System, tuple[Evidence, ...]]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that every system was trained with."""
        return tuple(one.settings.seed for one in next(iter(self.systems.values())))

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
    samples = [_sample(part, metric, _signs(part, metric, comparison), POINTS / len(parts)) for part in parts]
    found = interval(samples)
    return replace(found, value=found.value - published, low=found.low - published, high=found.high - published)


def scores(part: CorpusTests, metric: str) -> dict[System, float]:
    """Return the score of each system in percent."""
    return {system: float(seed_values(_sample(part, metric, {system: 1}, POINTS)).mean()) for system in part.systems}


def _signs(part: CorpusTests, metric: str, comparison: Comparison) -> dict[System, int]:
    """Say which systems count and which are taken off; of the baselines, the one that is best in the mean."""
    signs = dict.fromkeys(comparison.plus, 1) | dict.fromkeys(comparison.minus, -1)
    best = [system for system in (*comparison.best_of, *comparison.if_tested) if system in part.systems]
    if best:
        found = scores(part, metric)
        signs[max(best, key=lambda system: found[system])] = -1
    return signs


def _sample(part: CorpusTests, metric: str, signs: Mapping[System, int], scale: float) -> Sample:
    utterances = part.utterances
    ids = {name: number for number, name in enumerate(sorted(frozenset.union(*utterances.values())))}
    counts = []
    for place in range(len(part.seeds)):
        columns = []
        for system in signs:
            for lang in part.languages:
                columns += outcome_columns(part.systems[system][place].outcomes[lang], metric, utterances[lang], ids)
        counts.append(np.stack(columns, axis=1))
    weights = np.repeat(np.array(list(signs.values()), dtype=np.float64), len(part.languages))
    return Sample(counts=counts, weights=weights * scale / len(part.languages))


def closer_than(part: CorpusTests, system: System, other: System) -> Interval:
    """Return by how much more a system brought translations closer than another, in cosines; both were inspected."""
    counts = []
    for one, its in zip(part.systems[system], part.systems[other], strict=True):
        assert one.inside is not None and its.inside is not None  # noqa: PT018
        grown = {lang: dict(zip(found.rows, found.growth, strict=True)) for lang, found in one.inside.growth.items()}
        against = {lang: dict(zip(found.rows, found.growth, strict=True)) for lang, found in its.inside.growth.items()}
        rows = sorted({row for found in grown.values() for row in found})
        columns = np.zeros((len(rows), 2 * len(grown)))
        for number, lang in enumerate(grown):
            for place, row in enumerate(rows):
                if row in grown[lang] and row in against.get(lang, {}):
                    columns[place, 2 * number : 2 * number + 2] = grown[lang][row] - against[lang][row], 1
        counts.append(columns)
    languages = counts[0].shape[1] // 2
    return interval([Sample(counts=counts, weights=np.full(languages, 1 / languages))], shares=False)


def find_tests(
    claim: Claim, evidence: Sequence[Evidence], languages: Mapping[str, tuple[str, ...]]
) -> list[CorpusTests] | str:
    """Return the tests of all systems that a claim compares, of one size; else in words what is missing."""
    for size in sizes_of(evidence):
        found = [fair_tests(claim, corpus, size, evidence, languages[corpus]) for corpus in claim.corpora]
        parts = [one for one in found if one is not None]
        if parts and (len(parts) == len(found) or not claim.every_corpus):
            return parts
    gaps = [_gap(claim, corpus, evidence, languages[corpus]) for corpus in claim.corpora]
    return "; ".join(filter(None, gaps)) or "no size was tested on every corpus"


def sizes_of(evidence: Iterable[Evidence]) -> list[str]:
    """Return the model sizes that were tested, the paper's first."""
    tested = {one.settings.model_size for one in evidence}
    return [size for size in SIZES if size in tested] + sorted(tested.difference(SIZES))


def fair_tests(
    claim: Claim, corpus: str, size: str, evidence: Sequence[Evidence], languages: tuple[str, ...]
) -> CorpusTests | None:
    """Return the comparable tests with the most seeds; of as many, those of one search before equal budgets."""
    compared = (*claim.compare.needed, *claim.compare.if_tested)
    known = {system: _of(system, corpus, size, evidence, languages) for system in compared}
    found: list[CorpusTests] = []
    for ground in GROUNDS:
        for common in dict.fromkeys(ground(one) for of_system in known.values() for one in of_system):
            by_seed = {
                system: _by_seed(one for one in of_system if ground(one) == common)
                for system, of_system in known.items()
            }
            seeds = sorted(set.intersection(*(set(by_seed[system]) for system in claim.compare.needed)))
            systems = {
                system: tuple(tests[seed] for seed in seeds)
                for system, tests in by_seed.items()
                if set(seeds) <= set(tests)
            }
            if seeds:
                found.append(CorpusTests(corpus=corpus, languages=languages, systems=systems))
    shared = [tests for tests in found if all(tests.utterances.values())]
    return max(shared, key=lambda tests: len(tests.seeds), default=None)


def _by_seed(evidence: Iterable[Evidence]) -> dict[int, Evidence]:
    """Return the test of each seed; of several, the one that selection preferred."""
    return {one.settings.seed: one for one in sorted(evidence, key=lambda one: one.score)}


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
    for size in sizes_of(own):
        if fair_tests(claim, corpus, size, own, languages) is not None:
            return ""
        systems = dict.fromkeys(claim.compare.needed)
        lacking = [system for system in systems if not _of(system, corpus, size, own, languages)]
        gaps.append((len(lacking), size, [f"{system.method} {system.size or size}" for system in lacking]))
    _, size, fewest = min(gaps)
    if fewest:
        return f"{corpus}: not tested in {', '.join(languages)}: {', '.join(fewest)}"
    budgets = []
    for system in dict.fromkeys(claim.compare.needed):
        of = _of(system, corpus, size, own, languages)
        seeds = f"seed {', '.join(str(seed) for seed in sorted({one.settings.seed for one in of}))}"
        budgets.append(
            f"{system.method} {system.size or size} ({'; '.join(sorted({str(one.budget) for one in of}))}; {seeds})"
        )
    return (
        f"{corpus}: not comparable, as neither one search nor equal budgets with a common seed and common test "
        f"utterances: {', '.join(budgets)}"
    )


def mean_retrieval(tests: Sequence[Evidence]) -> tuple[float, float]:
    """Return the share of translations that inspected models find, before and after they learned, in percent."""
    seen = [one.inside for one in tests if one.inside is not None]
    return POINTS * fmean(one.before for one in seen), POINTS * fmean(one.after for one in seen)
