"""A search as a job of a cluster. In: a plan and a cluster file. Out: what the job prints, and how it ended.

One search is one job: while it runs, who types the same command again follows that job.

The cluster runs by itself: the search space and the code travel with the job, the results stay in its shared folder.
"""

import asyncio
import logging
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ray.exceptions import AuthenticationError
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

from xa_search.cluster.check import check_file
from xa_search.cluster.cluster_file import kind_of
from xa_search.cluster.document import read_document
from xa_search.cluster.tracker_variables import tracker_variables, unsent_secrets
from xa_search.config.shipped import PACKAGE
from xa_search.config.yaml_files import dump_yaml
from xa_search.errors import DataError, InfeasibleError, StoppedEarly, UsageError, XaSearchError
from xa_search.records import Plan
from xa_search.search.node_check import remedy_of_refusal

SEARCH = "xa-search"
"""The key under which a job says which search it runs."""
TALKATIVE = ("ray", "ray.dashboard.modules.dashboard_sdk", "ray.dashboard.modules.job.sdk")
"""The logs of Ray that tell of each file it sends; the latter two have a level of their own."""
ENDS = {kind.exit_code: kind for kind in (UsageError, DataError, InfeasibleError, StoppedEarly)}
DASHBOARD = "RAY_API_SERVER_ADDRESS"
TUNNEL_SECONDS = 60.0
BETWEEN_LOOKS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """A search as a job: the command that runs it on the head, and the folder and the environment that it runs in."""

    search_id: str
    command: str
    directory: Path
    variables: dict[str, str]


class Jobs:
    """The jobs of one cluster."""

    def __init__(self, url: str) -> None:
        for name in TALKATIVE:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            self._client = JobSubmissionClient(url)
        except (ConnectionError, RuntimeError, AuthenticationError) as error:
            reason = str(error).strip().splitlines()[0][:200]
            raise InfeasibleError(f"no jobs at {url} ({reason}); {remedy_of_refusal(reason)}") from None

    def running(self, search_id: str) -> str:
        """Return the job that runs a search; empty when none does."""
        found = [job for job in self._client.list_jobs() if (job.metadata or {}).get(SEARCH) == search_id]
        alive = [job for job in found if not job.status.is_terminal()]
        return str(max(alive, key=_began).submission_id) if alive else ""

    def submit(self, request: JobRequest) -> str:
        """Send the code and the command to the cluster, and return the job's name."""
        try:
            return str(
                self._client.submit_job(
                    entrypoint=request.command,
                    submission_id=f"{request.search_id}-{uuid.uuid4().hex[:6]}",
                    metadata={SEARCH: request.search_id},
                    runtime_env={
                        "working_dir": str(request.directory),
                        "py_modules": [str(PACKAGE)],
                        "env_vars": request.variables,
                    },
                )
            )
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:300]
            raise InfeasibleError(f"the cluster takes no job ({reason}); is ray[default] on its head") from None

    def follow(self, job: str, note: Callable[[str], None]) -> None:
        """Hand on what a job prints until it ends. Raises as the job ended, StoppedEarly when it goes on unwatched."""
        try:
            asyncio.run(self._tail(job, note))
            details = self._client.get_job_info(job)
        except KeyboardInterrupt:
            raise StoppedEarly(
                f"job {job} continues to run; the same command follows it again, `ray job stop {job}` ends it"
            ) from None
        except (OSError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise StoppedEarly(
                f"lost the connection to job {job} ({reason}), which continues to run; "
                "the same command follows it again"
            ) from None
        if not details.status.is_terminal():
            raise StoppedEarly(
                f"lost the connection to job {job}, which continues to run; the same command follows it again"
            )
        if details.status != JobStatus.SUCCEEDED:
            raise _ended(job, details)

    async def _tail(self, job: str, note: Callable[[str], None]) -> None:
        async for text in self._client.tail_job_logs(job):
            note(text)


def _began(job: JobDetails) -> int:
    return job.start_time or 0


def _ended(job: str, details: JobDetails) -> XaSearchError:
    """Return the job's end as this program's own error of the same exit code."""
    code, message = details.driver_exit_code, " ".join((details.message or "").split())[:200]
    if details.status == JobStatus.STOPPED:
        return StoppedEarly(f"job {job} was stopped; the same command resumes it")
    if code is None:
        return XaSearchError(f"job {job} died ({message}); the same command resumes it")
    return ENDS.get(code, XaSearchError)(f"job {job} ended with exit code {code}, its last lines say why")


def run_on_cluster(plan: Plan, file: Path, note: Callable[[str], None]) -> None:
    """Submit a plan to the cluster of a file, or find the job that runs it already, and follow that to its end."""
    _check(plan, file)
    variables = tracker_variables()
    if unsent := unsent_secrets():
        note(f"{unsent}\n")
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    with _dashboard(file) as url, tempfile.TemporaryDirectory() as folder:
        jobs = Jobs(url)
        job = jobs.running(plan.search_id)
        if job:
            note(f"job {job} runs this search; following it\n")
        else:
            request = JobRequest(
                search_id=plan.search_id, command=command_of(plan), directory=Path(folder), variables=variables
            )
            write_space(plan, request.directory)
            job = jobs.submit(request)
            note(f"job {job}; Ctrl-C leaves it running, the same command follows it again\n")
        jobs.follow(job, note)


def _check(plan: Plan, file: Path) -> None:
    """Raise UsageError, with all faults, for a file or a plan that makes no job."""
    if plan.local or plan.address is not None:
        raise UsageError("--cluster: the cluster runs the trials; leave --local and --address out")
    for option, path in (("--data", plan.data), ("--translations", plan.translations)):
        if path is not None and not path.is_absolute():
            raise UsageError(f"{option} {path}: with --cluster it is a path on the cluster; give it from the root on")
    if faults := check_file(file).lines(file):
        raise UsageError("\n".join(faults))
    if kind_of(read_document(file.read_text(encoding="utf-8"))) == "rayjob":
        raise UsageError(f"{file}: KubeRay submits this by itself; type `kubectl apply -f {file}`")


def command_of(plan: Plan) -> str:
    """Return the command that runs a plan on the head, beside its search space."""
    words = ["python", "-m", "xa_search", "run", f"{plan.name}.yaml", "--address", "auto", "--seed", str(plan.seed)]
    if plan.data is not None:
        words += ["--data", str(plan.data)]
    if plan.translations is not None:
        words += ["--translations", str(plan.translations)]
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
    (folder / f"{plan.name}.yaml").write_text(dump_yaml(space), encoding="utf-8")


@contextmanager
def _dashboard(file: Path) -> Iterator[str]:
    """Give the address at which a cluster takes jobs: the user's own, or the near end of Ray's tunnel to its head."""
    if address := os.environ.get(DASHBOARD):
        yield address
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-P", "-m", "ray.scripts.scripts", "dashboard", str(file), "--port", str(port)]
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
    lines = said.read().strip().splitlines() or ["no answer"]
    raise InfeasibleError(
        f"{file}: no way to the cluster's head ({lines[-1][:200]}); start it with `ray up {file}`, "
        f"or set {DASHBOARD} to the address of its dashboard"
    )
