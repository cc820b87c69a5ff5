"""The processes of a session. In: a session's number. Out: those of its processes that live, and the roles they play.

A command that was started in a session of its own keeps all that it starts in it: Ray begins no further session.
"""

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

DAEMONS = ("raylet", "gcs_server")
WORKER_TITLE = "ray::ImplicitFunc"
HELPERS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent", "/monitor.py", "/log_monitor.py", "/dashboard.py")


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
    found = (_process(folder, session) for folder in Path("/proc").iterdir() if folder.name.isdigit())
    return [process for process in found if process is not None]


def _process(folder: Path, session: int) -> Process | None:
    try:
        stat = (folder / "stat").read_text(encoding="utf-8", errors="replace")
        title = (folder / "cmdline").read_text(encoding="utf-8", errors="replace").replace("\0", " ").strip()
    except OSError:
        return None
    # The name stands in brackets, and may hold any character itself.
    head, _, tail = stat.rpartition(")")
    state, _, _, its_session = tail.split()[:4]
    if int(its_session) != session or state in "ZX":
        return None
    return Process(pid=int(folder.name), name=head.partition("(")[2], title=title)


def kill_session(session: int) -> list[Process]:
    """Kill what is left of a session, and return it."""
    left = processes_of(session)
    for process in left:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    return left
