"""The trials of a running search. In: a Plan, its data, what happens to trials. Out: their jobs, their news for all who
want to know, and what the search's wall time went to.

While trials run, `slots` of them run side by side: their seconds count as wall time divided by the slots. `waiting` is
what is left then: a slot stood empty while another was busy. `idle` is when no trial ran at all.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from xa_search.encoding.store import encode_split
from xa_search.records import EpochReport, Plan, SearchCost, SearchSpace, TrialJob, TrialRecord, TrialSettings
from xa_search.records.search import PLACEMENT, trial_directory
from xa_search.tracking.events import FileLogged, epoch_logged, traceback_logged, trial_ended, trial_started
from xa_search.tracking.tracker import Tracker
from xa_search.training.final_test import score_test
from xa_search.training.progress import remove_progress
from xa_search.training.trial import all_weights, best_weights, jobs_per_target, mean_metrics
from xa_search.workflows.preflight import Prepared

TRIAL_PARTS = {
    "start_seconds": "start",
    "train_seconds": "training",
    "evaluate_seconds": "evaluation",
    "save_seconds": "saving",
}
HALF = 0.5
"""More than this share of a trial's models were trained in bf16: of one, it is 0 or 1."""


class CostMeter:
    """Counts the seconds of one run of a search, from its creation on."""

    def __init__(self, *, trials_run_here: bool) -> None:
        self._trials_run_here = trials_run_here
        self._begin = time.perf_counter()
        self._parts: dict[str, float] = defaultdict(float)
        self._of_trials: dict[str, float] = defaultdict(float)
        self._running: set[int] = set()
        self._slots = 1
        self._busy = 0.0
        self._last_change = 0.0
        self._first_trial: float | None = None

    def elapsed(self) -> float:
        """Return the seconds of this run until now."""
        return time.perf_counter() - self._begin

    @contextmanager
    def stage(self, part: str) -> Iterator[None]:
        """Count the seconds inside as `part`."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self._parts[part] += time.perf_counter() - begin

    @contextmanager
    def trials(self) -> Iterator[None]:
        """Count the seconds inside: before the first trial as start, then as what the trials say."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self._change()
            self._parts["start"] += (self._first_trial or self._last_change) - begin

    def trial_started(self, number: int) -> None:
        """Enter a trial that a worker took up."""
        self._change()
        self._first_trial = self._first_trial or self._last_change
        self._running.add(number)
        self._slots = max(self._slots, len(self._running))

    def epoch_reported(self, report: EpochReport) -> None:
        """Enter the seconds of an epoch."""
        for name, seconds in report.metrics.items():
            self._of_trials[name] += seconds
        if "gpu_utilisation" in report.metrics:
            self._of_trials["gpu_epochs"] += 1

    def trial_ended(self, number: int) -> None:
        """Enter that a trial runs no more."""
        self._change()
        self._running.discard(number)

    def cost(self, cpus_per_trial: int) -> SearchCost:
        """Return where the seconds went until now."""
        parts = dict(self._parts)
        of_trials = {part: self._of_trials[name] / self._slots for name, part in TRIAL_PARTS.items()}
        for part, seconds in of_trials.items():
            parts[part] = parts.get(part, 0.0) + seconds
        parts["waiting"] = max(0.0, self._busy - sum(of_trials.values()))
        wall = self.elapsed()
        cores = self._slots * cpus_per_trial
        cpu = time.process_time() + (0.0 if self._trials_run_here else self._of_trials["cpu_seconds"])
        gpu_epochs = self._of_trials["gpu_epochs"]
        return SearchCost(
            wall=wall,
            parts=parts | {"idle": max(0.0, wall - sum(parts.values()))},
            slots=self._slots,
            core_utilisation=cpu / (cores * wall),
            gpu_utilisation=self._of_trials["gpu_utilisation"] / gpu_epochs if gpu_epochs else None,
        )

    def _change(self) -> None:
        """Count the time since the last change as busy, if a trial ran."""
        now = time.perf_counter()
        if self._running:
            self._busy += now - self._last_change
        self._last_change = now


class ProgressReporter(Protocol):
    """Who follows a search while it runs."""

    def note(self, text: str) -> None:
        """Hear one thing that happened."""

    def reading(self, done: int, total: int | None) -> None:
        """Hear how much of the corpus is read."""

    def download(self, done: int, total: int | None) -> None:
        """Hear how many bytes of a download are there."""

    def resumed(self, earlier: Sequence[TrialRecord]) -> None:
        """Hear what became of the trials of a search that goes on."""

    def trial_started(self, record: TrialRecord) -> None:
        """Hear that a trial started."""

    def epoch_reported(self, record: TrialRecord, report: EpochReport) -> None:
        """Hear an epoch's score."""

    def trial_ended(self, record: TrialRecord) -> None:
        """Hear how a trial ended."""


