"""What is shown of a winner, and what is not. In: nothing. Out: differences with their bounds, as frozen types."""

from dataclasses import dataclass


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
