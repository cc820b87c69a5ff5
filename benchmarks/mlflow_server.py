"""A real MLflow server that can be killed. In: a folder. Out: its address, under which it is there or away."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Protocol


class Server(Protocol):
    """Who keeps the runs, and may be away."""

    @property
    def session(self) -> int | None:
        """The session of its processes; none while it is away."""

    @property
    def uri(self) -> str:
        """Its address."""

    def start(self) -> None:
        """Start it."""

    def answers(self) -> bool:
        """Tell whether it can be asked."""

    def kill(self) -> None:
        """Kill it."""


class MlflowFile:
    """A SQLite file in place of a server: it is always there."""

    session: int | None = -1

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.uri = f"sqlite:///{folder / 'mlflow.db'}"

    def start(self) -> None:
        """Do nothing."""

    def answers(self) -> bool:
        """Tell that it is there."""
        return True

    def kill(self) -> None:
        """Do nothing."""


class MlflowServer:
    """A server with one worker, a SQLite file and a folder of artifacts; its processes are a session of their own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port: int = free.getsockname()[1]

    @property
    def session(self) -> int | None:
        """The session of its processes; none while it is away."""
        return None if self._process is None else self._process.pid

    @property
    def uri(self) -> str:
        """Its address, the same over all its lives."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it; it answers some seconds later."""
        command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--port", str(self._port)]
        command += ["--backend-store-uri", f"sqlite:///{self._folder / 'mlflow.db'}"]
        command += ["--artifacts-destination", str(self._folder / "artifacts")]
        environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, start_new_session=True, cwd=self._folder
            )

    def answers(self) -> bool:
        """Tell whether it takes connections."""
        try:
            socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
        except OSError:
            return False
        return True

    def kill(self) -> None:
        """Kill it with all its processes."""
        if self._process is None:
            return
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None
