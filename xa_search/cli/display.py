"""What a running search shows. In: its events. Out: on a terminal, what runs now, the best so far and the time left,
below what has ended; elsewhere one line an event. All of it is also in the search's log.

Used by `cli` alone; nothing else in the program prints but `tables`.
"""

import json
import time
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from xa_search.cli.plain import visible
from xa_search.cli.search_log import SearchLog
from xa_search.records import FLOOR, EpochReport, Plan, TrialRecord, TrialRole, is_weight
from xa_search.records.trial import ZERO_SHOT_ROLES

ENDS_BELOW = 3
"""Lines below the table: the best so far, the time left, and the one that the cursor is in."""
AROUND_ROWS = 5
"""Lines of the table that are no rows: its title, its head, and the lines around them."""
UNENDED = ("RUNNING", "PAUSED")
ROLES: dict[TrialRole, str] = {
    "baseline": "zero-shot ",
    "zero_shot": "zero-shot ",
    "published": "published ",
    "paper_values": "paper's values ",
    "searched": "",
    "arm": "arm ",
}
"""What a trial is called by its role; one whose settings were drawn needs no name."""

console = Console(highlight=False, emoji=False, soft_wrap=True)


class ReadingBar:
    """Shows how much of a corpus is read; on a terminal only."""

    def __init__(self) -> None:
        self._bar: tuple[Progress, TaskID] | None = None

    def show(self, done: int, total: int | None) -> None:
        """Show that so many splits of so many are read."""
        if not console.is_terminal:
            return
        if self._bar is None:
            columns = (TextColumn("reading"), BarColumn(), MofNCompleteColumn())
            progress = Progress(*columns, console=console, transient=True)
            self._bar = (progress, progress.add_task("reading", total=total))
            progress.start()
        self._bar[0].update(self._bar[1], completed=done, total=total)

    def stop(self) -> None:
        """Take it away."""
        if self._bar is not None:
            self._bar[0].stop()
            self._bar = None


class SearchDisplay:
    """Shows a running search: the callback of its trials, and of what happens around them."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._log = SearchLog(plan.directory)
        self._trials: dict[int, TrialRecord] = {}
        self._running: dict[int, TrialRecord] = {}
        self._ended_before = 0
        self._started = time.monotonic()
        self._first_trial: float | None = None
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._download: tuple[Progress, TaskID] | None = None
        self._reading = ReadingBar()

    def __enter__(self) -> "SearchDisplay":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_download()
        if self._live is not None and self._live.is_started:
            self._live.stop()
        if error is not None:
            self._log.add(f"ends: {error or type(error).__name__}")

    def note(self, text: str) -> None:
        """Say one thing that happened; on a terminal it scrolls away above what runs."""
        self._stop_download()
        self._log.add(text)
        say(f"[{_clock(time.monotonic() - self._started)}] {text}")

    def download(self, done: int, total: int | None) -> None:
        """Show a download's progress; on a terminal only."""
        if self._live is None:
            return
        self._reading.stop()
        if self._download is None:
            progress = Progress(TextColumn("download"), BarColumn(), DownloadColumn(), console=console)
            self._download = (progress, progress.add_task("download", total=total))
            progress.start()
        progress, task = self._download
        progress.update(task, completed=done, total=total)

    def reading(self, done: int, total: int | None) -> None:
        """Show how much of the corpus is read."""
        if self._download is not None:
            self._stop_download()
        self._reading.show(done, total)

    def resumed(self, earlier: Sequence[TrialRecord]) -> None:
        """Say from where a search is resumed."""
        self._trials = {trial.number: trial for trial in earlier}
        self._ended_before = self._ended()
        self.note(f"resumes: {ended_of(self._ended_before, self._plan.space.all_trials)}{self._best_so_far()}")

    def trial_started(self, trial: TrialRecord) -> None:
        """Show a trial that starts."""
        self._first_trial = self._first_trial or time.monotonic()
        self._change(trial, f"trial {trial.number} starts: {describe(trial)}")

    def epoch_reported(self, trial: TrialRecord, report: EpochReport) -> None:
        """Show an epoch's score."""
        self._change(
            trial,
            f"trial {trial.number} {place_of(report)}/{trial.settings.epochs}: score {percent(report.score)}"
            f"{floor_note(report)}, "
            f"loss {report.metrics.get('train_loss_total', float('nan')):.3f}",
        )

    def trial_ended(self, trial: TrialRecord) -> None:
        """Say how a trial ended, with the best so far."""
        self._trials[trial.number] = trial
        self._running.pop(trial.number, None)
        ended = f"trial {trial.number} {trial.state}{_reason(trial)}"
        self.note(f"{ended}: score {scored(trial)}, {trial.seconds:.0f} s{self._best_so_far()}")
        self._show()

    def _change(self, trial: TrialRecord, line: str) -> None:
        """Take in what changed in a running trial: a terminal shows it in the table, all else shows the line."""
        self._trials[trial.number] = self._running[trial.number] = trial
        if self._live is None:
            self.note(line)
        else:
            self._log.add(line)
            self._show()

    def _best(self) -> TrialRecord | None:
        complete = [trial for trial in self._trials.values() if trial.state == "COMPLETE" and trial.score is not None]
        return max(complete, key=lambda trial: trial.score or 0.0, default=None)

    def _best_so_far(self) -> str:
        best = self._best()
        return "" if best is None else f"; best so far {scored(best)} (trial {best.number})"

    def _ended(self) -> int:
        return sum(trial.state not in UNENDED for trial in self._trials.values())

    def _show(self) -> None:
        if self._live is not None:
            if not self._live.is_started:
                self._live.start()
            self._live.update(self._now(), refresh=True)

    def _now(self) -> Group:
        """Return what runs, the best and the time left: never more lines than the terminal has."""
        best = self._best()
        found = "none yet" if best is None else f"{scored(best)} (trial {best.number}: {describe(best)})"
        below = [Text(visible(line), no_wrap=True) for line in (f"best so far: {found}", self._time_left())]
        return Group(self._table(console.height - ENDS_BELOW), *below) if self._running else Group(*below)

    def _table(self, lines: int) -> Table:
        """Return the running trials; where they are too many, those that began last, and how many there are."""
        shown = sorted(self._running.items())[-max(1, lines - AROUND_ROWS) :]
        hidden = len(self._running) - len(shown)
        title = f"{self._plan.search_id}: {len(self._running)} running" + (f", {hidden} not shown" if hidden else "")
        table = Table(title=Text(visible(title), style="table.title", no_wrap=True), title_justify="left")
        for column in ("trial", "parameters", "epoch", "score"):
            table.add_column(column, justify="left" if column == "parameters" else "right", no_wrap=True)
        for number, trial in shown:
            cells = (str(number), describe(trial), f"{len(trial.scores)}/{trial.settings.epochs}", scored(trial))
            table.add_row(*(Text(visible(cell), overflow="ellipsis") for cell in cells))
        return table

    def _time_left(self) -> str:
        done = self._ended()
        here = done - self._ended_before
        spent = time.monotonic() - (self._first_trial or time.monotonic())
        left = "" if not here else f", about {_clock(spent / here * max(0, self._plan.space.all_trials - done))} left"
        failed = sum(trial.state == "FAIL" for trial in self._trials.values())
        wrong = f", {failed} of them failed" if failed else ""
        return f"{ended_of(done, self._plan.space.all_trials)}{wrong}; {_clock(spent)} so far{left}"

    def _stop_download(self) -> None:
        if self._download is not None:
            self._download[0].stop()
            self._download = None
        self._reading.stop()


