"""The file for SLURM, with stubs of its commands: nodes start, a job that runs out of time is requeued and resumes."""

import ast
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from xa_search.rehearsal.driver import kill_session, processes_of
from xa_search.search.history import searches_in

SCRIPT = Path(__file__).resolve().parents[2] / "cluster" / "slurm.sh"
STUBS = Path(__file__).parent / "slurm_stubs"
NOT_SLURMS = ("RAY_", "MLFLOW_", "SLURM_")
LONGEST = 1800.0


def environment(folder: Path, *first: Path, **more: str) -> dict[str, str]:
    """Return that of a user of SLURM; a search that was imported here has set some of Ray's."""
    known = {name: value for name, value in os.environ.items() if not name.startswith(NOT_SLURMS)}
    path = os.pathsep.join(map(str, [*first, STUBS, Path(sys.executable).parent, os.environ["PATH"]]))
    own = {"PATH": path, "STUBS": str(folder), "REAL_PYTHON": sys.executable, "XA_SEARCH_HOME": str(folder / "home")}
    return known | own | more


def stop_when(seen: Path, text: str, folder: Path, job: "subprocess.Popen[str]") -> None:
    """Send the batch script what SLURM sends before the time is up, once a file says something."""
    end = time.monotonic() + LONGEST
    while not (seen.exists() and text in seen.read_text()):
        assert job.poll() is None, "it ended before it was stopped"
        assert time.monotonic() < end
        time.sleep(0.02)
    os.kill(int((folder / "batch.pid").read_text()), signal.SIGTERM)


@contextmanager
def submitted(folder: Path, environ: Mapping[str, str], *words: str) -> Iterator["subprocess.Popen[str]"]:
    """Submit a job of two nodes; of what it started, nothing is left in the end, however that comes."""
    command = ["sbatch", "--nodes=2", "--cpus-per-task=1", "--gpus-per-node=0", str(SCRIPT), *words]
    with (folder / "job.log").open("w") as log:
        job = subprocess.Popen(
            command, env=environ, cwd=folder, stdout=log, stderr=log, text=True, start_new_session=True
        )
    try:
        yield job
        assert processes_of(job.pid) == [], "the job left processes"
    finally:
        while kill_session(job.pid):
            time.sleep(0.02)
        job.wait()


def test_a_job_starts_its_nodes_and_resumes_when_its_time_is_up(tmp_path: Path) -> None:
    with submitted(tmp_path, environment(tmp_path, STUBS / "without_ray"), "mtop", "--trials", "60") as job:
        stop_when(tmp_path / "running", "", tmp_path, job)
        assert job.wait(LONGEST) == 0, (tmp_path / "job.log").read_text()
    lines = [line.split(" ", 3) for line in (tmp_path / "ray.log").read_text().splitlines()]
    assert sorted(restart for restart, *_ in lines) == ["0", "0", "1", "1"]
    assert {mode for _, mode, *_ in lines} == {"token"}
    tokens = {restart: {token for one, _, token, _ in lines if one == restart} for restart in ("0", "1")}
    assert len(tokens["0"]) == len(tokens["1"]) == 1
    assert tokens["0"] != tokens["1"]
    written = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "ray.log"]
    assert not any(token in path.read_text() for one in tokens.values() for token in one for path in written)
    for restart in ("0", "1"):
        told = [ast.literal_eval(words) for one, _, _, words in lines if one == restart]
        (head,) = [words for words in told if "--head" in words]
        (worker,) = [words for words in told if "--head" not in words]
        address = ":".join(word.partition("=")[2] for word in head if word.startswith(("--node-ip-address", "--port")))
        assert f"--address={address}" in worker
        assert {"--num-cpus=1", "--num-gpus=0", "--block"} <= {*head} & {*worker}
    searched = (tmp_path / "search.log").read_text().splitlines()
    assert searched == [f"{restart} run mtop --trials 60 --address {address}" for restart in ("0", "1")]
    assert not Path(f"/tmp/xa-ray-{job.pid}").exists()


@pytest.mark.parametrize("code", [2, 75])
def test_the_job_ends_as_the_search_does(code: int, tmp_path: Path) -> None:
    """Also one that stopped for a reason of its own: SLURM does not start that again."""
    (tmp_path / "sbatch").write_text((STUBS / "sbatch").read_text().replace("range(9)", "range(1, 9)"))
    (tmp_path / "sbatch").chmod(0o755)
    with submitted(
        tmp_path, environment(tmp_path, tmp_path, STUBS / "without_ray", SEARCH_CODE=str(code)), "mtop"
    ) as job:
        assert job.wait(LONGEST) == code
    assert len((tmp_path / "search.log").read_text().splitlines()) == 1


@pytest.mark.proof
def test_a_search_on_two_nodes_resumes_after_a_requeue(tmp_path: Path) -> None:
    """Real Rays in place of nodes, a real search: stopped in its first trials, then requeued."""
    changes = (
        "params={align_weight: {low: 0.1, high: 10, log: true}}",
        "baseline={}",
        "published={}",
        "fixed={model_size: tiny, learning_rate: 1.0e-3, epochs: 6, train_limit: 200, dev_limit: 20, test_limit: 20}",
        "targets=[de]",
        "scheduler={}",
        "trials=4",
        "gpus_per_trial=0",
    )
    words = [word for change in changes for word in ("--set", change)]
    log = tmp_path / "job.log"
    with submitted(tmp_path, environment(tmp_path, HF_HUB_OFFLINE="1"), "mtop-mini", *words) as job:
        stop_when(log, " epoch 1/6", tmp_path, job)
        code = job.wait(3 * LONGEST)
    said = log.read_text()
    assert code == 0, said
    assert said.count("2 of 2 nodes") == 2
    assert re.search(r"stopped after [0-3] of 4 trials: it was interrupted; the same command resumes it", said)
    assert re.search(r"resumes: [0-3] of 4 trials have ended", said)
    assert re.search(r"registered: .* version 1", said)
    (search,) = searches_in(tmp_path / "home")
    assert {trial.state for trial in search.trials} == {"COMPLETE"}
    assert not Path(f"/tmp/xa-ray-{job.pid}").exists()
