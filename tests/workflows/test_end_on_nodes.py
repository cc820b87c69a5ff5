"""The whole end of a search on Ray's test cluster: a head that may open no model, and a node with a GPU that may."""

import json
from pathlib import Path
from typing import Any, Never

import pytest
from test_run import ProgressReporter, tiny_plan

from xa_search.search import RAY_ENVIRONMENT

pytestmark = pytest.mark.proof


def refuse(*_: Any, **__: Any) -> Never:
    raise AssertionError("the driver opened a model")


def test_a_head_without_gpus_runs_nothing_of_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the driver cannot do, as it is taken from it here, only the node can have done; Ray counts its GPU."""
    for name, value in {**RAY_ENVIRONMENT, "RAY_AUTH_MODE": "disabled"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    from ray.cluster_utils import Cluster

    from xa_search.workflows.run import run_search

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "num_gpus": 0, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=2, num_gpus=2)
        cluster.wait_for_nodes()
        for place in (
            "xa_search.training.final_test.restore_model",
            "xa_search.tracking.isolated_process.subprocess.Popen",
            "xa_search.training.model_inspection.load_encoder",
        ):
            monkeypatch.setattr(place, refuse)
        changes = ("trials=3", "gpus_per_trial=1", "unseen_languages=[hi]")
        reporter = ProgressReporter()
        result = run_search(tiny_plan(tmp_path / "home", *changes, address=cluster.address), reporter)
    finally:
        cluster.shutdown()
    (registration,) = result.registrations
    assert registration.version.checked
    assert registration.version.verdict == registration.reason, "scored on kept rows, on the node too"
    assert len(result.record.shown) >= len(result.record.floors)
    assert set(result.record.test_metrics) >= {result.record.winner, 0}
    found = tmp_path / "home" / "searches" / result.record.search_id / "inspections" / str(result.record.winner)
    assert json.loads((found / "inspection.json").read_text())["layers"]
    assert "registering the winner, and loading it back in a fresh process where trials run" in reporter.notes
