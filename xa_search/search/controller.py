"""The driver's side of the loop. In: what happens to each trial. Out: what to do next, and news to study and callback.

A batch is proposed as a whole, once every trial of the batch before has ended, and early stopping compares a trial only
with trials of earlier batches. So neither a proposal nor a stop depends on who was faster, nobody waits within a batch,
and a resumed search goes on with the batch that it left.

Both ways to run trials, in this process and through Ray, drive the same SearchController; it alone decides.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import Protocol

from xa_search.errors import StoppedEarly, UsageError, XaSearchError
from xa_search.records import EpochReport, Plan, TrialJob, TrialRecord, TrialState
from xa_search.search.budgets import Budget, DiskBudget, Reserve, epoch_seconds, nothing_reserved
from xa_search.search.early_stopping import EarlyStopping
from xa_search.search.failures import Failure
from xa_search.search.registry import chosen_rule
from xa_search.search.study import SearchStudy
from xa_search.search.trial_events import TrialEvent
from xa_search.search.winner import is_aligned, no_aligned_trial
from xa_search.training.methods import ZERO_SHOT

MakeJob = Callable[[TrialRecord], TrialJob]
SAME_ERROR_LIMIT = 3
LOST_TRIALS_LIMIT = 3


class SearchCallback(Protocol):
    """Is told, in the driver, what happens to the trials. The same news may come twice after a restart."""

    def placed(self, lines: Sequence[str]) -> None:
        """What trials take of a GPU was decided for this run."""

    def trial_started(self, record: TrialRecord) -> None:
        """A worker took the trial up; again when a paused trial goes on."""

    def epoch_reported(self, record: TrialRecord, report: EpochReport) -> None:
        """The trial ended an epoch, or came to a rung within one; `record` already holds its score."""

    def trial_torn(self, record: TrialRecord, lines: Sequence[str]) -> None:
        """The trial could not read some of its files, or is set back."""

    def trial_ended(self, record: TrialRecord) -> None:
        """The trial is COMPLETE, PRUNED or FAIL, or it is PAUSED and goes on in a later run."""


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
        untouched = all(trial.state == "PAUSED" and trial.score is None for trial in members)
        # A driver that died while it proposed a batch left it short; a batch that has trained was whole.
        missing = min(self._size, remaining) - len(members) if untouched else 0
        self._proposed.extend(self._study.propose(batch) for _ in range(len(paused) + missing))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a trial of this run ended; without a failure it did what it was to do."""

    is_aligned: bool
    failure: Failure | None = None


def abort_reason(outcomes: Sequence[Outcome]) -> str:
    """Say why to give up: the first trials of this run all died of one code error, or workers keep dying.

    A zero-shot trial that went well says nothing about the code that aligns, and what lost its worker says nothing.
    """
    tried = [one.failure for one in outcomes if (one.is_aligned or one.failure) and not _is_lost(one)]
    tried = tried[:SAME_ERROR_LIMIT]
    codes = [one for one in tried if one is not None and one.failure == "code"]
    if len(codes) == SAME_ERROR_LIMIT and len({one.frame for one in codes}) == 1:
        return f"the first {SAME_ERROR_LIMIT} trials all failed: {codes[-1].text}; correct this code"
    last = outcomes[-LOST_TRIALS_LIMIT:]
    if len(last) == LOST_TRIALS_LIMIT and all(map(_is_lost, last)) and last[-1].failure is not None:
        return f"{len(last)} trials in a row lost their workers for good: {last[-1].failure.text}; check the nodes"
    return ""


def _is_lost(outcome: Outcome) -> bool:
    return outcome.failure is not None and outcome.failure.failure == "lost_worker"


