"""The news of a running search. In: what happens to its trials. Out: the same, told to all who want to know."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from xa_search.cost import CostMeter
from xa_search.records import EpochReport, TrialRecord
from xa_search.tracking.events import FileLogged, epoch_logged, traceback_logged, trial_ended, trial_started
from xa_search.tracking.runs import Tracker

PLACEMENT = "placement.txt"
"""The file in a search's folder that says what trials take of a GPU."""


class Audience(Protocol):
    """Who follows a search while it runs."""

    def note(self, text: str) -> None:
        """Hear one thing that happened."""

    def download(self, done: int, total: int | None) -> None:
        """Hear how many bytes of a download are there."""

    def goes_on(self, earlier: Sequence[TrialRecord]) -> None:
        """Hear what became of the trials of a search that goes on."""

    def trial_started(self, record: TrialRecord) -> None:
        """Hear that a trial started."""

    def epoch_reported(self, record: TrialRecord, report: EpochReport) -> None:
        """Hear an epoch's score."""

    def trial_ended(self, record: TrialRecord) -> None:
        """Hear how a trial ended."""


def trial_directory(search: Path, name: int | str) -> Path:
    """Return the folder of a trial, by its number or its name, in the folder of its search."""
    return search / "trials" / str(name)


class Journal:
    """Hands the news of the trials on to the tracker, the audience and the cost meter."""

    def __init__(self, directory: Path, tracker: Tracker, audience: Audience, meter: CostMeter) -> None:
        self._directory = directory
        self._tracker = tracker
        self._audience = audience
        self._meter = meter

    def placed(self, lines: Sequence[str]) -> None:
        """Hand on what trials take of a GPU."""
        path = self._directory / PLACEMENT
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        self._tracker.record(FileLogged(path=str(path)))
        for line in lines:
            self._audience.note(line)

    def trial_started(self, record: TrialRecord) -> None:
        """Hand on that a trial started."""
        self._meter.trial_started(record.number)
        self._tracker.record(trial_started(record))
        self._audience.trial_started(record)

    def epoch_reported(self, record: TrialRecord, report: EpochReport) -> None:
        """Hand on an epoch's metrics."""
        self._meter.epoch_reported(report)
        self._tracker.record(epoch_logged(record.number, report))
        self._audience.epoch_reported(record, report)

    def trial_ended(self, record: TrialRecord) -> None:
        """Hand on how a trial ended, and drop what only one that goes on or may win still needs."""
        from xa_search.training.progress import forget_progress
        from xa_search.training.trial import all_weights

        folder = trial_directory(self._directory, record.number)
        if record.state != "PAUSED":
            forget_progress(folder)
        if record.state in ("PRUNED", "FAIL"):
            for path in all_weights(folder):
                path.unlink()
        self._meter.trial_ended(record.number)
        self._tracker.record(trial_ended(record))
        for event in traceback_logged(record, folder):
            self._tracker.record(event)
        self._audience.trial_ended(record)


def forget_left_overs(search: Path, trials: Iterable[TrialRecord]) -> None:
    """Drop what a driver that was killed left in the folders of trials that had ended."""
    from xa_search.training.progress import forget_progress

    for trial in trials:
        if trial.state not in ("RUNNING", "PAUSED"):
            forget_progress(trial_directory(search, trial.number))
