"""Searches whose processes are killed. In: what to kill, and a seed. Out: what was hit, and what the books say then.

Whatever ended a run, the same command is typed again until the search has finished; then the next search begins. After
an accident it is typed for the home where that lies then, and with the clock that there is then.
"""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from accidents import SmallDisk, clock_set_back, tear
from bookkeeping import Difference, EndedTrials, compare
from driver_run import Clock, DriverRun
from mlflow_server import Server
from process_killer import Hit, ProcessKiller, Target

from xa_search.records import Plan
from xa_search.rehearsal.driver import kill_session, processes_of
from xa_search.search.history import read_search
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
    told: tuple[str, ...] = ()
    """The lines on what could not be read."""


@dataclass(slots=True, kw_only=True)
class Outcome:
    """All runs, and what the books of their searches say."""

    runs: list[Run] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    accidents: list[str] = field(default_factory=list)


class ChaosTest:
    """Runs searches of `trials` trials on a disk, and hits one target after the other meanwhile.

    `options` are more words of the command; the server is somebody else's to start and to end.
    """

    def __init__(
        self,
        disk: SmallDisk,
        server: Server,
        targets: Sequence[Target],
        chance: str,
        trials: int,
        say: Callable[[str], None],
        changes: Sequence[str] = (),
        options: Sequence[str] = (),
    ) -> None:
        self._disk, self._server, self._say = disk, server, say
        self._home = disk.folder / "home-0"
        self._homes = 0
        self._changes = (*CHANGES, f"trials={trials}", *changes)
        self._options = options
        self._clock = Clock()
        self._random = Random(f"accidents {chance}")
        self._killer = ProcessKiller(targets, Random(chance), self._clock, server, disk)
        self._sessions: list[int] = []
        self._faked: dict[str, str] = {}
        self._outcome = Outcome()

    def search(self, seed: int) -> Outcome:
        """Type the same command until the search has finished, then compare its books; return what came of it."""
        self._outcome, self._faked = Outcome(), {}
        self._home.mkdir(parents=True, exist_ok=True)
        plan = self._plan(seed)
        ended = EndedTrials(plan.directory)
        for _ in range(MOST_RUNS):
            has_finished = self._run(plan)
            self._befall(plan)
            plan = self._plan(seed)
            self._note(ended.look(plan.directory))
            if has_finished:
                break
        else:
            self._note([Difference(kind="lost", text=f"{plan.search_id} did not finish in {MOST_RUNS} runs")])
        self._await_last_process()
        self._await_server()
        self._note(compare(plan.directory, self._server.uri))
        return self._outcome

    def _plan(self, seed: int) -> Plan:
        return make_plan(SPACE, self._changes, home=self._home, seed=seed)

    def _run(self, plan: Plan) -> bool:
        """Type the command once, and kill meanwhile; tell whether the search has finished."""
        command = [sys.executable, "-P", "-c", "from xa_search.cli.main import main; main()", "run", SPACE]
        command += ["--home", str(self._home), "--seed", str(plan.seed), *self._options]
        command += [word for change in self._changes for word in ("--set", change)]
        environment = {**os.environ, "MLFLOW_TRACKING_URI": self._server.uri, "HF_HUB_OFFLINE": "1", **self._faked}
        driver = DriverRun(command, environment, self._disk.folder.with_suffix(".said"), plan.directory)
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
                self._say(f"{plan.search_id}, {hit.phase}: {hit.process} hit")
        self._killer.run_ended()
        self._disk.free()
        self._sessions.append(driver.session)
        said = driver.said.decode(errors="replace")
        lines = [line for line in said.replace(str(self._home), "HOME").splitlines() if line.strip()] or [""]
        self._say(f"{plan.search_id} ended with {exit_code}: {said[-8000:] if hung else lines[-1]}")
        told = tuple(line for line in lines if " is torn (" in line or "had reported" in line)
        self._outcome.runs.append(
            Run(
                search_id=plan.search_id,
                hits=tuple(hits),
                exit_code=exit_code,
                last_line=lines[-1],
                hung=hung,
                told=told,
            )
        )
        return exit_code == 0 and any(line.startswith("registered: ") for line in lines)

    def _befall(self, plan: Plan) -> None:
        """Let happen what the driver's death was only the beginning of, once all its processes have ended."""
        for hit in self._outcome.runs[-1].hits:
            if hit.target not in ("torn", "moved", "clock"):
                continue
            self._await_last_process()
            if hit.target == "torn":
                trials = read_search(plan.directory)
                over = {
                    str(t.number) for t in (trials.trials if trials else ()) if t.state not in ("RUNNING", "PAUSED")
                }
                what = tear(plan.directory, over, self._random)
            elif hit.target == "moved":
                self._homes += 1
                self._home = self._home.rename(self._disk.folder / f"home-{self._homes}")
                what = f"the home lies in {self._home.name}"
            else:
                hours, self._faked = clock_set_back(self._random)
                what = f"the clock goes back by {hours:.1f} hours"
            self._outcome.accidents.append(what)
            self._say(f"{plan.search_id}: {what}")

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
