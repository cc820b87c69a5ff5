"""Trials in batches, for a deterministic search. In: the study and the size of a batch. Out: the trials, one by one.

A batch is proposed as a whole, once every trial of the batch before has ended, and early stopping compares a trial only
with trials of earlier batches. So neither a proposal nor a stop depends on who was faster, nobody waits within a batch,
and a resumed search goes on with the batch that it left.
"""

from collections import deque

from xa_search.records import TrialRecord
from xa_search.search.early_stopping import EarlyStopping
from xa_search.search.study import SearchStudy


class Batches:
    """Hands out the trials of one batch, then of the next."""

    def __init__(self, study: SearchStudy, early_stopping: EarlyStopping, size: int) -> None:
        self._study = study
        self._early_stopping = early_stopping
        self._size = size
        self._proposed: deque[TrialRecord] = deque()

    def next_trial(self, any_running: bool, wanted: int) -> TrialRecord | None:
        """Return the next trial of the batch; none while the batch is under way or when enough trials ended."""
        if not self._proposed and not any_running:
            self._begin_batch(self._study.remaining(wanted))
        return self._proposed.popleft() if self._proposed else None

    def _begin_batch(self, remaining: int) -> None:
        trials = self._study.trials()
        paused = [trial for trial in trials if trial.state == "PAUSED"]
        batch = paused[0].batch if paused else 1 + max((trial.batch or 0 for trial in trials), default=0)
        members = [trial for trial in trials if trial.batch == batch]
        for trial in trials:
            if trial.batch != batch:
                self._early_stopping.enter(trial)
        untouched = all(trial.state == "PAUSED" and not trial.scores for trial in members)
        # A driver that died while it proposed a batch left it short; a batch that has trained was whole.
        missing = min(self._size, remaining) - len(members) if untouched else 0
        self._proposed.extend(self._study.propose(batch) for _ in range(len(paused) + missing))
