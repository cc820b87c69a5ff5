"""Which selection rule to trust. In: complete trials, their scores by rule and their test outcomes. Out: a row a rule.

Once a winner is chosen: for every rule its pick, that pick's score on the targets' test sets, and its regret. The
score is the mean over targets of intent accuracy and slot F1 (of the intents alone where there are no slots).

The best of many noisy test scores is itself a maximum, so regret is told against an oracle that is cross-fitted: the
best trial on a random half of the test ids, scored on the other half, both ways, the mean of many halves. Intervals of
regrets come of utterances drawn again; they are of this search's models alone, one seed each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from xa_search.search.winner import in_gate
from xa_search.training.final_test import Outcomes
from xa_search.training.outcome_intervals import outcome_columns
from xa_search.training.statistics import Interval, Sample, interval, rank_correlation

LABEL_FREE, SOURCE_DEV, GUARDED = "label_free", "source_dev", "guarded"
RULES = (LABEL_FREE, SOURCE_DEV, GUARDED, "atc", "nuclear")
RANDOM, ORACLE = "random aligned trial", "oracle (cross-fitted)"
SPLITS, RESAMPLES, SPLITS_OF_A_RESAMPLE = 20, 200, 2
AUDIT_SEED = 20210505


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A trial that a rule may pick: `scores` by rule, `outcomes` by language, none where it was not tested."""

    number: int
    is_aligned: bool
    scores: Mapping[str, float]
    rows: float
    outcomes: Mapping[str, Outcomes] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """What a rule came to, in percent and points; `pick` is none for a mean over trials or halves.

    `correlation` is Spearman's between the rule's scores and the test scores of all tested candidates; none where the
    rule has no scores, or fewer than three trials were tested.
    """

    rule: str
    pick: int | None
    score: Interval
    regret: Interval
    correlation: Interval | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionAudit:
    """The rows of one search, among its aligned trials.

    `with_zero_shot` says what each rule picks where the zero-shot trial may be picked, too. `noise` is the standard
    deviation of the winner's test score over fresh seeds, in points; none where it was not confirmed.
    """

    search_id: str
    selection: str
    rows: tuple[AuditRow, ...]
    candidates: int
    tested: int
    left_out: int
    with_zero_shot: Mapping[str, int]
    noise: float | None = None

    def row(self, rule: str) -> AuditRow | None:
        """Return the row of a rule, if there is one."""
        return next((row for row in self.rows if row.rule == rule), None)


@dataclass(frozen=True, slots=True)
class TargetScores:
    """The test scores of T models by utterance: `counts` [T, ids, 2 k] and the `weights` [k] of their ratios."""

    counts: np.ndarray
    weights: np.ndarray

    @classmethod
    def of_tests(cls, tests: Sequence[Mapping[str, Outcomes]], targets: Sequence[str]) -> "TargetScores":
        """Take in what was right of each utterance that all models were tested on, in the targets that all have."""
        languages = [lang for lang in targets if all(lang in test for test in tests)]
        shared = {lang: frozenset.intersection(*(frozenset(test[lang].ids) for test in tests)) for lang in languages}
        has_slots = any(test[lang].gold.any() for test in tests for lang in languages)
        kinds = ("intent", "slots") if has_slots else ("intent",)
        ids = {name: place for place, name in enumerate(sorted(frozenset().union(*shared.values())))}
        parts = [(lang, kind) for lang in languages for kind in kinds]
        counts = [
            np.stack([c for lang, kind in parts for c in outcome_columns(test[lang], kind, shared[lang], ids)], axis=1)
            for test in tests
        ]
        return cls(np.stack(counts), np.full(len(parts), 1 / len(parts)))

    def first(self, count: int) -> "TargetScores":
        """Return the scores of the first of them."""
        return TargetScores(self.counts[:count], self.weights)

    def of(self, drawn: np.ndarray | None = None) -> np.ndarray:
        """Return the score of each trial, [T], 0 to 1; `drawn` [ids] says how often each utterance counts."""
        sums = self.counts.sum(axis=1) if drawn is None else np.tensordot(self.counts, drawn, axes=(1, 0))
        above, below = sums[:, 0::2], sums[:, 1::2]
        found: np.ndarray = np.divide(above, below, out=np.zeros_like(above), where=below > 0) @ self.weights
        return found

    def interval(self, place: int) -> Interval:
        """Return the score of one trial with its interval over utterances."""
        return interval([Sample(counts=[self.counts[place]], weights=self.weights)])

    def oracle(self, splits: int, random: np.random.Generator, drawn: np.ndarray | None = None) -> float:
        """Return what the best trial of one half of the ids scores on the other, the mean over halves, both ways."""
        counts = np.ones(self.counts.shape[1]) if drawn is None else drawn
        found = []
        for _ in range(splits):
            first = random.random(len(counts)) < 0.5
            halves = self.of(counts * first), self.of(counts * ~first)
            for mine, other in (halves, halves[::-1]):
                found.append(float(other[int(mine.argmax())]))
        return fmean(found)


