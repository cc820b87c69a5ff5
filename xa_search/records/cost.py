"""What a search cost. In: nothing. Out: its wall time and what it spent, as frozen types."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a search has spent over all its runs; `trial_seconds` are those in which a worker was on a trial."""

    wall_seconds: float = 0.0
    trial_seconds: float = 0.0
    gpu_hours: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchCost:
    """Where the wall time of one run of a search went.

    `parts` are seconds of wall time that sum to `wall`. `slots` is how many trials ran side by side; the utilisations
    are shares of the cores that the trials asked for, and of the GPUs while they trained (none without a GPU).
    """

    wall: float
    parts: dict[str, float]
    slots: int
    core_utilisation: float
    gpu_utilisation: float | None