class SearchController:
    """Hands out trials, enters what they report, and says when the search must stop."""

    def __init__(
        self,
        plan: Plan,
        study: SearchStudy,
        make_job: MakeJob,
        callback: SearchCallback,
        clock: Callable[[], float] = monotonic,
        reserve: Reserve = nothing_reserved,
    ) -> None:
        self._plan = plan
        self._study = study
        self._make_job = make_job
        self._callback = callback
        self._budget = Budget(plan, study.spent(), clock)
        self._reserve = reserve
        self._slots = 1
        self._disk = DiskBudget(plan, lambda record: make_job(record).directory)
        self._batches: Batches | None = None
        rule = chosen_rule(plan.space.scheduler)
        self._rungs = () if rule is None else rule.step_rungs
        self._early_stopping = EarlyStopping(rule, () if plan.deterministic else study.trials())
        self._running: dict[int, TrialRecord] = {}
        self._seconds_before: dict[int, float] = {}
        self._started: set[int] = set()
        self._set_back: set[int] = set()
        self._outcomes: list[Outcome] = []
        self._held: TrialRecord | None = None
        self._no_room = ""
        self._used_up = ""
        self._stop = ""
        self._fatal: XaSearchError | None = None

    @property
    def running(self) -> tuple[int, ...]:
        """The numbers of the trials that were handed out and have not ended."""
        return tuple(self._running)

    @property
    def running_sizes(self) -> tuple[str, ...]:
        """The model sizes of those trials."""
        return tuple(record.settings.model_size for record in self._running.values())

    @property
    def remaining(self) -> int:
        """How many trials are still to end."""
        return self._study.remaining(self._plan.space.trials)

    def begin(self, slots: int, gpus: Mapping[str, float]) -> None:
        """Learn how many trials run at a time at most, and the GPUs of one, by model size. Raises UsageError for GPU
        hours of none.
        """
        if self._plan.gpu_hours is not None and not any(gpus.values()):
            raise UsageError(
                f"--gpu-hours {self._plan.gpu_hours:g}: the trials run on no GPU; leave it out, or type --time-budget"
            )
        self._budget.count_gpus(gpus)
        self._slots = slots
        self._keep_back()
        if self._plan.deterministic:
            # The slots of the first start, so that a resumed search is the same on other hardware.
            size = self._study.keep("batch_size", min(slots, self._plan.space.concurrency))
            self._batches = Batches(self._study, self._early_stopping, size)

    def next_trial(self) -> tuple[TrialRecord, TrialJob] | None:
        """Return a trial to run; none when enough run or ended, while it fits no budget, or at a stop.

        Not every slot has one: what a trial scores teaches the proposals of those that begin after it.
        """
        if self.must_stop() or len(self._running) >= self._plan.space.concurrency:
            return None
        if (record := self._held or self._propose()) is None:
            return None
        self._held = record
        running, trials = self._running.values(), self._study.trials()
        self._no_room = self._budget.forbids(record, running, trials) or self._disk.forbids(record, running, trials)
        if self._no_room:
            return None
        self._held = None
        self._running[record.number] = record
        self._seconds_before[record.number] = record.seconds
        job = self._make_job(record)
        return record, replace(job, rungs=self._rungs) if self._rungs else job

    def epoch_seconds(self, record: TrialRecord) -> float | None:
        """Return how long an epoch of such a trial takes; none where nobody knows yet."""
        return epoch_seconds(record.settings.model_size, self._study.trials())

    def must_stop(self) -> bool:
        """Tell whether the search ends before all its trials did."""
        self._used_up = self._used_up or self._budget.used_up()
        return bool(self._stop or self._used_up)

    def stop(self, reason: str) -> None:
        """End the search early, and let nobody conclude it; the first reason stays."""
        self._stop = self._stop or reason

    def started(self, number: int) -> None:
        """Enter that a worker took the trial up; again after a lost worker, which is not news."""
        if number not in self._running:
            return
        self._set_back.discard(number)
        if number in self._started:
            self._seconds_before[number] = self._running[number].seconds
            return
        self._started.add(number)
        self._budget.trial_started(self._running[number])
        self._callback.trial_started(self._running[number])

    def handle_event(self, number: int, event: TrialEvent) -> bool:
        """Enter an event of a running trial, and tell whether the trial goes on."""
        if number not in self._running:
            return False
        if self._budget.is_worth_noting() and not event.full_disk:
            self._study.note_spent(self._budget.spent())
        seconds = self._seconds_before[number] + event.seconds
        if event.full_disk:  # no fault of the trial, which goes on once there is room
            self.stop(event.full_disk)
            return False
        if event.failure is not None:
            self._end(number, "FAIL", event.failure, seconds)
            return False
        assert event.report is not None
        return self._reported(number, event.report, seconds)

    def lost(self, number: int, failure: Failure) -> None:
        """Enter that a trial is gone for good without a last event; once the search stops, it is paused."""
        if self._stop:
            return
        self._end(number, "FAIL", failure)

    def settle(self) -> None:
        """Pause what still runs: first in the study, then for the callback."""
        begun = self._started & self._running.keys()
        self._running.clear()
        settled = self._study.settle(self._stop or self._used_up or "it was interrupted", begun)
        self._study.note_spent(self._budget.spent())
        for record in settled:
            if record.number in begun:
                self._callback.trial_ended(record)

    def conclude(self) -> str:
        """Return which budget ended the search before all its trials, empty for none; the best so far can be concluded.
        Raises how the search ended otherwise.
        """
        if self._fatal is not None:
            raise self._fatal
        trials, remaining, wanted = self._study.trials(), self.remaining, self._plan.space.all_trials
        if not remaining:
            if reason := no_aligned_trial(trials):
                raise XaSearchError(f"search {self._plan.search_id}: {reason}; no model is registered")
            return ""
        budget = "" if self._stop else self._used_up or self._no_room
        if budget and any(trial.state == "COMPLETE" and self._aligns(trial) for trial in trials):
            return budget
        nothing = "; no trial that aligns has used its full budget, so that no model is registered" if budget else ""
        raise StoppedEarly(
            f"search {self._plan.search_id} stopped after {wanted - remaining} of {wanted} trials: "
            f"{budget or self._stop or 'it was interrupted'}; the same command resumes it{nothing}"
        )

    def _aligns(self, trial: TrialRecord) -> bool:
        return is_aligned(trial) or set(self._plan.space.methods) == {ZERO_SHOT.name}

    def _keep_back(self) -> None:
        self._budget.keep_back(self._reserve(self._study.trials(), self._slots))

    def _propose(self) -> TrialRecord | None:
        wanted = self._plan.space.trials
        if self._batches is not None:
            return self._batches.next_trial(bool(self._running), wanted)
        return None if self._study.remaining(wanted) <= len(self._running) else self._study.propose()

    def _reported(self, number: int, report: EpochReport, seconds: float) -> bool:
        self._tell_torn(number, report)
        record = self._running[number]
        stopped = None if report.final else self._early_stopping.verdict(record, report)
        if self._study.report(number, report, seconds, stopped):
            record = self._running[number] = self._study.trial(number)
            if self._batches is None:
                self._early_stopping.enter(record)
            self._callback.epoch_reported(record, report)
        else:
            stopped = None
        if report.final or stopped is not None:
            self._end(number, "COMPLETE" if report.final else "PRUNED")
        return not report.final and stopped is None

    def _tell_torn(self, number: int, report: EpochReport) -> None:
        """Say what a trial could not read, and once for each time that a worker takes it up, how far it is set back."""
        lines, known = list(report.torn), len(self._running[number].scores)
        if report.epoch < known and number not in self._set_back:
            self._set_back.add(number)
            lines.append(f"it had reported {known} epochs, and goes on with epoch {report.epoch} again")
        if lines:
            self._study.note_torn(number, lines)
            self._running[number] = self._study.trial(number)
            self._callback.trial_torn(self._running[number], lines)

    def _end(
        self, number: int, state: TrialState, failure: Failure | None = None, seconds: float | None = None
    ) -> None:
        self._study.finish(number, state, failure, seconds)
        record = self._running.pop(number)
        self._budget.trial_ended(number)
        self._keep_back()
        self._study.note_spent(self._budget.spent())
        self._outcomes.append(Outcome(is_aligned=self._aligns(record), failure=failure))
        if cause := abort_reason(self._outcomes):
            self.stop(cause)
            self._fatal = XaSearchError(f"search {self._plan.search_id}: {cause}, and type the same command")
        self._callback.trial_ended(self._study.trial(number))
