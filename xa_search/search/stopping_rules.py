"""How trials are compared while they run. In: a rule's settings in a space. Out: when, and how many go on.

A new rule stands in a module of its own, and is registered by its import in `registry`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from xa_search.records import Asha


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
