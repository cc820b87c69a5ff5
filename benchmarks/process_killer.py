"""Who dies when. In: the kinds of processes to kill, and chance. Out: each kill, once a run has come so far.

An accident takes the driver with it, but for a full disk, which the driver lives to see.

A kind, a phase of the run and a moment in it are drawn. Where there is no such process then, the killer waits for one;
where the phase passes without one, it draws the phase again.
"""

import os
import signal
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Literal, get_args

from accidents import ACCIDENTS, Accident, SmallDisk
from driver_run import PHASES, Clock, DriverRun, Phase
from mlflow_server import Server

from xa_search.rehearsal.driver import Process, processes_of

Victim = Literal["driver", "worker", "daemon", "server"]
Target = Victim | Accident
TARGETS: tuple[Target, ...] = (*get_args(Victim), *ACCIDENTS)
REACH: dict[Target, tuple[Phase, ...]] = {
    "driver": PHASES,
    "worker": ("trials",),
    "daemon": ("start", "trials"),
    "server": PHASES,
    "disk": ("trials", "conclusion"),
    "torn": PHASES,
    "moved": PHASES,
    "clock": PHASES,
}
"""The phases in which there may be such a process."""
LONGEST_WAIT: dict[Phase, float] = {"start": 20.0, "trials": 8.0, "conclusion": 12.0}
SERVER_AWAY_SECONDS = (1.0, 8.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A kill: of which kind, which process, and how far its run seemed to be."""

    target: Target
    process: str
    phase: Phase


@dataclass(slots=True, kw_only=True)
class Aim:
    """What dies next, and when: `wait` seconds after it was first seen that the run is in this phase."""

    target: Target
    phase: Phase
    wait: float
    due: float | None = None


class ProcessKiller:
    """Kills one process after the other; a server that it killed is started again some seconds later."""

    def __init__(
        self, targets: Iterable[Target], random: Random, clock: Clock, server: Server, disk: SmallDisk
    ) -> None:
        self._targets = deque(targets)
        self._random, self._clock, self._server, self._disk = random, clock, server, disk
        self._server_returns = 0.0
        self._aim: Aim | None = None

    @property
    def is_done(self) -> bool:
        """Tell whether all targets were hit."""
        return not self._targets

    def look(self, run: DriverRun) -> Hit | None:
        """Kill what is due; return it."""
        if self._server.session is None and self._clock.seconds >= self._server_returns:
            self._server.start()
        phase = run.phase
        if self._aim is None or PHASES.index(self._aim.phase) < PHASES.index(phase):
            self._aim = self._draw(phase)
        aim = self._aim
        if aim is None or aim.phase != phase:
            return None
        if aim.due is None:
            aim.due = self._clock.seconds + aim.wait
        if self._clock.seconds < aim.due or (process := self._kill(aim.target, run)) is None:
            return None
        self._aim = None
        self._targets.popleft()
        return Hit(target=aim.target, process=process, phase=phase)

    def run_ended(self) -> None:
        """Draw anew for the next run: this one ended before it was hit."""
        self._aim = None

    def _draw(self, phase: Phase) -> Aim | None:
        """Aim at a phase that this run has not left; none where there will be no such process."""
        if not self._targets:
            return None
        target = self._targets[0]
        ahead = [one for one in REACH[target] if PHASES.index(one) >= PHASES.index(phase)]
        if not ahead:
            return None
        chosen = self._random.choice(ahead)
        return Aim(target=target, phase=chosen, wait=self._random.uniform(0.0, LONGEST_WAIT[chosen]))

    def _kill(self, target: Target, run: DriverRun) -> str | None:
        """Kill a process of a kind, and return its name; none where there is no such process."""
        if target == "server":
            if not self._server.answers():
                return None
            self._server.kill()
            self._server_returns = self._clock.seconds + self._random.uniform(*SERVER_AWAY_SECONDS)
            return "mlflow server"
        if target == "disk":
            self._disk.fill()
            return "full disk"
        victim = self._victim(target, run.session)
        if victim is None:
            return None
        with suppress(ProcessLookupError):
            os.kill(victim.pid, signal.SIGKILL)
        return f"driver ({target})" if target in ACCIDENTS else victim.daemon or target

    def _victim(self, target: Target, session: int) -> Process | None:
        living = processes_of(session)
        if target == "driver" or target in ACCIDENTS:
            return next((process for process in living if process.pid == session), None)
        if target == "worker":
            workers = [process for process in living if process.is_worker]
            return self._random.choice(workers) if workers else None
        kinds = sorted({process.daemon for process in living} - {""})
        if not kinds:
            return None
        kind = self._random.choice(kinds)
        return self._random.choice([process for process in living if process.daemon == kind])
