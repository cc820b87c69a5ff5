"""One run of a search's command. In: the command and its places. Out: how far it seems to be, and how it ended.

How far it is, is read from what it says, never from the time: a machine that stands still for a while changes nothing.
"""

import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Literal, get_args

Phase = Literal["start", "trials", "conclusion"]
PHASES: tuple[Phase, ...] = get_args(Phase)
SIGNS: dict[Phase, re.Pattern[bytes]] = {
    "conclusion": re.compile(rb"^\[[\d:]+\] winner: trial ", re.MULTILINE),
    "trials": re.compile(rb"^\[[\d:]+\] trial \d+ starts: ", re.MULTILINE),
}
BETWEEN_LOOKS = 0.05
LONGEST_LOOK = 0.5


class Clock:
    """Counts the seconds that were seen to pass: those in which this process stood still do not count."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._last = time.monotonic()

    def tick(self) -> None:
        """Wait a moment and count it."""
        time.sleep(BETWEEN_LOOKS)
        now = time.monotonic()
        self.seconds += min(now - self._last, LONGEST_LOOK)
        self._last = now


class DriverRun:
    """The command, running in a session of its own."""

    def __init__(self, command: list[str], environment: dict[str, str], output: Path, search: Path) -> None:
        self._output, self._search = output, search
        # A driver that is told to abort writes down where it stood.
        environment = {**environment, "PYTHONFAULTHANDLER": "1"}
        with output.open("wb") as said:
            self._process = subprocess.Popen(
                command, env=environment, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
            )
        self.session: int = self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended; none while it runs."""
        return self._process.poll()

    @property
    def said(self) -> bytes:
        """What it printed so far."""
        return self._output.read_bytes()

    @property
    def phase(self) -> Phase:
        """How far it is, by what it says."""
        said = self.said
        return next((phase for phase, sign in SIGNS.items() if sign.search(said)), "start")

    @property
    def sign_of_life(self) -> tuple[int, ...]:
        """Something that changes whenever it gets on."""
        files = (self._output, self._search / "study.journal", self._search / "spool.jsonl")
        return tuple(path.stat().st_size if path.exists() else 0 for path in files)

    def abort(self) -> None:
        """End a run that hangs, after it has written down where."""
        self._process.send_signal(signal.SIGABRT)
        self._process.wait()
