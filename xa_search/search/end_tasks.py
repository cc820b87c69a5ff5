"""What is asked of the places where trials run once these have ended. In: functions and arguments. Out: their answers.

In this process each is done when its answer is asked for. On Ray all run at once, each with what a trial of its model
size takes, so that a head without GPUs does nothing but write down.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from functools import cache, partial
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import torch

from xa_search.records import GpuShare, MemoryProbe, Plan
from xa_search.search.budgets import HOUR
from xa_search.search.connection import connected
from xa_search.search.driver import own_signals, quiet_log
from xa_search.search.ray_nodes import gpu_kinds, grows, live_resources, start_task
from xa_search.search.resources import Placement, Resources, gpus_here, place, wanted
from xa_search.training.device import take_share

Answer = TypeVar("Answer")
Probes = Callable[[Collection[str]], Mapping[str, Sequence[MemoryProbe]]]
"""Takes kinds of GPU, and returns what was measured there of each model size."""


class EndTasks(Protocol):
    """Where the end of a search is worked on."""

    gpu_hours: float
    """What the answers have taken so far."""

    def slots(self, size: str) -> int:
        """Return how many tasks of a model size run side by side."""

    def submit(self, size: str, function: Callable[..., Answer], *arguments: Any) -> Callable[[], Answer]:
        """Let a function be called, and return what waits for its answer, or raises what it raised."""


class TasksHere:
    """Tasks in this process, one after the other."""

    def __init__(self, plan: Plan) -> None:
        self._gpus = gpus_here(plan.space)
        self.gpu_hours = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing open."""

    def join(self) -> None:
        """Do nothing: this process is here."""

    def slots(self, size: str) -> int:  # noqa: ARG002
        """Return how many tasks run side by side: one."""
        return 1

    def submit(self, size: str, function: Callable[..., Answer], *arguments: Any) -> Callable[[], Answer]:
        """Call the function when its answer is asked for first."""
        return cache(partial(self._call, size, partial(function, *arguments)))

    def _call(self, size: str, call: Callable[[], Answer]) -> Answer:
        start = time.monotonic()
        try:
            return call()
        finally:
            self.gpu_hours += (time.monotonic() - start) * self._gpus[size] / HOUR


class TasksOnRay:
    """Tasks on this machine's Ray or on a cluster, joined when the first trial or task needs it."""

    def __init__(self, plan: Plan, probes: Probes) -> None:
        self._plan = plan
        self._probes = probes
        self._open = ExitStack()
        self._joined = False
        self._placement: Placement | None = None
        self.gpu_hours = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def join(self) -> None:
        """Join Ray, and stay until the end of the search."""
        if not self._joined:
            self._joined = True
            self._open.enter_context(own_signals())
            self._open.enter_context(quiet_log("ray"))
            self._open.enter_context(connected(self._plan.address))

    def slots(self, size: str) -> int:
        """Return how many tasks of a model size run side by side on the nodes that are there."""
        self.join()
        return max(1, sum(node.fit(self._asked(size)) for node in live_resources()))

    def submit(self, size: str, function: Callable[..., Answer], *arguments: Any) -> Callable[[], Answer]:
        """Let Ray call the function on a node; a task whose worker is lost is given to another one."""
        self.join()
        asked = self._asked(size)
        share, call = self._found().shares.get(size), partial(function, *arguments)
        answer = start_task(asked, partial(call_with_share, share, self._plan.space.cpus_per_trial, call))
        return cache(partial(self._answer, answer, asked.gpus))

    def _asked(self, size: str) -> Resources:
        """What a trial takes, but for GPUs that only training in several processes makes use of."""
        request = self._found().requests[size]
        return Resources(cpus=self._plan.space.cpus_per_trial, gpus=min(1.0, request.gpus))

    def _found(self) -> Placement:
        if self._placement is None:
            space, probes = self._plan.space, self._probes(gpu_kinds())
            # A cluster that grows by itself may have sent its nodes away: they come again for the tasks.
            self._placement = wanted(space, probes) if grows() else place(space, live_resources(), probes)
        return self._placement

    def _answer(self, wait: Callable[[], tuple[Answer, float]], gpus: float) -> Answer:
        answer, seconds = wait()
        self.gpu_hours += seconds * gpus / HOUR
        return answer


def call_with_share(share: GpuShare | None, threads: int, call: Callable[[], Answer]) -> tuple[Answer, float]:
    """Call a function within what a trial has of this node; return also the seconds that it took."""
    start = time.monotonic()
    torch.set_num_threads(threads)
    if share is not None:
        take_share(share)
    return call(), time.monotonic() - start
