"""What a search asks of its surroundings. In: a trial's record. Out: the job to train it; and news for who listens."""

from collections.abc import Callable, Sequence
from typing import Protocol

from xa_search.records import EpochReport, TrialJob, TrialRecord

MakeJob = Callable[[TrialRecord], TrialJob]


class Listener(Protocol):
    """Is told, in the driver, what happens to the trials. The same news may come twice after a restart."""

    def placed(self, lines: Sequence[str]) -> None:
        """What trials take of a GPU was decided for this run."""

    def trial_started(self, record: TrialRecord) -> None:
        """A worker took the trial up; again when a paused trial goes on."""

    def epoch_reported(self, record: TrialRecord, report: EpochReport) -> None:
        """The trial ended an epoch; `record` already holds its score."""

    def trial_ended(self, record: TrialRecord) -> None:
        """The trial is COMPLETE, PRUNED or FAIL, or it is PAUSED and goes on in a later run."""
