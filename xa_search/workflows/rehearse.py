"""The rehearsal of a search. In: a space and its data. Out: one line a step, and a forecast of the real search.

check -> search -> a killed worker -> Ctrl-C -> the same command again -> early stopping -> conclusion -> registration
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from xa_search.cluster.check import check_file
from xa_search.cluster.cluster_file import ClusterGpus, cluster_gpus
from xa_search.corpora.lost_rows import told_losses
from xa_search.errors import DataError, StoppedEarly, UsageError, XaSearchError
from xa_search.model.sizes import resolve_size
from xa_search.records import Plan
from xa_search.records.search import trial_directory
from xa_search.rehearsal.driver import Driver
from xa_search.rehearsal.search_forecast import GpuTerms, SearchForecast, forecast_search
from xa_search.rehearsal.setup import EPOCHS, LOG, environment, own_home, rehearsal_changes
from xa_search.search.history import SearchHistory, read_search
from xa_search.search.resources import cpus_here
from xa_search.workflows.plan import make_plan
from xa_search.workflows.preflight import CheckedCorpus, check_search

WIDTH = 15


class RehearsalSteps:
    """Tells of each step how it ended and how long it took."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._errors: list[XaSearchError] = []

    def note(self, line: str) -> None:
        """Say something between two steps."""
        self._note(line)

    @contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        """Time a step; what it adds to the list is told with it. Its error ends the rehearsal."""
        found: list[str] = []
        begin = time.perf_counter()
        try:
            yield found
        except XaSearchError:
            self._note(f"{name:<{WIDTH}} wrong ({time.perf_counter() - begin:.1f} s)")
            raise
        self._note(f"{name:<{WIDTH}} ok ({time.perf_counter() - begin:.1f} s): {', '.join(found)}")

    @contextmanager
    def check(self, name: str) -> Iterator[list[str]]:
        """Time a step whose error waits for those of the other checks."""
        try:
            with self.step(name) as found:
                yield found
        except XaSearchError as error:
            self._errors.append(error)

    def raise_all(self) -> None:
        """Raise the errors of all checks at once, as the first one's kind."""
        if self._errors:
            raise type(self._errors[0])("\n".join(str(error) for error in self._errors))


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsalRequest:
    """What to rehearse: the command line of the real search, and what only the forecast needs."""

    space: str
    changes: tuple[str, ...]
    data: Path | None
    home: Path
    cluster: Path | None
    keep: bool
    gpu_price: float | None
    gpu_steps: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the checks found: the real search's plan, its corpus, and the GPUs of its cluster."""

    plan: Plan
    checked: CheckedCorpus
    gpus: ClusterGpus | None


def rehearse(request: RehearsalRequest, note: Callable[[str], None]) -> SearchForecast:
    """Rehearse a search in a home of its own, then forecast the real one. Raises XaSearchError at the first fault."""
    with own_home(request.home, note, keep=request.keep) as home:
        steps = RehearsalSteps(note)
        found = _check(request, home, steps)
        changes = rehearsal_changes(found.plan.space, found.checked.check, cpus_here())
        plan = make_plan(request.space, (*request.changes, *changes), home=home, data=request.data)
        watch = partial(Driver, _command(request, changes, home), environment(), home / LOG)
        with watch() as driver:
            _begin(driver, plan, steps)
            _kill_worker(driver, plan, steps)
            paused = _interrupt(driver, plan, steps)
        with watch() as driver:
            _resume(driver, plan, paused, steps)
            _conclude(driver, steps)
        with steps.step("forecast") as said:
            terms = GpuTerms(cluster=found.gpus, steps=request.gpu_steps, price=request.gpu_price)
            outlook = forecast_search(found.plan, found.checked.corpus, found.checked.check, terms, request.home, home)
            said.append("steps timed, see below")
    return outlook


def _check(request: RehearsalRequest, home: Path, steps: RehearsalSteps) -> Found:
    """Check the space, its data and the cluster file; raise all faults at once."""
    with steps.step("search space") as said:
        plan = make_plan(request.space, request.changes, home=home, data=request.data)
        for size in plan.space.model_sizes:
            resolve_size(size)
        said.append(f"{plan.name}, {plan.space.trials} trials of {', '.join(plan.space.model_sizes)}")
    checked, gpus = None, None
    with steps.check("data check") as said:
        try:
            checked = check_search(plan, ("tiny",), lambda _: None)
        except DataError as error:  # a corpus that is to be put somewhere belongs into the user's home
            raise DataError(str(error).replace(str(home), str(request.home))) from None
        said.append(_counts(checked))
    for line in told_losses(checked.check) if checked is not None else ():
        steps.note(line)
    if request.cluster is not None:
        with steps.check("cluster file") as said:
            if faults := check_file(request.cluster).lines(request.cluster):
                raise UsageError("\n".join(faults))
            gpus = cluster_gpus(request.cluster)
            said.append(f"{request.cluster}, at most {gpus.at_once} GPUs")
    steps.raise_all()
    assert checked is not None
    return Found(plan=plan, checked=checked, gpus=gpus)


