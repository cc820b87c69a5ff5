"""What a winner is held against. In: nothing. Out: baselines, floors and differences with bounds, as frozen types."""

from dataclasses import dataclass

from xa_search.records.trial import TrialSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDifference:
    """By how much a winner scores above something else, on rows that selected no trial; no percentages.

    `bound` is the one-sided lower bound: in a share `level` of cases, at most, what is no better would pass it.
    """

    against: str
    points: float
    bound: float
    level: float
    rows: int
    seeds: int = 1

    @property
    def is_shown(self) -> bool:
        """Whether the winner is shown to be better."""
        return self.bound > 0

    @property
    def sentence(self) -> str:
        """Say it in one line, without a full stop."""
        verb = "shown" if self.is_shown else "not shown"
        over = f"{self.rows} kept rows" + (f" and {self.seeds} seeds" if self.seeds > 1 else "")
        return (
            f"{verb} to be better than {self.against} on {over}: {100 * self.points:+.1f} points, at least "
            f"{100 * self.bound:+.1f} (one-sided {100 * (1 - self.level):.4g}% bound)"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FairBaseline:
    """The winner's settings trained once more, with the same seed and steps, but without alignment.

    What the winner has beyond it comes of alignment alone. `score` is its selection score.
    """

    settings: TrialSettings
    score: float
    best_epoch: int
    seconds: float
    test_metrics: dict[str, float]
    seeds: tuple[int, ...] = ()
    """The fresh seeds that its scores are means over; empty where it was trained once, with the winner's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FloorScore:
    """What takes no training of the encoder: its selection score, and its scores on the test splits."""

    name: str
    score: float
    test_metrics: dict[str, float]
