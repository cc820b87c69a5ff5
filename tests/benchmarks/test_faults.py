"""The short form of benchmarks/faults.py: a worker and a driver of one real search are killed, and nothing is lost."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from chaos_test import ChaosTest
from faults import counts_of


def test_the_books_agree_after_kills_at_random_moments(tmp_path: Path) -> None:
    said: list[str] = []
    outcome = ChaosTest(tmp_path, ("worker", "driver"), seed=3, trials=5, say=said.append).run()
    assert not any(counts_of(outcome).values()), "\n".join(said)
    assert [hit.target for run in outcome.runs for hit in run.hits] == ["worker", "driver"]
    assert outcome.runs[-1].exit_code == 0
