"""A cluster file in one form for every kind. In: a document. Out: its kind, head and workers, their GPUs; and the
records of the faults that a check finds.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from xa_search.cluster.document import YamlNode, read_document

Kind = Literal["aws", "local", "rayjob"]
GPU_INSTANCE = re.compile(r"(g\d|gr\d|p\d)")
GPU = "nvidia.com/gpu"
AWS: frozenset[Kind] = frozenset({"aws"})
JOB: frozenset[Kind] = frozenset({"rayjob"})
LAUNCHED: frozenset[Kind] = frozenset({"aws", "local"})
SCALED: frozenset[Kind] = frozenset({"aws", "rayjob"})
ALL: frozenset[Kind] = frozenset({"aws", "local", "rayjob"})
Finding = tuple[YamlNode, str, str]
"""Where, what is wrong there, and what to write instead."""


@dataclass(frozen=True)
class Machine:
    """A kind of machine: the head, or one kind of worker."""

    name: str
    head: bool
    part: YamlNode
    """Where the file describes it."""
    settings: YamlNode
    """EC2's settings, or the pod's."""
    commands: tuple[YamlNode, ...]
    """What runs on it before a trial does, in order, with the variables it sets."""
    gpus: float
    spot: bool = False

    def says(self, pattern: str) -> re.Match[str] | None:
        """Return the first place in its commands that a pattern fits."""
        return next((found for command in self.commands if (found := re.search(pattern, command.text))), None)


@dataclass(frozen=True)
class ClusterFile:
    """A cluster file of a known kind."""

    kind: Kind
    root: YamlNode
    machines: tuple[Machine, ...]

    @property
    def head(self) -> Machine | None:
        """The machine that schedules; none where the file names none."""
        return next((machine for machine in self.machines if machine.head), None)

    @property
    def workers(self) -> tuple[Machine, ...]:
        """The machines that train."""
        return tuple(machine for machine in self.machines if not machine.head)

    @property
    def pods(self) -> YamlNode:
        """The Ray cluster within a RayJob."""
        return self.root.at("spec", "rayClusterSpec")


def kind_of(root: YamlNode) -> Kind | None:
    """Return the kind of a file; none where it is no cluster file that this program knows."""
    if root.at("kind").text == "RayJob":
        return "rayjob"
    provider = root.at("provider", "type").text
    return "aws" if provider == "aws" else "local" if provider == "local" else None


def read_cluster(kind: Kind, root: YamlNode) -> ClusterFile:
    """Return the machines of a file; what is missing or of a wrong type makes none."""
    machines = {"aws": _aws, "local": _local, "rayjob": _pods}[kind]
    return ClusterFile(kind, root, tuple(machines(root)))


def _aws(root: YamlNode) -> Iterator[Machine]:
    for name, part in root.at("available_node_types").entries.items():
        settings, stated = part.at("node_config"), part.at("resources", "GPU").number
        has_gpu = GPU_INSTANCE.match(settings.at("InstanceType").text) is not None
        head = name == root.at("head_node_type").text
        spot = settings.at("InstanceMarketOptions", "MarketType").text == "spot"
        gpus = float(has_gpu) if stated is None else stated
        yield Machine(name, head, part, settings, _launched(root, part, head), gpus, spot)


def _local(root: YamlNode) -> Iterator[Machine]:
    provider = root.at("provider")
    head = _launched(root, YamlNode(None, 1), True)
    without_gpu = any("ray start" in command.text and "--num-gpus=0" in command.text for command in head)
    yield Machine("head", True, provider.at("head_ip"), YamlNode(None, 1), head, float(not without_gpu))
    workers = provider.at("worker_ips")
    yield Machine("workers", False, workers, YamlNode(None, 1), _launched(root, YamlNode(None, 1), False), 1.0)


def _launched(root: YamlNode, node_type: YamlNode, head: bool) -> tuple[YamlNode, ...]:
    """Return the commands of a launched machine; a worker type's own set-up takes the place of the common one."""
    first = node_type.at("initialization_commands")
    setup = [root.at("setup_commands"), root.at("head_setup_commands" if head else "worker_setup_commands")]
    if not head and node_type.at("worker_setup_commands").present:
        setup = [node_type.at("worker_setup_commands")]
    start = root.at("head_start_ray_commands" if head else "worker_start_ray_commands")
    parts = [first if first.present else root.at("initialization_commands"), *setup, start]
    return tuple(command for part in parts for command in part.elements)


def _pods(root: YamlNode) -> Iterator[Machine]:
    cluster = root.at("spec", "rayClusterSpec")
    head = cluster.at("headGroupSpec")
    yield _pod("head", head, head=True, more=(root.at("spec", "entrypoint"),))
    for part in cluster.at("workerGroupSpecs").elements:
        yield _pod(part.at("groupName").text or "workers", part, head=False)


def _pod(name: str, part: YamlNode, *, head: bool, more: tuple[YamlNode, ...] = ()) -> Machine:
    spec = part.at("template", "spec")
    containers = containers_of(spec)
    commands = [_words(container) for container in containers]
    for container in containers:
        for entry in container.at("env").elements:
            commands.append(YamlNode(f"{entry.at('name').text}={entry.at('value').text}", entry.line))
    gpus = [_gpus(container) for container in spec.at("containers").elements]
    started = part.at("rayStartParams", "num-gpus").number or part.at("resources", "GPU").number or 0.0
    places = [found for key in ("nodeSelector", "affinity", "tolerations") for found in spec.at(key).walk()]
    words = [text for place in places for text in (place.text, *place.entries)]
    spot = any("spot" in word.lower() for word in words)
    return Machine(name, head, part, spec, (*commands, *more), max(sum(gpus), started), spot)


def containers_of(spec: YamlNode) -> tuple[YamlNode, ...]:
    """Return the containers of a pod, those first that run before the others."""
    return (*spec.at("initContainers").elements, *spec.at("containers").elements)


def _words(container: YamlNode) -> YamlNode:
    words = (*container.at("command").elements, *container.at("args").elements)
    return YamlNode(" ".join(word.text for word in words), words[0].line if words else container.line)


def _gpus(container: YamlNode) -> float:
    return container.at("resources", "limits", GPU).number or 0.0


@dataclass(frozen=True, order=True)
class Fault:
    """One line of a file that would cost time, money or safety."""

    line: int
    rule: str
    what: str
    fix: str


@dataclass(frozen=True)
class Rule:
    """A short name, what it protects from, the kinds of file it is for, and how it looks."""

    name: str
    protects: str
    kinds: frozenset[Kind]
    look: Callable[[ClusterFile], Iterator[Finding]]

    def faults(self, cluster: ClusterFile) -> Iterator[Fault]:
        """Yield what this rule finds."""
        if cluster.kind in self.kinds:
            for part, what, fix in self.look(cluster):
                yield Fault(part.line, self.name, what, fix)


@dataclass(frozen=True)
class Example:
    """A value of a shipped file that every user has to replace."""

    line: int
    value: str


@dataclass(frozen=True)
class Report:
    """What is wrong with a file, and which of its values are only examples."""

    faults: tuple[Fault, ...]
    examples: tuple[Example, ...] = ()

    def lines(self, path: Path) -> list[str]:
        """Return one line a fault: where it is, what it is, and its fix."""
        return [f"{path}:{fault.line}: {fault.rule}: {fault.what}; {fault.fix}" for fault in self.faults]


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
