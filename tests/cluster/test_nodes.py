"""A search on several nodes: it waits for them, spreads over them, and outlives the one that is killed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long
BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.mark.parametrize(
    "started",
    [pytest.param((), marks=pytest.mark.proof, id="by-hand"), pytest.param(("--on-demand",), id="by-the-autoscaler")],
)
def test_a_search_goes_on_where_a_killed_node_left_it(tmp_path: Path, started: tuple[str, ...]) -> None:
    """Two nodes come to a head without CPUs, one of them is killed at work; see benchmarks/cluster_nodes.py."""
    out = tmp_path / "result.json"
    options = ["--nodes", "2", "--lost", "1", "--trials", "5", "--epoch-seconds", "0.2", "--out", str(out), *started]
    command = [sys.executable, str(BENCHMARKS / "cluster_nodes.py"), *options]
    # A driver that another test leaves in the environment's address would be another cluster's.
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads(out.read_text(encoding="utf-8"))
    assert result["exit_code"] == 0
    assert result["states"] == {"COMPLETE": 5}
    assert result["trials_with_all_epochs"] == 5
    assert result["said"] == {"started": 5, "ended": 5}
    assert result["most_at_once_on_a_gpu"] == 1
    assert len(result["trials_by_node"]) >= 2
    assert result["end_tasks"] == {"node 1": 4}, "the head has no GPU: none of the end may run there"
    assert result["moved"], "no trial was on the node that was killed"
    for trial in result["moved"]:
        assert trial["epochs_before"] + trial["epochs_after"] == [1, 2, 3, 4, 5]
        assert trial["to_other_node"]
