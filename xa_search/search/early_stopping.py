"""Early stopping by ASHA. In: the scores of all trials, epoch by epoch. Out: whether a trial stops, and why.

ASHA compares trials of one model size and one number of epochs with each other, never across.
"""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from xa_search.records import Asha, StoppedAt, TrialRecord


class EarlyStopping:
    """One bracket of ASHA a model size; without `asha` every trial uses its full budget.

    A trial that comes to a rung stops if its score there lies below the cut-off: the score that the best
    1/`reduction` of those who came before reached. Ranks do not change afterwards, so nobody waits for anybody.
    """

    def __init__(self, asha: Asha | None, earlier: Iterable[TrialRecord] = ()) -> None:
        self._asha = asha
        self._scores: dict[tuple[str, int, int], dict[int, float]] = defaultdict(dict)
        for record in earlier:
            self.enter(record)

    def enter(self, record: TrialRecord) -> None:
        """Let later trials be compared with this one; what is known already changes nothing."""
        if record.failure != "interrupted":
            for epoch, score in enumerate(record.scores, start=1):
                self._at(record, epoch).setdefault(record.number, score)

    def verdict(self, record: TrialRecord, epoch: int, score: float) -> StoppedAt | None:
        """Return why the trial stops after this epoch; none when it goes on, as the two fixed recipes always do."""
        if self._asha is None or record.role != "searched" or epoch not in _rungs(self._asha, record.settings.epochs):
            return None
        others = [theirs for number, theirs in self._at(record, epoch).items() if number != record.number]
        if not others:
            return None
        cutoff = float(np.percentile(others, 100 * (1 - 1 / self._asha.reduction)))
        if score >= cutoff:
            return None
        rank = 1 + sum(theirs > score for theirs in others)
        return StoppedAt(epoch=epoch, score=score, cutoff=cutoff, rank=rank, competitors=len(others) + 1)

    def _at(self, record: TrialRecord, epoch: int) -> dict[int, float]:
        return self._scores[record.settings.model_size, record.settings.epochs, epoch]


def _rungs(asha: Asha, epochs: int) -> list[int]:
    """Return the epochs after which trials are compared; the last epoch is none of them."""
    rungs, rung = [], asha.grace_epochs
    while rung < epochs:
        rungs.append(rung)
        rung *= asha.reduction
    return rungs
