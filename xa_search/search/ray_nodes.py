"""The nodes of a running Ray. In: what a trial asks, what a node needs. Out: live nodes, and faults before any trial.

On a cluster that grows by itself, whose head has no CPU, the driver asks for room first: nobody knows what can come.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.util.placement_group import PlacementGroup, placement_group, placement_group_table, remove_placement_group
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from xa_search.errors import InfeasibleError
from xa_search.search.node_check import Expected, fault_here
from xa_search.search.resources import Resources, node_resources

ANSWER_SECONDS = 120.0
FIRST_NODE_SECONDS = 900.0
BETWEEN_LOOKS = 1.0
MOST_ASKED_FOR = 256
HEAD = "node:__internal_head__"


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
    look = ray.remote(num_cpus=0, max_retries=0)(fault_here)
    asked = {
        look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(
            expected
        ): node
        for node in live_nodes()
    }
    answered, silent = ray.wait(list(asked), num_returns=len(asked), timeout=ANSWER_SECONDS)
    faults = {asked[one]["NodeID"]: _answer(one, asked[one]["NodeManagerHostname"]) for one in answered}
    for one in silent:
        node = asked[one]
        faults[node["NodeID"]] = f"node {node['NodeManagerHostname']}: no answer in {ANSWER_SECONDS:.0f} s; look there"
    alive = {node["NodeID"] for node in live_nodes()}
    lines = dict.fromkeys(fault for node, fault in faults.items() if fault and node in alive)
    if lines:
        raise InfeasibleError("\n".join(lines))


def _answer(reference: Any, name: str) -> str:
    try:
        return str(ray.get(reference))
    except ray.exceptions.RayError as error:
        last = str(error).strip().splitlines()[-1][:200]
        return f"node {name}: cannot run this program ({last}); install the same wheel and versions there"


class Room:
    """Room that was asked for, trial by trial: what came is given back at once, so that a trial takes it."""

    def __init__(self, asked: Resources, trials: int) -> None:
        bundle = {"CPU": asked.cpus, **({"GPU": asked.gpus} if asked.gpus else {})}
        self._left: list[PlacementGroup] = [placement_group([bundle]) for _ in range(min(trials, MOST_ASKED_FOR))]
        self._since = time.monotonic()
        self._came = False

    def give_back(self) -> bool:
        """Free what has come, and tell whether any ever has."""
        states = placement_group_table() if self._left else {}
        ready = [group for group in self._left if states[group.id.hex()]["state"] == "CREATED"]
        for group in ready:
            remove_placement_group(group)
        self._left = [group for group in self._left if group not in ready]
        self._came = self._came or bool(ready)
        if time.monotonic() - self._since > FIRST_NODE_SECONDS:
            self.forget()
        return self._came

    def forget(self) -> None:
        """Ask for nothing any more."""
        for group in self._left:
            remove_placement_group(group)
        self._left = []


@contextmanager
def room_for(asked: Resources, trials: int) -> Iterator[Room]:
    """Ask a cluster that grows for room, as long as this driver lives. Raises InfeasibleError when none comes."""
    room = Room(asked, trials)
    try:
        start = time.monotonic()
        while not room.give_back():
            if time.monotonic() - start > FIRST_NODE_SECONDS:
                raise InfeasibleError(
                    f"a trial asks for {asked}, and no such node came in {FIRST_NODE_SECONDS / 60:.0f} minutes; "
                    "`ray status` says why, or type --set gpus_per_trial=0 where the cluster has no GPU"
                )
            time.sleep(BETWEEN_LOOKS)
        yield room
    finally:
        room.forget()
