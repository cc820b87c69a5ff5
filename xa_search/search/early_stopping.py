"""Early stopping. In: a rule with its settings, all scores, report by report. Out: whether a trial stops, and why.

Trials of one model size and one number of epochs are compared with each other, never across; those of zero-shot's own
search among themselves and with the baseline. A new rule stands in a module of its own, and is registered by its import
in `registry`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel

from xa_search.records import Asha, EpochReport, StoppedAt, TrialRecord

MOST_STEPS = 10**8

DRAWN = ("searched", "zero_shot")
"""The roles of trials that are stopped early; those with fixed values always use their full budget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppingRule:
    """What `scheduler` may name: a rule with the type of its settings.

    `rungs` takes the settings and a trial's epochs: the epochs after which it is compared; the last is none of them.
    `step_rungs` takes the settings: the steps after which it is compared besides, however many a trial takes.
    `one_in` takes the settings: of so many that are compared, the best one goes on.
    """

    name: str
    settings: type[BaseModel]
    rungs: Callable[[Any, int], list[int]]
    one_in: Callable[[Any], float]
    step_rungs: Callable[[Any], tuple[int, ...]] = lambda _: ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenRule:
    """A rule with the settings that a space gives it."""

    rule: StoppingRule
    settings: BaseModel

    def rungs(self, epochs: int) -> list[int]:
        """Return the epochs after which trials are compared."""
        return self.rule.rungs(self.settings, epochs)

    @property
    def step_rungs(self) -> tuple[int, ...]:
        """The steps after which trials are compared, for trials that take any number of them."""
        return self.rule.step_rungs(self.settings)

    @property
    def one_in(self) -> float:
        """Of so many that are compared, the best one goes on."""
        return self.rule.one_in(self.settings)


def _below(limit: int, first: int, factor: int) -> list[int]:
    rungs = []
    while first < limit:
        rungs.append(first)
        first *= factor
    return rungs


def _asha_rungs(asha: Asha, epochs: int) -> list[int]:
    return [] if asha.grace_epochs is None else _below(epochs, asha.grace_epochs, asha.reduction)


def _asha_step_rungs(asha: Asha) -> tuple[int, ...]:
    return () if asha.grace_steps is None else tuple(_below(MOST_STEPS, asha.grace_steps, asha.reduction))


ASHA = StoppingRule(
    name="asha",
    settings=Asha,
    rungs=_asha_rungs,
    one_in=lambda asha: asha.reduction,
    step_rungs=_asha_step_rungs,
)


class EarlyStopping:
    """One bracket a model size; without a rule every trial uses its full budget.

    A trial that comes to a rung stops if its score there lies below the cut-off: the score that the best 1/`one_in` of
    those who came before reached. Ranks do not change afterwards, so nobody waits for anybody.
    """

    def __init__(self, rule: ChosenRule | None, earlier: Iterable[TrialRecord] = ()) -> None:
        self._rule = rule
        self._scores: dict[tuple[bool, str, int, str, int], dict[int, float]] = defaultdict(dict)
        for record in earlier:
            self.enter(record)

    def enter(self, record: TrialRecord) -> None:
        """Let later trials be compared with this one; what is known already changes nothing."""
        if record.failure == "interrupted":
            return
        among = (False, True) if record.role == "baseline" else (record.role == "zero_shot",)
        for unit, scores in (("epoch", enumerate(record.scores, start=1)), ("step", record.rung_scores.items())):
            for place, score in scores:
                for own in among:
                    self._at(record, (unit, place), own=own).setdefault(record.number, score)

    def verdict(self, record: TrialRecord, report: EpochReport) -> StoppedAt | None:
        """Return why the trial stops at this report; none when it goes on, as those with fixed values always do."""
        if self._rule is None or record.role not in DRAWN:
            return None
        if report.whole and report.epoch in self._rule.rungs(record.settings.epochs):
            return self._compared(record, report, ("epoch", report.epoch), self._rule.one_in)
        if report.rung is not None and report.rung in self._rule.step_rungs:
            return self._compared(record, report, ("step", report.rung), self._rule.one_in)
        return None

    def _compared(
        self, record: TrialRecord, report: EpochReport, place: tuple[str, int], one_in: float
    ) -> StoppedAt | None:
        compared = self._at(record, place, own=record.role == "zero_shot")
        others = [theirs for number, theirs in compared.items() if number != record.number]
        if not others:
            return None
        score, cutoff = report.score, float(np.percentile(others, 100 * (1 - 1 / one_in)))
        if score >= cutoff:
            return None
        rank, rung = 1 + sum(theirs > score for theirs in others), report.rung if place[0] == "step" else None
        return StoppedAt(
            epoch=report.epoch, score=score, cutoff=cutoff, rank=rank, competitors=len(others) + 1, rung=rung
        )

    def _at(self, record: TrialRecord, place: tuple[str, int], *, own: bool) -> dict[int, float]:
        """Return the scores by trial, of zero-shot's own search or of the others; the baseline's are in both."""
        return self._scores[own, record.settings.model_size, record.settings.epochs, *place]
