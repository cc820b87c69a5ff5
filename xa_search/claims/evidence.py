"""What finished searches have measured. In: searches of a home. Out: their tested trials, with the budget of each, and
what should be there and is not.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from xa_search.records import Plan, TrialRecord, TrialSettings
from xa_search.records.search import trial_directory
from xa_search.search.history import SearchHistory
from xa_search.search.winner import best_of_each_kind
from xa_search.training.final_test import Outcomes, read_outcomes
from xa_search.training.inspection import FINDINGS, INSPECTIONS, PairGrowth

NOT_OF_A_FAMILY = ("seed", "data")


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What was spent to find a trial: training utterances, epochs, how many trials of its kind, the rule."""

    train_limit: int | None
    epochs: int
    tried: int
    selection: str

    def __str__(self) -> str:
        rows = "all rows" if self.train_limit is None else f"{self.train_limit:,} rows"
        return f"{rows}, {self.epochs} epochs, best of {self.tried} by {self.selection}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """How a model sees translations, by aligned target: by how much each pair came closer, and the share found again.

    `growth` is of cosines above those of random pairs; `before` and `after` are shares, before and after it learned.
    """

    growth: dict[str, PairGrowth]
    before: float
    after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The best trial of its method and size in a finished search, and what it got right in each language.

    Searches of one `family` differ in their seed alone. `tried` counts the trials of its method and size.
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
    inside: Inside | None = None
    family: str = ""
    tried: int = 1
    given_translations: bool = False

    def tested_in(self, lang: str) -> bool:
        """Whether a language was tested, and not as an unseen one."""
        return lang in self.outcomes and lang in (self.source, *self.targets)

    @property
    def budget(self) -> Budget:
        """What was spent to find it."""
        settings = self.settings
        return Budget(
            train_limit=settings.train_limit, epochs=settings.epochs, tried=self.tried, selection=self.selection
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """The evidence of several searches; `gaps` say what should be there and is not."""

    evidence: tuple[Evidence, ...]
    gaps: tuple[str, ...]


def gather(searches: Iterable[SearchHistory]) -> Gathered:
    """Read the tests of finished searches: of each method and size the trial that selection preferred."""
    evidence: list[Evidence] = []
    gaps: list[str] = []
    for search in searches:
        if search.plan is None or not search.is_over:
            reason = "kept no plan, so that its corpus is not known" if search.plan is None else "is not over"
            gaps.append(f"{search.search_id} {reason}")
            continue
        for trial in best_of_each_kind(search.trials):
            outcomes = read_outcomes(trial_directory(search.directory, trial.number))
            if outcomes:
                evidence.append(_evidence(search, search.plan, trial, outcomes))
            else:
                gaps.append(f"{_named(search, trial)} was never tested; type the same `xa-search run` again")
    return Gathered(evidence=tuple(evidence), gaps=tuple(gaps))


def _evidence(search: SearchHistory, plan: Plan, trial: TrialRecord, outcomes: dict[str, Outcomes]) -> Evidence:
    space, kind = plan.space, _kind(trial)
    family = {name: value for name, value in plan.decisive.items() if name not in NOT_OF_A_FAMILY}
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
        inside=_inside(search.directory / INSPECTIONS / str(trial.number) / FINDINGS),
        family=json.dumps(family, sort_keys=True),
        tried=sum(_kind(one) == kind and one.state in ("COMPLETE", "PRUNED") for one in search.trials),
        given_translations=plan.translations is not None,
    )


def _kind(trial: TrialRecord) -> tuple[str, str]:
    return trial.settings.method, trial.settings.model_size


def _inside(path: Path) -> Inside | None:
    """Read what was found inside a trial's model; nothing where an older version did not keep its pairs."""
    if not path.exists():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))
    growth = {lang: PairGrowth(**one) for lang, one in found.get("growth", {}).items()}
    last = {one["lang"]: one for one in found.get("layers", ()) if one["lang"] in growth}
    if not growth or not last:
        return None
    before, after = (sum(one[time]["retrieval"] for one in last.values()) / len(last) for time in ("before", "after"))
    return Inside(growth=growth, before=before, after=after)


def _named(search: SearchHistory, trial: TrialRecord) -> str:
    kind = f"{trial.settings.method}, {trial.settings.model_size}"
    return f"{search.search_id}: the best trial of {kind}, number {trial.number},"
