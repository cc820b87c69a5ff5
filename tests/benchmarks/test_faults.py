"""The short forms of benchmarks/faults.py: processes of a real search are killed at random moments; nothing is lost."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from chaos_test import ChaosTest
from faults import counts_of
from process_killer import Target

pytestmark = pytest.mark.long
SMALL = (
    "fixed={epochs: 2, batch_size: 32, train_limit: 150, dev_limit: 20, test_limit: 20, precision: fp32}",
    "targets=[de]",
)

SOON = 119
"""With this seed the first process dies soon after the first trial began."""


def check_ordeal(folder: Path, targets: Sequence[Target], seed: int, trials: int, changes: Sequence[str] = ()) -> None:
    """Kill these one after the other, typing the command again after each end, until the search has finished."""
    said: list[str] = []
    outcome = ChaosTest(folder, targets, seed=seed, trials=trials, say=said.append, changes=changes).run()
    assert not any(counts_of(outcome).values()), "\n".join(said)
    assert [hit.target for run in outcome.runs for hit in run.hits] == list(targets)
    assert outcome.runs[-1].exit_code == 0


@pytest.mark.proof
def test_the_books_agree_after_kills_at_random_moments(tmp_path: Path) -> None:
    check_ordeal(tmp_path, ("worker", "driver"), seed=3, trials=5)


def test_the_books_of_a_small_search_agree_after_a_kill_at_a_random_moment(tmp_path: Path) -> None:
    check_ordeal(tmp_path, ("driver",), seed=SOON, trials=3, changes=SMALL)
