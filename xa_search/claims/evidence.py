"""What finished searches have measured. In: searches of a home. Out: their tested trials, and what is missing there."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from xa_search.history import SearchHistory
from xa_search.journal import trial_directory
from xa_search.records import TrialRecord, TrialSettings
from xa_search.search.winner import best_of_each_kind
from xa_search.training.inspection import FINDINGS, INSPECTIONS, MEAN
from xa_search.training.intervals import Interval
from xa_search.training.outcomes import Outcomes, read_outcomes


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
        """Whether a language was tested, and not as one that is held out."""
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
