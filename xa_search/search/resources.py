"""What a trial asks of a node. In: a search space and the live nodes. Out: CPUs and GPUs, or an InfeasibleError."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xa_search.errors import InfeasibleError
from xa_search.records import SearchSpace


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """CPUs and GPUs, of a trial or of a node."""

    cpus: float
    gpus: float

    def fit(self, request: "Resources") -> int:
        """Return how many such requests fit in."""
        by_cpus = int(self.cpus / request.cpus)
        return min(by_cpus, int(self.gpus / request.gpus)) if request.gpus else by_cpus

    def __str__(self) -> str:
        return f"{self.cpus:g} CPUs and {self.gpus:g} GPUs"


def node_resources(nodes: Sequence[Mapping[str, float]]) -> list[Resources]:
    """Return the resources of the nodes that Ray lists."""
    return [Resources(cpus=node.get("CPU", 0.0), gpus=node.get("GPU", 0.0)) for node in nodes]


def wanted_resources(space: SearchSpace) -> Resources:
    """Return what a trial asks of a cluster whose nodes nobody knows yet."""
    return Resources(cpus=space.cpus_per_trial, gpus=space.gpus_per_trial)


def trial_resources(space: SearchSpace, nodes: Sequence[Resources]) -> Resources:
    """Return what a trial asks: GPUs only where a node has any. Raises InfeasibleError when no node can give it."""
    has_gpus = any(node.gpus for node in nodes)
    asked = Resources(cpus=space.cpus_per_trial, gpus=space.gpus_per_trial if has_gpus else 0.0)
    if any(node.fit(asked) for node in nodes):
        return asked
    largest = max(nodes, key=lambda node: (node.gpus, node.cpus), default=Resources(cpus=0, gpus=0))
    fix = f"--set cpus_per_trial={max(1, int(largest.cpus))}"
    if asked.gpus > largest.gpus:
        fix += f" --set gpus_per_trial={largest.gpus:g}"
    raise InfeasibleError(f"a trial asks for {asked}, but the largest node has {largest}; type {fix}, or add a node")


def slots_here(space: SearchSpace) -> int:
    """Return how many trials run at a time on this machine, as long as nothing else does."""
    import torch

    here = Resources(cpus=os.cpu_count() or 1, gpus=torch.cuda.device_count())
    request = Resources(cpus=space.cpus_per_trial, gpus=space.gpus_per_trial if here.gpus else 0.0)
    return max(1, here.fit(request))


def gpus_here(space: SearchSpace) -> float:
    """Return the GPUs that a trial in this process occupies."""
    import torch

    return space.gpus_per_trial if torch.cuda.is_available() else 0.0
