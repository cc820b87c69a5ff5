"""What a trial asks of a node. In: a search space, the live nodes, measured memory. Out: a Placement by model size.

Trials share a GPU as their measured memory allows. Raises InfeasibleError where no node can run a size.
"""

import math
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from xa_search.errors import InfeasibleError
from xa_search.records import GpuShare, MemoryProbe, SearchSpace, TrialJob

RESERVE = 0.15
"""Kept free of a measured peak: memory in pieces that nothing fits into, and libraries that take more in time."""
MOST_A_GPU = 8
"""More trials side by side on one GPU take turns, and none is done sooner."""
NEED_UNMEASURED = 0.5
"""The part of its share that a trial waits for whose memory was not measured."""
RAYS_STEPS = 10_000
CGROUPS, OWN_CGROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """CPUs, GPUs and bytes of memory, of a trial or of a node; a trial whose memory nobody measured asks for none."""

    cpus: float
    gpus: float
    memory: float = 0.0

    def fit(self, request: "Resources") -> int:
        """Return how many such requests fit in; one that asks for less than a GPU has it from a single one."""
        by_cpus = int(self.cpus / request.cpus)
        if request.memory:
            by_cpus = min(by_cpus, int(self.memory / request.memory))
        if not request.gpus:
            return by_cpus
        shared = request.gpus < 1
        by_gpus = int(self.gpus) * int(1 / request.gpus) if shared else int(self.gpus / request.gpus)
        return min(by_cpus, by_gpus)

    @property
    def bundle(self) -> dict[str, float]:
        """The same as Ray asks for it."""
        asked = {"CPU": self.cpus, "GPU": self.gpus, "memory": self.memory}
        return {name: amount for name, amount in asked.items() if amount}

    @property
    def processes(self) -> int:
        """How many processes a trial that asks for this trains in: one a GPU."""
        return max(1, int(self.gpus))

    def __str__(self) -> str:
        memory = f", {self.memory / 1e9:.1f} GB of memory" if self.memory else ""
        return f"{self.cpus:g} CPUs and {self.gpus:g} GPUs{memory}"


