"""The GPUs that a cluster file asks for. In: a checked file. Out: how many there may be at once, and of which kind."""

from dataclasses import dataclass
from pathlib import Path

from xa_search.cluster.document import read_document
from xa_search.cluster.machines import Machine, kind_of, read_cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuKind:
    """A kind of GPU: products of dense bf16 matrices that its maker states, in 10^12 operations a second."""

    name: str
    teraflops: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterGpus:
    """The most GPUs that a cluster may have; no `kind` where the file does not say it, or says several."""

    at_once: int
    kind: GpuKind | None


OF_INSTANCES = {
    "g5": GpuKind(name="NVIDIA A10G", teraflops=70.0),
    "g6": GpuKind(name="NVIDIA L4", teraflops=121.0),
    "g6e": GpuKind(name="NVIDIA L40S", teraflops=362.0),
    "p4d": GpuKind(name="NVIDIA A100", teraflops=312.0),
    "p4de": GpuKind(name="NVIDIA A100", teraflops=312.0),
    "p5": GpuKind(name="NVIDIA H100", teraflops=989.0),
    "p5e": GpuKind(name="NVIDIA H200", teraflops=989.0),
    "p5en": GpuKind(name="NVIDIA H200", teraflops=989.0),
}
"""By family of EC2 instances, those whose GPUs have bf16."""


def cluster_gpus(path: Path) -> ClusterGpus:
    """Return the GPUs of a file that has no faults."""
    root = read_document(path.read_text(encoding="utf-8"))
    kind = kind_of(root)
    if kind is None:
        return ClusterGpus(at_once=0, kind=None)
    workers = [worker for worker in read_cluster(kind, root).workers if worker.gpus]
    machines = sum(_most(worker) for worker in workers)
    bound = root.at("max_workers").number
    machines = machines if bound is None else min(machines, int(bound))
    families = {worker.settings.at("InstanceType").text.partition(".")[0] for worker in workers}
    known = {OF_INSTANCES.get(family) for family in families}
    gpus = max((int(worker.gpus) for worker in workers), default=0)
    return ClusterGpus(at_once=machines * gpus, kind=known.pop() if len(known) == 1 else None)


def _most(worker: Machine) -> int:
    """Return the most machines of a kind: as a limit, as replicas, or as addresses."""
    for limit in (worker.part.at("max_workers"), worker.part.at("maxReplicas"), worker.part.at("replicas")):
        if limit.number is not None:
            return int(limit.number)
    return len(worker.part.elements) or 1