def _counts(checked: CheckedCorpus) -> str:
    check = checked.check
    rows, repaired, dropped = (
        sum(getattr(split, name) for split in check.splits) for name in ("rows", "repaired", "dropped")
    )
    missing = sum(one.missing for one in check.translations)
    return (
        f"{check.name} in {', '.join((check.source, *check.targets))}: {rows} rows to train and choose by, "
        f"{repaired} repaired, {dropped} dropped, {missing} translations missing"
    )


def _command(request: RehearsalRequest, changes: tuple[str, ...], home: Path) -> list[str]:
    """Return the user's command with the rehearsal's changes."""
    command = [sys.executable, "-P", "-m", "xa_search", "run", request.space, "--home", str(home)]
    if request.data is not None:
        command += ["--data", str(request.data)]
    return command + [word for change in (*request.changes, *changes) for word in ("--set", change)]


def _begin(driver: Driver, plan: Plan, steps: RehearsalSteps) -> None:
    with steps.step("search") as said:
        driver.wait_for(lambda: driver.epochs() or None, "as a search whose first trials train")
        said.append(f"{plan.space.trials} trials of the tiny encoder, {EPOCHS} epochs each")


def _kill_worker(driver: Driver, plan: Plan, steps: RehearsalSteps) -> None:
    """Kill the worker of a trial that has epochs to come, and wait until another has taken the trial up."""

    def strike() -> tuple[int, int] | None:
        for number, epochs in driver.epochs().items():
            for worker in driver.workers_on(trial_directory(plan.directory, number)) if len(epochs) < EPOCHS else ():
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
                    return number, worker
        return None

    with steps.step("killed worker") as said:
        number, killed = driver.wait_for(strike, "with a trial that can lose its worker")
        folder, before = trial_directory(plan.directory, number), len(driver.epochs()[number])

        def taken_up() -> str | None:
            others = [pid for pid in driver.workers_on(folder) if pid != killed]
            return f"process {others[0]}" if others else None

        by = driver.wait_for(taken_up, f"with another worker for trial {number}")
        said.append(f"trial {number} lost process {killed} after epoch {before}, {by} took it up")


def _interrupt(driver: Driver, plan: Plan, steps: RehearsalSteps) -> SearchHistory:
    with steps.step("interruption") as said:
        driver.interrupt()
        driver.end(StoppedEarly.exit_code, f"with {StoppedEarly.exit_code}, resumable, at Ctrl-C")
        search = _search(plan)
        waiting = [trial for trial in search.trials if trial.state == "PAUSED"]
        said.append(f"Ctrl-C, {search.ended} trials ended, {len(waiting)} to resume")
    return search


def _resume(driver: Driver, plan: Plan, before: SearchHistory, steps: RehearsalSteps) -> None:
    """Wait until the same command has run all trials; look what became of those that waited, and who was stopped."""
    with steps.step("resume") as said:
        driver.wait_for_words("] winner: trial ", "after all its trials")
        search = _search(plan)
        for trial in (trial for trial in before.trials if trial.state == "PAUSED" and trial.scores):
            again = driver.epochs().get(trial.number, [])
            if again[:1] != [len(trial.scores) + 1] and len(trial.scores) < EPOCHS:
                raise XaSearchError(f"trial {trial.number} reported the epochs {again} after {len(trial.scores)}")
            said.append(f"trial {trial.number} resumed with epoch {len(trial.scores) + 1}")
        lost = [trial for trial in search.trials if trial.state not in ("COMPLETE", "PRUNED")]
        if lost or search.ended != plan.space.all_trials:
            states = ", ".join(f"trial {trial.number} {trial.state} {trial.failure_text}".strip() for trial in lost)
            raise XaSearchError(
                f"{search.ended} of {plan.space.all_trials} trials ended well: {states or 'some are lost'}"
            )
        said.append(f"all {search.ended} trials ended")
    with steps.step("early stopping") as said:
        stopped = [(trial.number, trial.stopped_at) for trial in search.trials if trial.stopped_at is not None]
        if not stopped:
            raise XaSearchError(
                "no trial was stopped early: none scored below the others after epoch 2, the tiny encoder learned "
                f"nothing from this corpus; `xa-search status --home {plan.home}` shows the scores"
            )
        for number, at in stopped:
            said.append(f"trial {number} after {at.where}, rank {at.rank} of {at.competitors}")


def _conclude(driver: Driver, steps: RehearsalSteps) -> None:
    with steps.step("conclusion") as said:
        driver.wait_for_words("] registering the winner", "with a tested winner")
        said.append("winner and zero-shot trial tested, report written")
    with steps.step("registration") as said:
        driver.end(0, "with 0 after a registration")
        line = driver.wait_for_words("registered: ", "with a registered model")
        said.append(f"{line.removeprefix('registered: ')}, loaded back in a fresh process with the same answers")


def _search(plan: Plan) -> SearchHistory:
    search = read_search(plan.directory)
    if search is None:
        raise XaSearchError(f"{plan.directory}: no readable study; this is a fault of xa-search")
    return search
