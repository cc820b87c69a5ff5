"""Temporary folders: what a killed process leaves is found and removed, what a living one has is left alone."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from xa_search.encoding.private_folders import OWNER, WORKING, abandoned_folders, private_folder, remove_abandoned

HOLDS = """
import sys, time
from pathlib import Path
from xa_search.encoding.private_folders import OF_RAY, private_folder
with private_folder(OF_RAY, Path(sys.argv[1])) as folder:
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    return tmp_path


@contextmanager
def holder(place: Path) -> Iterator[tuple["subprocess.Popen[str]", Path]]:
    """Run a process that has such a folder."""
    with subprocess.Popen([sys.executable, "-c", HOLDS, str(place)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def test_what_a_killed_process_left_is_removed_and_who_it_was(place: Path) -> None:
    with holder(place) as (process, folder):
        (folder / "sockets").mkdir()
        assert abandoned_folders() == (), "its owner lives"
        process.send_signal(signal.SIGKILL)
        process.wait()
        (left,) = abandoned_folders()
        assert (left.path, left.owner.split(",")[0]) == (folder, f"process {process.pid}")
        remove_abandoned(left)
        assert not folder.exists()
        assert abandoned_folders() == ()


def test_a_folder_goes_with_its_context(place: Path) -> None:
    with private_folder() as folder:
        assert folder.parent == place
        assert folder.stat().st_mode & 0o777 == 0o700
        assert abandoned_folders() == ()
    assert not folder.exists()


def owned(place: Path, **changes: object) -> Path:
    """Make a folder whose owner has ended without a lock."""
    folder = place / f"{WORKING}made"
    folder.mkdir()
    import socket

    holder = {"host": socket.gethostname(), "pid": 2**22 + 1, "started": "2001-01-01T00:00:00+00:00", **changes}
    (folder / OWNER).write_text(json.dumps(holder))
    return folder


def test_a_number_that_was_given_again_is_another_process(place: Path) -> None:
    folder = owned(place, pid=os.getpid())
    assert [left.path for left in abandoned_folders()] == [folder], "this process began later"


def test_a_living_owner_is_known_by_number_and_start_where_locks_do_not_tell(place: Path) -> None:
    from datetime import UTC, datetime

    began = datetime.fromtimestamp(psutil.Process().create_time(), UTC).isoformat(timespec="seconds")
    owned(place, pid=os.getpid(), started=began)
    assert abandoned_folders() == ()


@pytest.mark.parametrize("changes", [{"host": "another"}, {"pid": "none"}, {"started": 7}])
def test_what_is_not_known_to_be_dead_stays(place: Path, changes: dict[str, object]) -> None:
    owned(place, **changes)
    assert abandoned_folders() == ()


def test_folders_of_others_and_without_an_owner_stay(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / f"{WORKING}unknown").mkdir()
    assert abandoned_folders() == ()
    owned(place)
    assert len(abandoned_folders()) == 1
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    assert abandoned_folders() == (), "another user's"


def test_a_folder_that_a_living_process_names_stays(place: Path) -> None:
    folder = owned(place)
    command = [sys.executable, "-c", "input()", str(folder / "session")]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert abandoned_folders() == ()
        process.communicate(b"\n")
    assert len(abandoned_folders()) == 1
