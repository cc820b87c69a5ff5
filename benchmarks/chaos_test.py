"""Searches whose processes are killed. In: what to kill, and a seed. Out: what was hit, and what the books say then.

Whatever ended a run, the same command is typed again until the search has finished; then the next search begins.
"""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from bookkeeping import Difference, EndedTrials, compare
from driver_run import Clock, DriverRun
from mlflow_server import MlflowServer
from process_killer import Hit, ProcessKiller, Target

from xa_search.records import Plan
from xa_search.rehearsal.driver import kill_session, processes_of
from xa_search.workflows.plan import make_plan

HUNG_SECONDS = 240.0
GONE_SECONDS = 150.0
MOST_RUNS = 40
SPACE = "mtop-mini"
CHANGES = (
    "params.model_size.choices=[tiny]",
    "params.learning_rate={low: 1.0e-5, high: 1.0e-2, log: true}",
    "published={align_weight: 1, learning_rate: 2.0e-5, model_size: tiny}",
    "baseline={learning_rate: 1.0e-3, model_size: tiny}",
    "fixed={epochs: 6, batch_size: 32, train_limit: 400, dev_limit: 40, test_limit: 40}",
    "targets=[de, th]",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The command typed once: what was killed meanwhile, and how it ended; `hung` where it had to be aborted."""

    search_id: str
    hits: tuple[Hit, ...]
    exit_code: int
    last_line: str
    hung: bool


@dataclass(slots=True, kw_only=True)
class Outcome:
    """All runs, and what the books of their searches say."""

    runs: list[Run] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)


class ChaosTest:
    """Runs searches of `trials` trials until all targets were hit and the last search has finished."""

    def __init__(
        self,
        home: Path,
        targets: Sequence[Target],
        seed: int,
        trials: int,
        say: Callable[[str], None],
        changes: Sequence[str] = (),
    ) -> None:
        self._home, self._say = home, say
        self._changes = (*CHANGES, f"trials={trials}", *changes)
        self._clock = Clock()
        self._server = MlflowServer(home / "server")
        self._killer = ProcessKiller(targets, Random(seed), self._clock, self._server)
        self._sessions: list[int] = []
        self._outcome = Outcome()

    def run(self) -> Outcome:
        """Return what came of it."""
        self._server.start()
        seed = 0
        try:
            while not self._killer.is_done:
                seed += 1
                self._search(seed)
        finally:
            self._server.kill()
        return self._outcome

    def _search(self, seed: int) -> None:
        """Type the same command until the search has finished, then compare its books."""
        plan = make_plan(SPACE, self._changes, home=self._home, seed=seed)
        command = [sys.executable, "-c", "from xa_search.cli.main import main; main()", "run", SPACE]
        command += ["--home", str(self._home), "--seed", str(seed)]
        command += [word for change in self._changes for word in ("--set", change)]
        ended = EndedTrials(plan.directory)
        for _ in range(MOST_RUNS):
            has_finished = self._run(command, plan)
            self._note(ended.look())
            if has_finished:
                break
        else:
            self._note([Difference(kind="lost", text=f"{plan.search_id} did not finish in {MOST_RUNS} runs")])
        self._await_last_process()
        self._await_server()
        self._note(compare(plan.directory, self._server.uri))

    def _run(self, command: list[str], plan: Plan) -> bool:
        """Type the command once, and kill meanwhile; tell whether the search has finished."""
        environment = {**os.environ, "MLFLOW_TRACKING_URI": self._server.uri, "HF_HUB_OFFLINE": "1"}
        driver = DriverRun(command, environment, self._home / f"run-{len(self._outcome.runs) + 1}.txt", plan.directory)
        hits, hung = [], False
        sign, moved = driver.sign_of_life, self._clock.seconds
        while (exit_code := driver.exit_code) is None:
            self._clock.tick()
            if (now := driver.sign_of_life) != sign:
                sign, moved = now, self._clock.seconds
            elif self._clock.seconds - moved > HUNG_SECONDS:
                hung = True
                driver.abort()
            elif (hit := self._killer.look(driver)) is not None:
                hits.append(hit)
                self._say(f"{plan.search_id}, {hit.phase}: {hit.process} killed")
        self._killer.run_ended()
        self._sessions.append(driver.session)
        said = driver.said.decode(errors="replace")
        lines = [line for line in said.replace(str(self._home), "HOME").splitlines() if line.strip()] or [""]
        self._say(f"{plan.search_id} ended with {exit_code}: {said[-8000:] if hung else lines[-1]}")
        self._outcome.runs.append(
            Run(search_id=plan.search_id, hits=tuple(hits), exit_code=exit_code, last_line=lines[-1], hung=hung)
        )
        return exit_code == 0 and any(line.startswith("registered: ") for line in lines)

    def _await_last_process(self) -> None:
        """Wait for all that the runs started to end; what does not is killed."""
        begin = self._clock.seconds
        while any(map(processes_of, self._sessions)) and self._clock.seconds - begin < GONE_SECONDS:
            self._clock.tick()
        left = [process for session in self._sessions for process in kill_session(session)]
        self._note([Difference(kind="left running", text=f"{process.title} outlived its driver") for process in left])
        self._sessions.clear()

    def _await_server(self) -> None:
        if self._server.session is None:
            self._server.start()
        while not self._server.answers():
            self._clock.tick()

    def _note(self, differences: Sequence[Difference]) -> None:
        self._outcome.differences += differences
        for difference in differences:
            self._say(f"{difference.kind}: {difference.text}")
