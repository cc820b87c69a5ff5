"""What the doctor finds: each difference by a table, and a real Ray of two nodes, one of them unfit."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from xa_search.config.shipped import PACKAGE
from xa_search.search import RAY_ENVIRONMENT, RAY_LOOPBACK
from xa_search.workflows.doctor import Diagnosis, NodeReport, NodeStatus, examine, findings_of, unmet_requirements

pytestmark = pytest.mark.long
GB = 10**9
UNSET = ("RAY_ADDRESS", "RAY_AUTH_TOKEN", "CUDA_VISIBLE_DEVICES")
HERE = NodeReport(
    name="laptop",
    python="3.11.7",
    packages={"ray": "2.60.0", "torch": "2.13.0+cpu"},
    unmet=(),
    code="a" * 64,
    cuda="",
    driver="",
    gpus=0,
    free_disk=100 * GB,
    free_memory=20 * GB,
    storage="",
    tracker="",
)
GPU_NODE = replace(HERE, packages={"ray": "2.60.0", "torch": "2.13.0+cu130"}, cuda="13.0", driver="580.1", gpus=4)


def examined(report: NodeReport | None, gpus: float | None = 0.0, silence: str = "") -> Diagnosis:
    nodes = (
        NodeStatus(name="this machine", report=HERE),
        NodeStatus(name="n1", gpus=gpus, report=report, silence=silence),
    )
    return Diagnosis(nodes=nodes, findings=tuple(findings_of(HERE, nodes)))


@pytest.mark.parametrize(
    ("node", "gpus", "what", "found", "fix"),
    [
        (replace(HERE, python="3.11.9"), 0.0, "python", "3.11.9", "use Python 3.11.7 there"),
        (replace(HERE, packages={"ray": "2.59.0", "torch": "2.13.0"}), 0.0, "ray", "2.59.0", "-c constraints.txt ray"),
        (replace(HERE, packages={"ray": "2.60.0"}), 0.0, "torch", "missing", "-c constraints.txt torch"),
        (replace(HERE, code="b" * 64), 0.0, "code", "b" * 12, "the code travels"),
        (replace(HERE, unmet=("optuna 4.9.0, not >=5,<6",)), 0.0, "requirement", "optuna 4.9.0", "constraints.txt"),
        (replace(HERE, free_disk=2 * GB), 0.0, "disk", "2.0 GB free", "xa-search gc"),
        (replace(HERE, free_memory=GB), 0.0, "memory", "1.0 GB free", "a larger machine"),
        (
            replace(HERE, storage="/x is not shared with it (No such file); give a --home"),
            0.0,
            "storage",
            "/x",
            "--home",
        ),
        (HERE, 4.0, "driver", "none", "an image with NVIDIA's driver"),
        (replace(HERE, driver="580.1"), 4.0, "cuda", "torch 2.13.0+cpu", "the CUDA build"),
        (replace(GPU_NODE, gpus=3), 4.0, "gpus", "PyTorch finds 3, driver 580.1", "new enough"),
        (replace(HERE, driver="580.1"), None, "cuda", "torch 2.13.0+cpu", "the CUDA build"),
    ],
)
def test_a_difference_is_named_with_its_fix(
    node: NodeReport, gpus: float | None, what: str, found: str, fix: str
) -> None:
    diagnosis = examined(node, gpus)
    (finding,) = diagnosis.findings
    assert (finding.node, finding.what) == ("n1", what)
    assert finding.found.startswith(found)
    assert fix in finding.fix
    assert diagnosis.exit_code == 4


def test_what_may_differ_is_no_finding() -> None:
    assert examined(GPU_NODE, 4.0).findings == ()
    assert examined(replace(HERE, name="other", free_disk=50 * GB), 0.0).exit_code == 0


def test_a_tracker_that_is_away_only_delays() -> None:
    diagnosis = examined(replace(HERE, tracker="MLflow at http://m does not answer now; what it should know waits"))
    assert [(one.what, one.fix) for one in diagnosis.findings] == [("tracker", "what it should know waits")]
    assert diagnosis.exit_code == 1


def test_a_node_that_says_nothing_is_a_finding() -> None:
    diagnosis = examined(None, silence="cannot run this program (No module named 'xa_search')")
    assert diagnosis.findings[0].found == "cannot run this program (No module named 'xa_search')"
    assert diagnosis.exit_code == 4


def test_requirements_are_held_against_what_is_installed() -> None:
    wanted = ["optuna>=5,<6", "ray[tune]>=2.60,<2.61", "optuna<2", "nobody-wrote-this>=1", "moto>=5; extra == 'dev'"]
    unmet = unmet_requirements(wanted)
    assert [line.partition(" ")[0] for line in unmet] == ["optuna", "nobody-wrote-this"]
    assert unmet[1] == "nobody-wrote-this missing, not >=1"


def test_this_machine_is_examined_and_left_as_it_was(tmp_path: Path) -> None:
    (patient,) = examine(tmp_path, f"sqlite:///{tmp_path / 'mlflow.db'}", None).nodes
    assert patient.report is not None
    assert patient.report.storage == patient.report.tracker == ""
    assert patient.report.unmet == ()
    assert list(tmp_path.iterdir()) == []


# ---- a real Ray


def environment(folder: Path, token: str, **more: str) -> dict[str, str]:
    (folder / f"{token}.token").write_text(token * 64)
    auth = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(folder / f"{token}.token")}
    known = {name: value for name, value in os.environ.items() if name not in UNSET}
    path = os.pathsep.join([str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")])
    return {**known, **RAY_ENVIRONMENT, **dict.fromkeys(RAY_LOOPBACK, "1"), "PYTHONPATH": path, **auth, **more}


@contextmanager
def ray_node(folder: Path, environ: dict[str, str], *options: str) -> Iterator[None]:
    """Run a node of Ray until the block ends; it is there when it says so."""
    command = [sys.executable, "-u", "-m", "ray.scripts.scripts", "start", "--block"]
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "start_new_session": True}
    node = subprocess.Popen([*command, *options], cwd=folder, env=environ, **output)  # type: ignore[call-overload]
    try:
        said: list[str] = []
        while "Ray runtime started" not in "".join(said):
            said.append(node.stdout.readline())
            assert said[-1], "".join(said)
        yield
    finally:
        os.killpg(node.pid, signal.SIGKILL)
        node.communicate()


def doctor(folder: Path, environ: dict[str, str], address: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "xa_search", "doctor", "--json", "--home", str(folder / "home")]
    return subprocess.run([*command, "--address", address], cwd=folder, env=environ, capture_output=True, text=True)


def test_two_nodes_of_which_one_is_unfit_and_a_wrong_token(tmp_path: Path) -> None:
    """The head has older code and a GPU that nobody else knows of."""
    shutil.copytree(PACKAGE, tmp_path / "older" / "xa_search", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "older" / "xa_search" / "errors.py").open("a") as errors:
        errors.write("# an older release\n")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    right, wrong = environment(tmp_path, "a"), environment(tmp_path, "b")
    older = right | {"PYTHONPATH": os.pathsep.join([str(tmp_path / "older"), os.environ.get("PYTHONPATH", "")])}
    head = [f"--port={port}", "--head", "--num-cpus=1", "--num-gpus=1", "--include-dashboard=false"]
    address = f"127.0.0.1:{port}"
    with (
        ray_node(tmp_path, older, *head),
        ray_node(tmp_path, right, f"--address={address}", "--num-cpus=1", "--num-gpus=0"),
    ):
        refused = doctor(tmp_path, wrong, address)
        done = doctor(tmp_path, right, address)
    assert refused.returncode == 4
    last = refused.stderr.strip().splitlines()[-1]  # Ray's own library says it twenty times before
    assert last.startswith(f"error: no Ray on {address} (")
    assert "b.token is not this cluster's: copy it" in last
    assert done.returncode == 4, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert len([one for one in found["nodes"] if one["report"]]) == 3
    assert {finding["what"] for finding in found["findings"]} - {"disk", "memory"} == {"code", "driver"}
    assert not (tmp_path / "home" / "doctor").exists()