def node_resources(nodes: Sequence[Mapping[str, float]]) -> list[Resources]:
    """Return the resources of the nodes that Ray lists."""
    return [
        Resources(cpus=node.get("CPU", 0.0), gpus=node.get("GPU", 0.0), memory=node.get("memory", 0.0))
        for node in nodes
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """What a trial asks of a node, and of the memory of its GPUs, by model size; no share where it has no GPU."""

    requests: Mapping[str, Resources]
    shares: Mapping[str, GpuShare]
    epoch_seconds: Mapping[str, float] = field(default_factory=dict)
    """How long an epoch takes at most, by model size, where the largest step was measured."""

    def slots(self, nodes: Sequence[Resources]) -> dict[str, int]:
        """Return how many trials run at a time if all have one size, for each size."""
        return {size: sum(node.fit(request) for node in nodes) for size, request in self.requests.items()}

    def placed(self, job: TrialJob) -> TrialJob:
        """Return the job with what it may take of its GPUs."""
        size = job.settings.model_size
        return replace(job, processes=self.requests[size].processes, share=self.shares.get(size))

    @property
    def gpus(self) -> dict[str, float]:
        """The GPUs of a trial, by model size."""
        return {size: request.gpus for size, request in self.requests.items()}


def has_slot(slots: Mapping[str, int], running: Collection[str]) -> bool:
    """Tell whether another trial, of the smallest size, fits in beside those that run, whose sizes are given."""
    taken = sum(1 / max(1, slots[size]) for size in running)
    return taken + 1 / max(1, *slots.values()) <= 1 + ROUNDING


def place(space: SearchSpace, nodes: Sequence[Resources], probes: Mapping[str, Sequence[MemoryProbe]]) -> Placement:
    """Return what trials ask, GPUs only where a node has any; `probes` by size. Raises InfeasibleError."""
    has_gpus = any(node.gpus for node in nodes)
    placement = _affordable(wanted(space, probes), nodes) if has_gpus else _without_gpus(space)
    for size, asked in placement.requests.items():
        if not any(node.fit(asked) for node in nodes):
            raise InfeasibleError(_misfit(space, size, asked, nodes))
    return placement


def wanted(space: SearchSpace, probes: Mapping[str, Sequence[MemoryProbe]]) -> Placement:
    """Return what trials ask of nodes that nobody knows yet: a whole GPU, where nothing is measured or said."""
    requests, shares = {}, {}
    for size in space.model_sizes:
        measured = probes.get(size, ())
        gpus = space.gpus(size)
        asked = _rounded_share(trials_a_gpu(measured)) if gpus is None else gpus
        processes = max(1, int(asked))
        memory = math.ceil(max((probe.host for probe in measured), default=0) * (1 + RESERVE)) * processes
        requests[size] = Resources(cpus=space.cpus_per_trial * processes, gpus=asked, memory=memory)
        if asked:
            shares[size] = gpu_share(asked, measured)
    seconds = {size: max((probe.epoch_seconds for probe in measured), default=0.0) for size, measured in probes.items()}
    return Placement(requests=requests, shares=shares, epoch_seconds={one: of for one, of in seconds.items() if of})


def _affordable(placement: Placement, nodes: Sequence[Resources]) -> Placement:
    """Return the placement without the memory that no node has: what Ray counts as a node's memory is a part of it."""
    requests = {
        size: asked if any(node.fit(asked) for node in nodes) else replace(asked, memory=0.0)
        for size, asked in placement.requests.items()
    }
    return replace(placement, requests=requests)


def trials_a_gpu(probes: Sequence[MemoryProbe]) -> int:
    """Return how many trials share a GPU so that each has its measured peak and the reserve: on the fullest GPU."""
    fitting = [int(probe.total / (probe.peak * (1 + RESERVE))) for probe in probes]
    return max(1, min(MOST_A_GPU, *fitting)) if fitting else 1


def gpu_share(gpus: float, probes: Sequence[MemoryProbe]) -> GpuShare:
    """Return what a trial with so many GPUs may take of the memory of each."""
    part = min(1.0, gpus)
    if not probes:
        return GpuShare(limit=part, needed=part * NEED_UNMEASURED)
    overhead = max(probe.overhead / probe.total for probe in probes)
    limit = part if part == 1 else max(0.0, part - overhead)
    needed = max((probe.peak - probe.overhead) / probe.total for probe in probes)
    return GpuShare(limit=limit, needed=min(limit, needed))


def slots_here(space: SearchSpace) -> int:
    """Return how many trials run at a time on this machine at most, as long as nothing else does."""
    here = Resources(cpus=cpus_here(), gpus=torch.cuda.device_count())
    least = min(1 / MOST_A_GPU if gpus is None else gpus for gpus in map(space.gpus, space.model_sizes))
    return max(1, here.fit(Resources(cpus=space.cpus_per_trial, gpus=least if here.gpus else 0.0)))


def cpus_here(cgroups: Path = CGROUPS, own: Path = OWN_CGROUP) -> int:
    """Return the CPUs that this process may use: those it is bound to, or as many as its containers' quotas allow."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([bound, *(int(quota) for quota in _quotas(cgroups, own))]))


def _quotas(cgroups: Path, own: Path) -> Iterator[float]:
    """Yield the CPUs that each control group around this process may use; nothing where there is no limit."""
    inner = ""
    with suppress(OSError):
        inner = next((line[3:] for line in own.read_text().splitlines() if line.startswith("0::")), "")
    folder = cgroups / inner.strip("/")
    for place in (folder, *folder.parents):
        if place == cgroups.parent:
            break
        for name in ("cpu.max", "cpu/cpu.cfs_quota_us"):
            with suppress(OSError, ValueError):
                words = (place / name).read_text().split()
                period = words[1] if len(words) > 1 else (place / "cpu/cpu.cfs_period_us").read_text()
                if words[0] != "max" and float(words[0]) > 0:
                    yield float(words[0]) / float(period)


def gpus_here(space: SearchSpace) -> dict[str, float]:
    """Return the GPUs that a trial in this process has, one after the other, by model size."""
    return dict.fromkeys(space.model_sizes, float(torch.cuda.is_available()))


def _without_gpus(space: SearchSpace) -> Placement:
    request = Resources(cpus=space.cpus_per_trial, gpus=0.0)
    return Placement(requests=dict.fromkeys(space.model_sizes, request), shares={})


def _rounded_share(trials: int) -> float:
    """The largest share that Ray can count of which so many fit on a GPU."""
    return math.floor(RAYS_STEPS / trials) / RAYS_STEPS


def _misfit(space: SearchSpace, size: str, asked: Resources, nodes: Sequence[Resources]) -> str:
    largest = max(nodes, key=lambda node: (node.gpus, node.cpus), default=Resources(cpus=0, gpus=0))
    largest, fix = replace(largest, memory=0.0), ""
    if asked.cpus > largest.cpus:
        fix = f" --set cpus_per_trial={max(1, int(largest.cpus / asked.processes))}"
    if asked.gpus > largest.gpus or not fix:
        key = f"resources.{size}.gpus" if size in space.resources else "gpus_per_trial"
        fix += f" --set {key}={largest.gpus:g}"
    of_size = f" of size {size}" if len(space.model_sizes) > 1 else ""
    return f"a trial{of_size} asks for {asked}, but the largest node has {largest}; type{fix}, or add a node"
