"""A real `xa-search run` that is watched. In: its command. Out: what it says, what happened to it, and its
processes.

A command that was started in a session of its own keeps all that it starts in it: Ray begins no further session.

It runs in a session of its own, of which nothing is left when the watch ends.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import psutil

from xa_search.errors import XaSearchError

DAEMONS = ("raylet", "gcs_server")
WORKER_TITLE = "ray::ImplicitFunc"
HELPERS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent", "/monitor.py", "/log_monitor.py", "/dashboard.py")
BETWEEN_LOOKS = 0.02
SILENCE_SECONDS = 600.0
EPOCH = re.compile(r"trial (\d+) epoch (\d+)/")
ERROR = "error: "
Seen = TypeVar("Seen")


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A living process: its number, the name of its program, and its command line or the title it gave itself."""

    pid: int
    name: str
    title: str

    @property
    def is_worker(self) -> bool:
        """Tell whether it trains a trial."""
        return self.title.startswith(WORKER_TITLE)

    @property
    def daemon(self) -> str:
        """Which of Ray's daemons it is: raylet, gcs_server or one of their helpers; empty for none."""
        if self.name in DAEMONS:
            return self.name
        return "helper" if any(part in self.title for part in HELPERS) else ""


def processes_of(session: int) -> list[Process]:
    """Return the living processes of a session; one that has ended and waits for its parent does not live."""
    found = (_process(pid, session) for pid in psutil.pids())
    return [process for process in found if process is not None]


def _process(pid: int, session: int) -> Process | None:
    try:
        if os.getsid(pid) != session:
            return None
        process = psutil.Process(pid)
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return None
        return Process(pid=pid, name=process.name(), title=" ".join(process.cmdline()).strip())
    except (OSError, psutil.Error):
        return None


def kill_session(session: int) -> list[Process]:
    """Kill what is left of a session, and return it."""
    left = processes_of(session)
    for process in left:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    return left


class Driver:
    """The command while it runs; what it says is added to `log`."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        self._said_before = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output, _heeded_interrupts():
            self._process = subprocess.Popen(
                command,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> "Driver":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What is killed may have started something just before.
        while kill_session(self.session):
            time.sleep(BETWEEN_LOOKS)
        self._process.wait()

    @property
    def session(self) -> int:
        """The session that all its processes are in."""
        return self._process.pid

    @property
    def output(self) -> str:
        """What it printed so far."""
        return self._log.read_bytes()[self._said_before :].decode(errors="replace")

    def epochs(self) -> dict[int, list[int]]:
        """Return the epochs that it reported, by trial."""
        found: dict[int, list[int]] = {}
        for trial, epoch in EPOCH.findall(self.output):
            found.setdefault(int(trial), []).append(int(epoch))
        return found

    def wait_for(self, look: Callable[[], Seen | None], meant: str) -> Seen:
        """Look again and again until there is something to see.

        Raises XaSearchError when the run ends without, or has said nothing for `SILENCE_SECONDS`.
        """
        heard, heard_at = 0, time.monotonic()
        while True:
            has_ended = self._process.poll() is not None
            if (seen := look()) is not None:
                return seen
            if has_ended:
                raise XaSearchError(self._ended(meant))
            if (length := self._log.stat().st_size) != heard:
                heard, heard_at = length, time.monotonic()
            if time.monotonic() - heard_at > SILENCE_SECONDS:
                still = f"`xa-search run` has said nothing for {SILENCE_SECONDS:.0f} s, and did not end {meant}"
                raise XaSearchError(f"{still}\nall that it said is in {self._log}")
            time.sleep(BETWEEN_LOOKS)

    def wait_for_words(self, words: str, meant: str) -> str:
        """Wait until it prints a line with these words; return that line."""
        return self.wait_for(lambda: next((line for line in self.output.splitlines() if words in line), None), meant)

    def workers_on(self, folder: Path) -> list[int]:
        """Return the processes that train the trial of a folder: they have a file of it open."""
        workers = [process.pid for process in processes_of(self.session) if process.is_worker]
        return [pid for pid in workers if any(folder in path.parents for path in _open_files(pid))]

    def interrupt(self) -> None:
        """Do what Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)

    def end(self, exit_code: int, meant: str) -> None:
        """Wait for its end. Raises XaSearchError for another exit code, or when it never comes."""
        if self.wait_for(self._process.poll, meant) != exit_code:
            raise XaSearchError(self._ended(meant))

    def _ended(self, meant: str) -> str:
        """Say how it ended: in its own words, which also say what to type."""
        lines = self.output.strip().splitlines() or ["without a word"]
        errors = [line.removeprefix(ERROR) for line in lines if line.startswith(ERROR)] or lines[-1:]
        how = f"`xa-search run` ended with exit code {self._process.returncode}, not {meant}"
        return "\n".join((f"{how}: {errors[0]}", *errors[1:], f"all that it said is in {self._log}"))


@contextmanager
def _heeded_interrupts() -> Iterator[None]:
    """Let what is started meanwhile heed Ctrl-C: a shell has its background commands ignore it, with their children."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _open_files(pid: int) -> list[Path]:
    try:
        return [Path(file.path) for file in psutil.Process(pid).open_files()]
    except psutil.Error:
        return []
