"""`xa-search gc` removes what killed processes left among the temporary files, and says so."""

import json
import socket
from collections.abc import Callable
from pathlib import Path

Command = Callable[..., tuple[int, str, str]]


def test_gc_removes_what_a_killed_process_left(command: Command, home: Path) -> None:
    left = home.parent / "xa-ray-left"
    left.mkdir()
    owner = {"host": socket.gethostname(), "pid": 2**22 + 1, "started": "2001-01-01T00:00:00+00:00"}
    (left / "owner.lock").write_text(json.dumps(owner))
    (home.parent / "xa-ray-unknown").mkdir()
    line = "temporary files: 1 x folder of a killed process"
    assert line in command("gc", "--dry-run")[1]
    assert left.exists()
    assert line in command("gc")[1]
    assert not left.exists()
    assert command("gc")[1] == "freed 0.0 MB\n"
    assert (home.parent / "xa-ray-unknown").exists()
