"""A search as a job of a cluster. In: a plan and a cluster file. Out: what the job prints, and how it ended.

The cluster runs by itself: the search space and the code travel with the job, the results stay in its shared folder.
"""

import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import yaml

from xa_search.cluster.check import check_file
from xa_search.cluster.document import read_document
from xa_search.cluster.machines import kind_of
from xa_search.errors import InfeasibleError, UsageError
from xa_search.records import Plan

DASHBOARD = "RAY_API_SERVER_ADDRESS"
TUNNEL_SECONDS = 60.0
BETWEEN_LOOKS = 0.2


def run_on_cluster(plan: Plan, file: Path, tell: Callable[[str], None]) -> None:
    """Submit a plan to the cluster of a file, or find the job that runs it already, and follow that to its end."""
    _check(plan, file)
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    from xa_search.search.ray_jobs import JobRequest, Jobs

    with _dashboard(file) as url, tempfile.TemporaryDirectory() as folder:
        jobs = Jobs(url)
        job = jobs.running(plan.search_id)
        if job:
            tell(f"job {job} runs this search; following it\n")
        else:
            request = JobRequest(search_id=plan.search_id, command=command_of(plan), directory=Path(folder))
            write_space(plan, request.directory)
            job = jobs.submit(request)
            tell(f"job {job}; Ctrl-C leaves it running, the same command follows it again\n")
        jobs.follow(job, tell)


def _check(plan: Plan, file: Path) -> None:
    """Raise UsageError, with all faults, for a file or a plan that makes no job."""
    if plan.local or plan.address is not None:
        raise UsageError("--cluster: the cluster runs the trials; leave --local and --address out")
    if plan.data is not None and not plan.data.is_absolute():
        raise UsageError(f"--data {plan.data}: with --cluster it is a path on the cluster; give it from the root on")
    if faults := check_file(file).lines(file):
        raise UsageError("\n".join(faults))
    if kind_of(read_document(file.read_text(encoding="utf-8"))) == "rayjob":
        raise UsageError(f"{file}: KubeRay submits this by itself; type `kubectl apply -f {file}`")


def command_of(plan: Plan) -> str:
    """Return the command that runs a plan on the head, beside its search space."""
    words = ["python", "-m", "xa_search", "run", f"{plan.name}.yaml", "--address", "auto", "--seed", str(plan.seed)]
    if plan.data is not None:
        words += ["--data", str(plan.data)]
    if plan.time_budget is not None:
        words += ["--time-budget", f"{plan.time_budget:f}s"]
    if plan.gpu_hours is not None:
        words += ["--gpu-hours", str(plan.gpu_hours)]
    if plan.disk_budget is not None:
        words += ["--disk-budget", f"{plan.disk_budget / 10**6:f}MB"]
    words += [f"--{name}" for name in ("deterministic", "new") if getattr(plan, name)]
    return shlex.join(words)


def write_space(plan: Plan, folder: Path) -> None:
    """Write the plan's search space, with all changes from the command line, as one file that needs no other."""
    space = plan.space.model_dump(mode="json", exclude_none=True)
    (folder / f"{plan.name}.yaml").write_text(yaml.safe_dump(space, sort_keys=False), encoding="utf-8")


@contextmanager
def _dashboard(file: Path) -> Iterator[str]:
    """Give the address at which a cluster takes jobs: the user's own, or the near end of Ray's tunnel to its head."""
    if address := os.environ.get(DASHBOARD):
        yield address
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "ray.scripts.scripts", "dashboard", str(file), "--port", str(port)]
    with tempfile.TemporaryFile("w+") as said:
        tunnel = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True, text=True
        )
        try:
            _wait_for(tunnel, port, file, said)
            yield f"http://127.0.0.1:{port}"
        finally:
            tunnel.terminate()
            tunnel.wait()


def _wait_for(tunnel: "subprocess.Popen[str]", port: int, file: Path, said: IO[str]) -> None:
    end = time.monotonic() + TUNNEL_SECONDS
    while tunnel.poll() is None and time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=BETWEEN_LOOKS).close()
        except OSError:
            time.sleep(BETWEEN_LOOKS)
        else:
            return
    said.seek(0)
    lines = said.read().strip().splitlines() or ["nobody answers"]
    raise InfeasibleError(
        f"{file}: no way to the cluster's head ({lines[-1][:200]}); start it with `ray up {file}`, "
        f"or set {DASHBOARD} to the address of its dashboard"
    )
