"""The short forms of benchmarks/faults.py: processes of a real search are killed at random moments; nothing is lost."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from accidents import SmallDisk, small_disk
from chaos_test import ChaosTest
from faults import counts_of
from mlflow_server import MlflowFile, MlflowServer, Server
from process_killer import Target

pytestmark = pytest.mark.long
SMALL = (
    "fixed={epochs: 2, batch_size: 32, train_limit: 120, dev_limit: 20, test_limit: 20, precision: fp32}",
    "targets=[de]",
)

SOON = "119"
"""With this chance the driver dies soon after the first trial began."""


def check_ordeal(
    disk: SmallDisk,
    server: Server,
    targets: Sequence[Target],
    chance: str,
    trials: int,
    changes: Sequence[str] = (),
    options: Sequence[str] = (),
) -> None:
    """Hit these one after the other, typing the command again after each end, until the search has finished."""
    said: list[str] = []
    test = ChaosTest(disk, server, targets, chance, trials, said.append, changes, options)
    outcome = test.search(1)
    assert not any(counts_of(outcome).values()), "\n".join(said)
    assert [hit.target for run in outcome.runs for hit in run.hits] == list(targets)
    assert outcome.runs[-1].exit_code == 0


@pytest.mark.proof
def test_the_books_agree_after_kills_at_random_moments(tmp_path: Path) -> None:
    server = MlflowServer(tmp_path / "server")
    server.start()
    try:
        with small_disk(tmp_path / "disk") as disk:
            check_ordeal(disk, server, ("worker", "driver", "torn", "moved"), "3", trials=5)
    finally:
        server.kill()


def test_the_books_of_a_small_search_agree_after_a_kill_at_a_random_moment(tmp_path: Path) -> None:
    """In one process and with a SQLite file: what kills of Ray's processes do, test_search_ray_killed.py shows."""
    disk, server = SmallDisk(tmp_path / "disk", own=False), MlflowFile(tmp_path / "server")
    check_ordeal(disk, server, ("driver",), SOON, trials=2, changes=SMALL, options=("--local",))