def _reason(trial: TrialRecord) -> str:
    if trial.failure:
        return f" [{trial.failure}] {trial.failure_text}"
    if trial.state == "PAUSED":
        return f" ({trial.interruption or 'no worker had started it'}; it resumes with the search)"
    if stopped := trial.stopped_at:
        return f" after {stopped.where}, cut-off {percent(stopped.cutoff)}, rank {stopped.rank}"
    return ""


def ended_of(ended: int, wanted: int) -> str:
    """Say how many trials have ended of those that were asked for, which may be fewer."""
    if ended > wanted:
        return f"{ended} trials have ended, {wanted} were asked for"
    return f"{ended} of {wanted} trials have ended"


def describe(trial: TrialRecord) -> str:
    """Name a trial's role and its searched settings."""
    hidden = {"method", *filter(is_weight, trial.params)} if trial.role in ZERO_SHOT_ROLES else set()
    params = " ".join(f"{key}={short(value)}" for key, value in trial.params.items() if key not in hidden)
    return ROLES[trial.role] + params


def scored(trial: TrialRecord) -> str:
    """Return a trial's score in percent, and whether it is no better than what takes no training."""
    return percent(trial.score) + floor_note(trial)


def floor_note(one: TrialRecord | EpochReport) -> str:
    """Say that a trial is at the floor, and where that lies; empty where it is not, or nobody measured it."""
    return f" (at the floor, {percent(one.metrics[FLOOR])})" if one.at_floor else ""


def place_of(report: EpochReport) -> str:
    """Say which epoch a report ends, or after how many steps of training it came to a rung within one."""
    return f"epoch {report.epoch}" if report.whole else f"step {report.rung} in epoch {report.epoch}"


def percent(value: float | None) -> str:
    """A fraction in percent, one decimal; a dash for none."""
    return "-" if value is None else f"{100 * value:.1f}"


def say(text: str) -> None:
    """Print one line as it is."""
    console.print(visible(text), markup=False)


def print_plan(plan: Plan, outlook: Sequence[str]) -> None:
    """Print a plan as it was understood, and how long it takes."""
    shown = plan.space.model_dump(mode="json", exclude_none=True, exclude_defaults=False)
    say(f"search {plan.search_id} in {plan.directory}")
    for key, value in shown.items():
        if isinstance(value, dict):
            say(f"{key}:")
            for name, inner in value.items():
                say(f"  {name}: {json.dumps(inner)}")
        else:
            say(f"{key}: {json.dumps(value)}")
    say(f"seed: {plan.seed}")
    together = plan.space.all_trials
    say(f"at a time: at most {min(plan.space.concurrency, together)} of {together} trials")
    if plan.space.baseline_trials > 1:
        own = plan.space.baseline_trials
        say(f"zero-shot: {own} trials, the baseline and {own - 1} drawn for it alone, outside the {plan.space.trials}")
    for line in outlook:
        say(line)


def short(value: object) -> str:
    """A number in three digits; anything else as it is."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