class TrackingCallback:
    """Hands the news of the trials on to the tracker, the progress reporter and the cost meter."""

    def __init__(self, directory: Path, tracker: Tracker, reporter: ProgressReporter, meter: CostMeter) -> None:
        self._directory = directory
        self._tracker = tracker
        self._reporter = reporter
        self._meter = meter

    def placed(self, lines: Sequence[str]) -> None:
        """Hand on what trials take of a GPU."""
        path = self._directory / PLACEMENT
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        self._tracker.record(FileLogged(path=str(path)))
        for line in lines:
            self._reporter.note(line)

    def trial_started(self, record: TrialRecord) -> None:
        """Hand on that a trial started."""
        self._meter.trial_started(record.number)
        self._tracker.record(trial_started(record))
        self._reporter.trial_started(record)

    def epoch_reported(self, record: TrialRecord, report: EpochReport) -> None:
        """Hand on an epoch's metrics."""
        self._meter.epoch_reported(report)
        self._tracker.record(epoch_logged(record.number, report))
        self._reporter.epoch_reported(record, report)

    def trial_torn(self, record: TrialRecord, lines: Sequence[str]) -> None:
        """Hand on what a trial could not read; MLflow hears of it with the trial's end."""
        for line in lines:
            self._reporter.note(f"trial {record.number}: {line}")

    def trial_ended(self, record: TrialRecord) -> None:
        """Hand on how a trial ended, and drop what only one that goes on or may win still needs."""
        folder = trial_directory(self._directory, record.number)
        if record.state != "PAUSED":
            remove_progress(folder)
        if record.state in ("PRUNED", "FAIL"):
            for path in all_weights(folder):
                path.unlink()
        self._meter.trial_ended(record.number)
        self._tracker.record(trial_ended(record))
        for event in traceback_logged(record, folder):
            self._tracker.record(event)
        self._reporter.trial_ended(record)


def remove_leftover_progress(search: Path, trials: Iterable[TrialRecord]) -> None:
    """Drop what a driver that was killed left in the folders of trials that had ended."""
    for trial in trials:
        if trial.state not in ("RUNNING", "PAUSED"):
            remove_progress(trial_directory(search, trial.number))


def make_trial_job(plan: Plan, prepared: Prepared, settings: TrialSettings, name: int | str) -> TrialJob:
    """Return what a worker needs to train a trial with these settings."""
    encoder = prepared.encoders[settings.model_size]
    return TrialJob(
        settings=settings,
        encoder=encoder,
        corpus=prepared.encoded[encoder.tokenizer_fingerprint],
        selection=plan.space.selection,
        directory=trial_directory(plan.directory, name),
        home=plan.home,
        threads=plan.space.cpus_per_trial,
        search=plan.directory,
        deterministic=plan.deterministic,
    )


def trained_job(plan: Plan, prepared: Prepared, trial: TrialRecord) -> TrialJob:
    """Return what a worker needs to ask the model of a finished trial: in the precision that it was trained in."""
    settings = trial.settings
    if settings.precision == "auto" and "bf16" in trial.metrics:
        settings = settings.model_copy(update={"precision": "bf16" if trial.metrics["bf16"] > HALF else "fp32"})
    return make_trial_job(plan, prepared, settings, trial.number)


def tested_languages(space: SearchSpace, job: TrialJob) -> tuple[str, ...]:
    """Return the languages in which a model is tested: of several, each on its own target."""
    return space.source, *job.corpus.targets, *space.unseen_languages


def score_trial_on_test(plan: Plan, prepared: Prepared, job: TrialJob) -> dict[str, float]:
    """Encode the test splits, which nothing has opened before, and score a finished trial's best weights.

    Of several models, each is scored on its own target, on the source and on the unseen languages.
    """
    space = plan.space
    tokenizer = prepared.tokenizers[job.encoder.tokenizer_fingerprint]
    encode_split(job.corpus, prepared.corpus, tokenizer, plan.max_tokens, "test", space.tested_languages)
    return mean_metrics(
        [score_test(one, best_weights(one.directory), tested_languages(space, one)) for one in jobs_per_target(job)]
    )
