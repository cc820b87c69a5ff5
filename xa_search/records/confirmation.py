"""A winner confirmed. In: nothing. Out: settings trained again with fresh seeds, and what came of it, as frozen types.

A search's best score is a maximum over noise. Here the best settings, the zero-shot trial and the winner's settings
without alignment run again, all with the same seeds, which chose nothing before.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, Field

FIRST_SEED = 101
"""Fresh seeds are counted from here; the plan's own are small numbers."""
_BLOCK, _RUNS_OF_A_TRIAL = 10**9, 1000


class Confirm(BaseModel):
    """The `top` settings of a search, the zero-shot and the fair baseline run again with so many fresh seeds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    top: int = Field(default=3, ge=1)
    seeds: int = Field(default=3, ge=2, le=100)

    @property
    def runs(self) -> int:
        """How many runs that is at most, with the zero-shot trial's settings and the winner's without alignment."""
        return (self.top + 2) * self.seeds


def confirmed_number(trial: int, seed: int, *, fair: bool = False) -> int:
    """Return the number, among those of trials, of a trial's settings with a fresh seed, or of these without alignment.

    No trial of a search has so large a number.
    """
    return _BLOCK * (2 if fair else 1) + trial * _RUNS_OF_A_TRIAL + seed


def confirmed_of(number: int) -> tuple[int, int]:
    """Return the trial whose settings a number of `confirmed_number` stands for, and the seed."""
    return divmod(number % _BLOCK, _RUNS_OF_A_TRIAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """Settings that were trained again, once a seed. `name` says whose they are, `trial` of which trial.

    `scores` are the selection scores by seed, `numbers` those under which the runs are kept. `mean` has `half` the
    width of its 95% interval over seeds; none of fewer than three. `searched` is what the search saw: none for settings
    that it never tried. `failed` says which seeds failed, and how. `test_metrics` are means over seeds, where tested.
    """

    name: str
    trial: int
    searched: float | None
    seeds: tuple[int, ...]
    numbers: tuple[int, ...]
    scores: tuple[float, ...]
    mean: float
    half: float | None
    failed: tuple[str, ...] = ()
    test_metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def told(self) -> str:
        """The mean with its interval, in percent."""
        if self.half is None:
            return f"{100 * self.mean:.1f} ({len(self.seeds)} seeds, too few for an interval)"
        return f"{100 * self.mean:.1f} ± {100 * self.half:.1f}"

    @property
    def luck(self) -> str:
        """Say what of the search's score was luck; empty for settings that it never tried."""
        if self.searched is None:
            return ""
        gone = 100 * (self.searched - self.mean)
        verdict = f"{gone:.1f} points were luck" if gone > 0 else "none of it was luck"
        return f"{100 * self.searched:.1f} in the search, {self.told} repeated: {verdict}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmedGain:
    """What the winner's settings have beyond others on a test set, by the same seeds, in points with a 95% interval."""

    lang: str
    metric: str
    over: str
    points: float
    low: float
    high: float
    told_of: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """Settings that ran again, the winner's first. `registered` is the number of the run that is registered.

    It is that whose selection score lies nearest to its settings' mean: the best one would be chosen by luck again.
    """

    settings: tuple[Repeated, ...]
    zero_shot: Repeated | None
    fair: Repeated | None
    registered: int
    no_fair: str = ""
    gains: tuple[ConfirmedGain, ...] = ()

    @property
    def winner(self) -> Repeated:
        """The settings with the best mean."""
        return self.settings[0]

    @property
    def registered_seed(self) -> int:
        """The seed of the run that is registered."""
        return confirmed_of(self.registered)[1]

    @property
    def runs(self) -> tuple[Repeated, ...]:
        """All that ran again."""
        others = (one for one in (self.zero_shot, self.fair) if one is not None)
        return (*self.settings, *others)

    @property
    def sentences(self) -> tuple[str, ...]:
        """Say what was confirmed, a line each."""
        winner = self.winner
        seeds = ", ".join(map(str, winner.seeds))
        lines = [f"confirmed with the fresh seeds {seeds}: {winner.name}, {winner.luck}"]
        lines += [f"{one.name} repeated: {one.told}" for one in self.runs if one is not winner]
        lines += [self.no_fair] if self.no_fair else []
        lines += [f"{one.name}: {failed}" for one in self.runs for failed in one.failed]
        lines.append(
            f"registered is its run with seed {self.registered_seed}, whose selection score lies nearest to the mean"
        )
        return tuple(lines)
