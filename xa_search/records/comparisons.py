"""What a winner is held against besides trials. In: nothing. Out: the fair baseline and floors, as frozen types."""

from dataclasses import dataclass

from xa_search.records.trial import TrialSettings


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
