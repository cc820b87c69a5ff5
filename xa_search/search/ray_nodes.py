"""The nodes of a running Ray. In: what a trial asks, what a node needs. Out: live nodes, and faults before any trial.

On a cluster that grows by itself, whose head has no CPU, the driver requests capacity first: nobody knows what comes.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

import ray
from ray.util.placement_group import PlacementGroup, placement_group, placement_group_table, remove_placement_group
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from xa_search.errors import GpuBusyError, InfeasibleError, XaSearchError
from xa_search.records import MemoryProbe, TrialJob
from xa_search.search.node_check import Expected, fault_here
from xa_search.search.resources import Resources, node_resources

ANSWER_SECONDS = 120.0
FIRST_NODE_SECONDS = 900.0
MEASURE_SECONDS = 900.0
BETWEEN_LOOKS = 1.0
MOST_ASKED_FOR = 256
RETRIES = 3
HEAD = "node:__internal_head__"
KIND = "accelerator_type:"

Asked = TypeVar("Asked")
Said = TypeVar("Said")


def live_nodes() -> list[dict[str, Any]]:
    """Return what Ray knows of each node that is alive."""
    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def live_resources() -> list[Resources]:
    """Return the resources of each node that is alive."""
    return node_resources([node["Resources"] for node in live_nodes()])


def grows() -> bool:
    """Tell whether this is a cluster whose workers come when they are asked for: no CPU on the head, as in cluster/."""
    return any(HEAD in node["Resources"] and not node["Resources"].get("CPU") for node in live_nodes())


def check_nodes(expected: Expected) -> None:
    """Ask all live nodes at once whether they can run trials. Raises InfeasibleError with one line a faulty node."""
    answers = ask_nodes(fault_here, expected)
    silent = [f"node {one.name}: {one.silence}; install the same wheel and versions there" for one in answers]
    lines = [said.answer or (fault if said.silence else "") for said, fault in zip(answers, silent, strict=True)]
    if faults := dict.fromkeys(filter(None, lines)):
        raise InfeasibleError("\n".join(faults))


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAnswer(Generic[Said]):
    """What a live node said, or why it said nothing; `gpus` are those that Ray counts there."""

    name: str
    gpus: float
    answer: Said | None
    silence: str


def ask_nodes(look: Callable[[Asked], Said], asked: Asked) -> list[NodeAnswer[Said]]:
    """Call a function with the same argument on all live nodes at once; those that leave meanwhile do not count."""
    task = ray.remote(num_cpus=0, max_retries=0)(look)
    nodes = live_nodes()
    at = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in nodes]
    references = [task.options(scheduling_strategy=one).remote(asked) for one in at]
    answered, _ = ray.wait(references, num_returns=len(references), timeout=ANSWER_SECONDS)
    found = []
    for reference, node in zip(references, nodes, strict=True):
        answer, silence = None, f"no answer in {ANSWER_SECONDS:.0f} s"
        if reference in answered:
            try:
                answer, silence = ray.get(reference), ""
            except ray.exceptions.RayError as error:
                silence = f"cannot run this program ({str(error).strip().splitlines()[-1][:200]})"
        gpus = node["Resources"].get("GPU", 0.0)
        found.append(
            (node["NodeID"], NodeAnswer(name=node["NodeManagerHostname"], gpus=gpus, answer=answer, silence=silence))
        )
    alive = {node["NodeID"] for node in live_nodes()}
    return [answer for node_id, answer in found if node_id in alive]


def gpu_kinds() -> dict[str, str]:
    """Return a live node, by its id, of each kind of GPU."""
    return {_kind(node["Resources"]): node["NodeID"] for node in live_nodes() if node["Resources"].get("GPU", 0) >= 1}


def _kind(resources: Mapping[str, float]) -> str:
    return next((name.removeprefix(KIND) for name in sorted(resources) if name.startswith(KIND)), "GPU")


def measure_on_nodes(
    measure_memory: Callable[[TrialJob], MemoryProbe | None], wanted: Mapping[tuple[str, str], TrialJob]
) -> dict[str, MemoryProbe | str]:
    """Measure each job in a fresh process that has a GPU of its kind to itself. Return probes by key, or why not."""
    nodes = gpu_kinds()
    measure = ray.remote(num_gpus=1, max_retries=0, max_calls=1)(measure_memory)
    asked = {
        measure.options(scheduling_strategy=NodeAffinitySchedulingStrategy(nodes[kind], soft=False)).remote(job): key
        for (kind, key), job in wanted.items()
    }
    answered, silent = ray.wait(list(asked), num_returns=len(asked), timeout=MEASURE_SECONDS)
    for one in silent:
        ray.cancel(one, force=True)
    found = {asked[one]: _measured(one) for one in answered}
    return found | {asked[one]: f"no answer in {MEASURE_SECONDS:.0f} s" for one in silent}


def _measured(reference: Any) -> MemoryProbe | str:
    try:
        return ray.get(reference) or "PyTorch finds no GPU there"
    except Exception as error:  # whatever a step may raise; the trial itself will say what it is
        return str(error).strip().splitlines()[-1][:200]


def start_task(asked: Resources, call: Callable[[], Said]) -> Callable[[], Said]:
    """Let a node that has what is asked call a function, and return what waits for the answer.

    That raises what the function raised, XaSearchError where one worker after the other was lost.
    """
    task: Any = ray.remote(_called)
    options = {"num_cpus": asked.cpus, "num_gpus": asked.gpus, "max_retries": RETRIES}
    return partial(_task_answer, task.options(retry_exceptions=[GpuBusyError], **options).remote(call))


def _called(call: Callable[[], Said]) -> Said:
    return call()


def _task_answer(reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise XaSearchError(f"the end of the search lost its workers ({reason}); type the same command") from None


class CapacityRequest:
    """Capacity that was requested, trial by trial: what came is given back at once, so that a trial takes it."""

    def __init__(self, requests: Sequence[Resources]) -> None:
        self._left: list[tuple[PlacementGroup, Resources]] = [
            (placement_group([one.bundle], strategy="STRICT_PACK"), one) for one in requests[:MOST_ASKED_FOR]
        ]
        self._since = time.monotonic()
        self._to_come = set(requests)

    def give_back(self) -> bool:
        """Free what has come, and tell whether each kind of request ever has."""
        states = placement_group_table() if self._left else {}
        ready = [(group, one) for group, one in self._left if states[group.id.hex()]["state"] == "CREATED"]
        for group, one in ready:
            remove_placement_group(group)
            self._to_come.discard(one)
        self._left = [one for one in self._left if one not in ready]
        if time.monotonic() - self._since > FIRST_NODE_SECONDS:
            self.forget()
        return not self._to_come

    @property
    def missing(self) -> str:
        """What has not come yet."""
        return " or ".join(map(str, self._to_come))

    def forget(self) -> None:
        """Ask for nothing any more."""
        for group, _ in self._left:
            remove_placement_group(group)
        self._left = []


@contextmanager
def request_capacity(requests: Sequence[Resources]) -> Iterator[CapacityRequest]:
    """Request capacity of a cluster that grows, while this driver lives. Raises InfeasibleError when none comes."""
    capacity = CapacityRequest(requests)
    try:
        start = time.monotonic()
        while not capacity.give_back():
            if time.monotonic() - start > FIRST_NODE_SECONDS:
                raise InfeasibleError(
                    f"a trial asks for {capacity.missing}, and no such node came in {FIRST_NODE_SECONDS / 60:.0f} "
                    "minutes; `ray status` says why, or type --set gpus_per_trial=0 where the cluster has no GPU"
                )
            time.sleep(BETWEEN_LOOKS)
        yield capacity
    finally:
        capacity.forget()
