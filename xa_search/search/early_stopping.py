"""Early stopping. In: a rule with its settings, all scores, epoch by epoch. Out: whether a trial stops, and why.

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

from xa_search.records import Asha, StoppedAt, TrialRecord

DRAWN = ("searched", "zero_shot")
"""The roles of trials that are stopped early; those with fixed values always use their full budget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppingRule:
    """What `scheduler` may name: a rule with the type of its settings.

    `rungs` takes the settings and a trial's epochs: the epochs after which it is compared; the last is none of them.
    `one_in` takes the settings: of so many that are compared, the best one goes on.
    """

    name: str
    settings: type[BaseModel]
    rungs: Callable[[Any, int], list[int]]
    one_in: Callable[[Any], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenRule:
    """A rule with the settings that a space gives it."""

    rule: StoppingRule
    settings: BaseModel

    def rungs(self, epochs: int) -> list[int]:
        """Return the epochs after which trials are compared."""
        return self.rule.rungs(self.settings, epochs)

    @property
    def one_in(self) -> float:
        """Of so many that are compared, the best one goes on."""
        return self.rule.one_in(self.settings)


def _asha_rungs(asha: Asha, epochs: int) -> list[int]:
    rungs, rung = [], asha.grace_epochs
    while rung < epochs:
        rungs.append(rung)
        rung *= asha.reduction
    return rungs


ASHA = StoppingRule(name="asha", settings=Asha, rungs=_asha_rungs, one_in=lambda asha: asha.reduction)


class EarlyStopping:
    """One bracket a model size; without a rule every trial uses its full budget.

    A trial that comes to a rung stops if its score there lies below the cut-off: the score that the best 1/`one_in` of
    those who came before reached. Ranks do not change afterwards, so nobody waits for anybody.
    """

    def __init__(self, rule: ChosenRule | None, earlier: Iterable[TrialRecord] = ()) -> None:
        self._rule = rule
        self._scores: dict[tuple[bool, str, int, int], dict[int, float]] = defaultdict(dict)
        for record in earlier:
            self.enter(record)

    def enter(self, record: TrialRecord) -> None:
        """Let later trials be compared with this one; what is known already changes nothing."""
        if record.failure == "interrupted":
            return
        among = (False, True) if record.role == "baseline" else (record.role == "zero_shot",)
        for epoch, score in enumerate(record.scores, start=1):
            for own in among:
                self._at(record, epoch, own=own).setdefault(record.number, score)

    def verdict(self, record: TrialRecord, epoch: int, score: float) -> StoppedAt | None:
        """Return why the trial stops after this epoch; none when it goes on, as those with fixed values always do."""
        if self._rule is None or record.role not in DRAWN or epoch not in self._rule.rungs(record.settings.epochs):
            return None
        compared = self._at(record, epoch, own=record.role == "zero_shot")
        others = [theirs for number, theirs in compared.items() if number != record.number]
        if not others:
            return None
        cutoff = float(np.percentile(others, 100 * (1 - 1 / self._rule.one_in)))
        if score >= cutoff:
            return None
        rank = 1 + sum(theirs > score for theirs in others)
        return StoppedAt(epoch=epoch, score=score, cutoff=cutoff, rank=rank, competitors=len(others) + 1)

    def _at(self, record: TrialRecord, epoch: int, *, own: bool) -> dict[int, float]:
        """Return the scores by trial, of zero-shot's own search or of the others; the baseline's are in both."""
        return self._scores[own, record.settings.model_size, record.settings.epochs, epoch]
