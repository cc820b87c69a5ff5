"""A password of the tracker is in nothing that a search writes, and in no command line."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from xa_search.tracking.address import without_password
from xa_search.tracking.events import SearchStarted
from xa_search.tracking.spool import Spool
from xa_search.tracking.store import check_access
from xa_search.tracking.tracker import Tracker

SECRET = "hunter2-7391"
SMALL = (
    "params={align_weight: {low: 0.1, high: 10, log: true}}",
    "baseline={}",
    "published={}",
    "fixed={model_size: tiny, learning_rate: 1.0e-3, epochs: 1, train_limit: 60, dev_limit: 20, test_limit: 20}",
    "targets=[de]",
    "trials=2",
    "scheduler={}",
)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://search:hunter2@mlflow:5000/a@b", "http://mlflow:5000/a@b"),
        ("postgresql://search:hunt@er2@db/mlflow", "postgresql://db/mlflow"),
        (
            "postgresql:///mlflow?user=search&password=hunter2&host=db",
            "postgresql:///mlflow?user=search&password=...&host=db",
        ),
        ("cannot connect (http://u:hunter2@a/x, sslpassword=hunter2)", "cannot connect (http://a/x, sslpassword=...)"),
        ("sqlite:////home/me/mlflow.db", "sqlite:////home/me/mlflow.db"),
        ("http://mlflow:5000 and me@example.com", "http://mlflow:5000 and me@example.com"),
    ],
)
def test_an_address_is_shown_without_its_password(address: str, shown: str) -> None:
    assert without_password(address) == shown


def test_what_is_kept_for_a_server_that_is_away_has_no_password(tmp_path: Path) -> None:
    uri = f"http://search:{SECRET}@127.0.0.1:9"
    tracker = Tracker(Spool(tmp_path / "spool.jsonl"), uri, "toy")
    tracker.record(SearchStarted(search_id="toy"))
    left = tracker.sync()
    assert left.left
    assert SECRET not in check_access(uri) + repr(left)
    assert [path for path in tmp_path.iterdir() if SECRET.encode() in path.read_bytes()] == []


@pytest.mark.proof
def test_a_search_writes_its_trackers_password_nowhere(tmp_path: Path, shared_home: Path) -> None:
    """The server is away: that is what is told most about."""
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": f"http://search:{SECRET}@127.0.0.1:9",
        "MLFLOW_TRACKING_PASSWORD": SECRET,
        "HF_HUB_OFFLINE": "1",
    }
    home, out = tmp_path / "home", tmp_path / "out"
    home.mkdir()
    (home / "encoders").symlink_to(shared_home / "encoders")
    (shared_home / "encoders").mkdir(exist_ok=True)
    command = [sys.executable, "-P", "-m", "xa_search", "run", "mtop-mini", "--local", "--home", str(home)]
    command += [word for change in SMALL for word in ("--set", change)]
    lines = set()
    with out.open("wb") as output:
        search = psutil.Popen(command, env=environment, cwd=tmp_path, stdout=output, stderr=subprocess.STDOUT)
        while search.poll() is None:
            for process in [search, *search.children(recursive=True)]:
                try:
                    lines.add(" ".join(process.cmdline()))
                except psutil.Error:
                    continue
            time.sleep(0.05)
    said = out.read_text(encoding="utf-8")
    assert search.returncode == 0, said
    assert "http://127.0.0.1:9" in said
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in written if SECRET.encode() in path.read_bytes()] == []
    assert len(written) > 10
    assert [line for line in lines if SECRET in line] == []
    assert len(lines) > 1, "the process that checks the model was never seen"
