"""What a running search prints with `--json`. In: its events. Out: one JSON object a line, for a program that follows.

Each has `event` and `seconds` since the start. note: `text`. reading, download: `done`, `total`. resumed: `ended`,
`wanted`. trial_started, trial_ended: `trial`, a record as `status --json` has it. epoch: `trial`, its number, `report`,
and `at_floor`, whether its best score is not above what takes no training (null where that is not known). result, the
last of a search that was concluded: its record, and what was registered.
"""

import json
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from xa_search.cli.json_output import as_json, trial_object
from xa_search.cli.plain import echo
from xa_search.cli.search_log import SearchLog
from xa_search.records import EpochReport, Plan, TrialRecord

if TYPE_CHECKING:
    from xa_search.workflows.run import SearchResult


class JsonProgress:
    """Prints a running search: the callback of its trials, and of what happens around them."""

    def __init__(self, plan: Plan) -> None:
        self._wanted = plan.space.all_trials
        self._log = SearchLog(plan.directory)
        self._started = time.monotonic()

    def __enter__(self) -> "JsonProgress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._log.add(f"ends: {error or type(error).__name__}")

    def _print(self, event: str, **fields: Any) -> None:
        seconds = round(time.monotonic() - self._started, 3)
        line = json.dumps({"event": event, "seconds": seconds, **as_json(fields)}, ensure_ascii=False)
        self._log.add(line)
        echo(line)

    def note(self, text: str) -> None:
        """Print one thing that happened."""
        self._print("note", text=text)

    def reading(self, done: int, total: int | None) -> None:
        """Print how many splits of the corpus are read."""
        self._print("reading", done=done, total=total)

    def download(self, done: int, total: int | None) -> None:
        """Print how many bytes of a download are there."""
        self._print("download", done=done, total=total)

    def resumed(self, earlier: Sequence[TrialRecord]) -> None:
        """Print from where a search is resumed."""
        ended = sum(trial.state not in ("RUNNING", "PAUSED") for trial in earlier)
        self._print("resumed", ended=ended, wanted=self._wanted)

    def trial_started(self, record: TrialRecord) -> None:
        """Print a trial that starts."""
        self._print("trial_started", trial=trial_object(record))

    def epoch_reported(self, record: TrialRecord, report: EpochReport) -> None:
        """Print an epoch's report."""
        self._print("epoch", trial=record.number, report=report, at_floor=report.at_floor)

    def trial_ended(self, record: TrialRecord) -> None:
        """Print how a trial ended."""
        self._print("trial_ended", trial=trial_object(record))

    def result(self, result: "SearchResult") -> None:
        """Print what a search came to."""
        self._print(
            "result", record=result.record, registrations=result.registrations, cost=result.cost, budget=result.budget
        )
