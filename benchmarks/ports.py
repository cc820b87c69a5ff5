"""Ports of this machine. In: a server that was started. Out: a port that nobody has, and when the server listens."""

import socket
import subprocess
import time
from pathlib import Path
from typing import Any

START_SECONDS = 180.0
BETWEEN_LOOKS = 0.2


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def wait_for(host: str, port: int, process: "subprocess.Popen[Any]", log: Path) -> None:
    """Wait until a process listens at a port. Raises SystemExit with the end of its log when it does not."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection((host, port), timeout=1).close()
        except OSError:
            time.sleep(BETWEEN_LOOKS)
        else:
            return
    raise SystemExit(f"nobody listens at port {port}:\n{log.read_text(errors='replace')[-3000:]}")
