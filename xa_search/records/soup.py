"""The mean of several trials. In: nothing. Out: what it was made of and what it scored, as a frozen type."""

from dataclasses import dataclass

_BLOCK = 3 * 10**9


def soup_number(winner: int) -> int:
    """Return the number, among those of trials, of the soup with this winner; no trial of a search has it."""
    return _BLOCK + winner


@dataclass(frozen=True, slots=True, kw_only=True)
class Soup:
    """The uniform mean of the weights of the `members`, the winner first; kept under the number of `soup_number`.

    `half_way` is the score half way between the two members that lie farthest apart. `refused` says why there is none;
    then the scores are 0. It `wins` where it scores above the winner by the search's own rule.
    """

    number: int
    members: tuple[int, ...]
    score: float = 0.0
    half_way: float = 0.0
    winner_score: float = 0.0
    refused: str = ""

    @property
    def wins(self) -> bool:
        """Whether the soup takes the winner's place."""
        return not self.refused and self.score > self.winner_score

    @property
    def sentence(self) -> str:
        """Say it in one line."""
        of = f"soup of trials {', '.join(map(str, self.members))}"
        if self.refused:
            return f"no {of}: {self.refused}"
        end = "it takes the winner's place" if self.wins else "the winner stays"
        return f"{of}: selection score {100 * self.score:.1f}, the winner's {100 * self.winner_score:.1f}; {end}"
