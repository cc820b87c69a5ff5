"""The machines of a cluster file, in one form for every kind. In: a document. Out: its kind, head and workers."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from xa_search.cluster.document import Part

Kind = Literal["aws", "local", "rayjob"]
GPU_INSTANCE = re.compile(r"(g\d|gr\d|p\d)")
GPU = "nvidia.com/gpu"


@dataclass(frozen=True)
class Machine:
    """A kind of machine: the head, or one kind of worker."""

    name: str
    head: bool
    part: Part
    """Where the file describes it."""
    settings: Part
    """EC2's settings, or the pod's."""
    commands: tuple[Part, ...]
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
    root: Part
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
    def pods(self) -> Part:
        """The Ray cluster within a RayJob."""
        return self.root.at("spec", "rayClusterSpec")


def kind_of(root: Part) -> Kind | None:
    """Return the kind of a file; none where it is no cluster file that this program knows."""
    if root.at("kind").text == "RayJob":
        return "rayjob"
    provider = root.at("provider", "type").text
    return "aws" if provider == "aws" else "local" if provider == "local" else None


def read_cluster(kind: Kind, root: Part) -> ClusterFile:
    """Return the machines of a file; what is missing or of a wrong type makes none."""
    machines = {"aws": _aws, "local": _local, "rayjob": _pods}[kind]
    return ClusterFile(kind, root, tuple(machines(root)))


def _aws(root: Part) -> Iterator[Machine]:
    for name, part in root.at("available_node_types").entries.items():
        settings, stated = part.at("node_config"), part.at("resources", "GPU").number
        has_gpu = GPU_INSTANCE.match(settings.at("InstanceType").text) is not None
        head = name == root.at("head_node_type").text
        spot = settings.at("InstanceMarketOptions", "MarketType").text == "spot"
        gpus = float(has_gpu) if stated is None else stated
        yield Machine(name, head, part, settings, _launched(root, part, head), gpus, spot)


def _local(root: Part) -> Iterator[Machine]:
    provider = root.at("provider")
    head = _launched(root, Part(None, 1), True)
    without_gpu = any("ray start" in command.text and "--num-gpus=0" in command.text for command in head)
    yield Machine("head", True, provider.at("head_ip"), Part(None, 1), head, float(not without_gpu))
    workers = provider.at("worker_ips")
    yield Machine("workers", False, workers, Part(None, 1), _launched(root, Part(None, 1), False), 1.0)


def _launched(root: Part, node_type: Part, head: bool) -> tuple[Part, ...]:
    """Return the commands of a launched machine; a worker type's own set-up takes the place of the common one."""
    first = node_type.at("initialization_commands")
    setup = [root.at("setup_commands"), root.at("head_setup_commands" if head else "worker_setup_commands")]
    if not head and node_type.at("worker_setup_commands").present:
        setup = [node_type.at("worker_setup_commands")]
    start = root.at("head_start_ray_commands" if head else "worker_start_ray_commands")
    parts = [first if first.present else root.at("initialization_commands"), *setup, start]
    return tuple(command for part in parts for command in part.elements)


def _pods(root: Part) -> Iterator[Machine]:
    cluster = root.at("spec", "rayClusterSpec")
    head = cluster.at("headGroupSpec")
    yield _pod("head", head, head=True, more=(root.at("spec", "entrypoint"),))
    for part in cluster.at("workerGroupSpecs").elements:
        yield _pod(part.at("groupName").text or "workers", part, head=False)


def _pod(name: str, part: Part, *, head: bool, more: tuple[Part, ...] = ()) -> Machine:
    spec = part.at("template", "spec")
    containers = containers_of(spec)
    commands = [_words(container) for container in containers]
    for container in containers:
        for entry in container.at("env").elements:
            commands.append(Part(f"{entry.at('name').text}={entry.at('value').text}", entry.line))
    gpus = [_gpus(container) for container in spec.at("containers").elements]
    started = part.at("rayStartParams", "num-gpus").number or part.at("resources", "GPU").number or 0.0
    places = [found for key in ("nodeSelector", "affinity", "tolerations") for found in spec.at(key).walk()]
    words = [text for place in places for text in (place.text, *place.entries)]
    spot = any("spot" in word.lower() for word in words)
    return Machine(name, head, part, spec, (*commands, *more), max(sum(gpus), started), spot)


def containers_of(spec: Part) -> tuple[Part, ...]:
    """Return the containers of a pod, those first that run before the others."""
    return (*spec.at("initContainers").elements, *spec.at("containers").elements)


def _words(container: Part) -> Part:
    words = (*container.at("command").elements, *container.at("args").elements)
    return Part(" ".join(word.text for word in words), words[0].line if words else container.line)


def _gpus(container: Part) -> float:
    return container.at("resources", "limits", GPU).number or 0.0
