"""The door to Ray's jobs. In: a command, its files, the address of a dashboard. Out: a job that needs nobody's laptop.

One search is one job: while it runs, who types the same command again follows that job.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ray.exceptions import AuthenticationError
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

from xa_search.errors import DataError, InfeasibleError, StoppedEarly, UsageError, XaSearchError
from xa_search.search.address import remedy_of_refusal
from xa_search.search.node_check import PACKAGE

SEARCH = "xa-search"
"""The key under which a job says which search it runs."""
TALKATIVE = (
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)
ENDS = {kind.exit_code: kind for kind in (UsageError, DataError, InfeasibleError, StoppedEarly)}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """A search as a job: the command that runs it on the head, and the folder that the command runs in."""

    search_id: str
    command: str
    directory: Path


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
                    runtime_env={"working_dir": str(request.directory), "py_modules": [str(PACKAGE)]},
                )
            )
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:300]
            raise InfeasibleError(f"the cluster takes no job ({reason}); is ray[default] on its head") from None

    def follow(self, job: str, tell: Callable[[str], None]) -> None:
        """Hand on what a job prints until it ends. Raises as the job ended, StoppedEarly when it goes on unwatched."""
        try:
            asyncio.run(self._tail(job, tell))
            details = self._client.get_job_info(job)
        except KeyboardInterrupt:
            raise StoppedEarly(
                f"job {job} goes on without you; the same command follows it again, `ray job stop {job}` ends it"
            ) from None
        except (OSError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise StoppedEarly(
                f"lost sight of job {job} ({reason}), which goes on; the same command follows it again"
            ) from None
        if not details.status.is_terminal():
            raise StoppedEarly(f"lost sight of job {job}, which goes on; the same command follows it again")
        if details.status != JobStatus.SUCCEEDED:
            raise _ended(job, details)

    async def _tail(self, job: str, tell: Callable[[str], None]) -> None:
        async for text in self._client.tail_job_logs(job):
            tell(text)


def _began(job: JobDetails) -> int:
    return job.start_time or 0


def _ended(job: str, details: JobDetails) -> XaSearchError:
    """Return the job's end as this program's own error of the same exit code."""
    code, message = details.driver_exit_code, " ".join((details.message or "").split())[:200]
    if details.status == JobStatus.STOPPED:
        return StoppedEarly(f"job {job} was stopped; the same command goes on from there")
    if code is None:
        return XaSearchError(f"job {job} died ({message}); the same command goes on from there")
    return ENDS.get(code, XaSearchError)(f"job {job} ended with exit code {code}, its last lines say why")