def picks(candidates: Sequence[Candidate]) -> dict[str, int]:
    """Return the trial that each rule picks, by rule; of equal ones, the earlier. Rules without scores pick none."""
    found: dict[str, int] = {}
    for rule in RULES:
        scored = [one for one in candidates if rule in one.scores]
        if rule == GUARDED:
            allowed = in_gate([(one.scores[LABEL_FREE], one.rows) for one in scored])
            scored = [one for one, is_in in zip(scored, allowed, strict=True) if is_in]
        if scored:
            found[rule] = max(scored, key=lambda one: (one.scores[rule], -one.number)).number
    return found


def audit(
    search_id: str,
    selection: str,
    candidates: Sequence[Candidate],
    targets: Sequence[str],
    *,
    left_out: int = 0,
    noise: float | None = None,
    others: Mapping[str, Mapping[str, Outcomes]] | None = None,
) -> SelectionAudit:
    """Hold the rules against the test scores of the aligned trials that were tested.

    `others` are models that no rule picks, as a soup, by name. Raises ValueError where none was tested.
    """
    aligned = [one for one in candidates if one.is_aligned]
    tested = [one for one in aligned if one.outcomes]
    if not tested:
        raise ValueError("no aligned trial was tested")
    others = others or {}
    tests = TargetScores.of_tests([one.outcomes for one in tested if one.outcomes] + list(others.values()), targets)
    found = _Regrets(tests, len(tested))
    places = {one.number: place for place, one in enumerate(tested)}
    rows = []
    for rule, number in picks(aligned).items():
        if number in places:
            rows.append(_row(rule, number, places[number], tests, found, tested))
    everyone = list(range(len(tested)))
    rows += [_named(RANDOM, everyone, tests, found)]
    rows += [_named(name, [len(tested) + place], tests, found) for place, name in enumerate(others)]
    oracle = Interval(value=found.oracle, low=found.oracles[0], high=found.oracles[1])
    rows += [AuditRow(rule=ORACLE, pick=None, score=_percent(oracle), regret=Interval(value=0.0, low=0.0, high=0.0))]
    return SelectionAudit(
        search_id=search_id,
        selection=selection,
        rows=tuple(rows),
        candidates=len(aligned),
        tested=len(tested),
        left_out=left_out,
        with_zero_shot=picks(candidates),
        noise=noise,
    )


class _Regrets:
    """The cross-fitted oracle among the first `pickable` trials, and regrets, with what utterances drawn again give."""

    def __init__(self, tests: TargetScores, pickable: int) -> None:
        random = np.random.default_rng(AUDIT_SEED)
        own = tests.first(pickable)
        self.oracle = own.oracle(SPLITS, random)
        drawn_oracles, drawn_scores = [], []
        ids = tests.counts.shape[1]
        for _ in range(RESAMPLES):
            drawn = np.bincount(random.integers(ids, size=ids), minlength=ids).astype(np.float64)
            drawn_oracles.append(own.oracle(SPLITS_OF_A_RESAMPLE, random, drawn))
            drawn_scores.append(tests.of(drawn))
        self._drawn = np.array(drawn_oracles)
        self._scores = np.stack(drawn_scores)
        self.oracles = tuple(float(value) for value in np.quantile(self._drawn, [0.025, 0.975]))

    def of(self, places: Sequence[int], score: float) -> Interval:
        """Return the regret, in points, of the mean of these trials, whose score is given."""
        drawn = self._drawn - self._scores[:, list(places)].mean(axis=1)
        low, high = np.quantile(drawn, [0.025, 0.975])
        return _percent(Interval(value=self.oracle - score, low=float(low), high=float(high)))


def _row(
    rule: str, number: int, place: int, tests: TargetScores, found: _Regrets, tested: Sequence[Candidate]
) -> AuditRow:
    score = tests.interval(place)
    scored = [(one.scores[rule], value) for one, value in zip(tested, tests.of(), strict=False) if rule in one.scores]
    mine, other = (np.array(values) for values in zip(*scored, strict=True))
    varies = len(scored) > 2 and len(set(mine)) > 1 and len(set(other)) > 1
    return AuditRow(
        rule=rule,
        pick=number,
        score=_percent(score),
        regret=found.of([place], score.value),
        correlation=rank_correlation(mine, other) if varies else None,
    )


def _named(name: str, places: Sequence[int], tests: TargetScores, found: _Regrets) -> AuditRow:
    value = float(tests.of()[list(places)].mean())
    score = tests.interval(places[0]) if len(places) == 1 else Interval(value=value, low=value, high=value)
    return AuditRow(rule=name, pick=None, score=_percent(score), regret=found.of(places, value))


def _percent(one: Interval) -> Interval:
    return Interval(value=100 * one.value, low=100 * one.low, high=100 * one.high, seeds=one.seeds)
