"""Does a search survive its nodes? In: how many nodes and trials. Out: where each trial ran, and how it moved.

    python benchmarks/cluster_nodes.py --out benchmarks/results/cluster_nodes.json
    python benchmarks/cluster_nodes.py --on-demand --out benchmarks/results/cluster_on_demand.json

A Ray of several raylets on this machine, with declared GPUs: a head without CPUs, and nodes that come while the search
asks for room; with --on-demand Ray's autoscaler starts them. When a third of the trials are over, some nodes are
killed. Trials sleep, report and keep a checkpoint; the later ones wait with theirs until the nodes are killed, so that
each of these loses a trial at work, however fast this machine is. In the end the driver asks for tasks, as it does for
tests, and each says where it runs and what GPU it has: a line `node 1` for each, or `head 0`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from threading import Thread
from typing import Any

import psutil
from many_nodes import MANY_NODES
from ray_nodes_here import NodesByHand, NodesOnDemand
from results_file import command_line, write_json
from sleeping_trials import BETWEEN_LOOKS, HELD_AFTER, held, make_job, release, steps_of, whereabouts

from xa_search.records import EpochReport, Plan, TrialRecord
from xa_search.search.end_tasks import TasksOnRay
from xa_search.search.runner import run_trials
from xa_search.search.study import open_study
from xa_search.workflows.plan import make_plan

GPUS_A_NODE = 2
END_TASKS = 4
EPOCHS = 5
ENVIRONMENT = {**MANY_NODES, "RAY_AUTH_MODE": "disabled"}


class Teller:
    """Says of each trial that it started or ended, a line each."""

    def placed(self, lines: Sequence[str]) -> None:
        """Say nothing."""

    def trial_started(self, record: TrialRecord) -> None:
        """Say it."""
        print(f"started {record.number}", flush=True)

    def epoch_reported(self, record: TrialRecord, report: EpochReport) -> None:
        """Say nothing."""

    def trial_torn(self, record: TrialRecord, lines: Sequence[str]) -> None:
        """Do nothing."""

    def trial_ended(self, record: TrialRecord) -> None:
        """Say it."""
        print(f"ended {record.number}", flush=True)


def plan_of(home: Path, trials: int, address: str) -> Plan:
    changes = (f"trials={trials}", f"fixed.epochs={EPOCHS}", "gpus_per_trial=1", "scheduler={}")
    return make_plan("mtop-mini", changes, home=home, address=address)


def drive(plan: Plan) -> None:
    """Run the search, as the process that a user starts, then what its end asks of the nodes."""
    run_trials(plan, open_study(plan), lambda record: make_job(plan, record), Teller(), held)
    with TasksOnRay(plan, lambda _: {}) as tasks:
        (size,) = plan.space.model_sizes
        for answer in [tasks.submit(size, whereabouts) for _ in range(END_TASKS)]:
            node, gpus = answer()
            print(f"{'head' if node in heads() else 'node'} {gpus}", flush=True)


def heads() -> set[str]:
    """Return the nodes without GPUs."""
    import ray

    return {node["NodeID"] for node in ray.nodes() if not node["Resources"].get("GPU")}


def run(cluster: NodesByHand | NodesOnDemand, lost: int, trials: int, home: Path) -> dict[str, Any]:
    """Run the search on a cluster that grows and then loses nodes; return what became of it."""
    command = [sys.executable, __file__, "--home", str(home), "--trials", str(trials), "--address", cluster.address]
    start = time.perf_counter()
    driver = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        cluster.grow()
        plan = plan_of(home, trials, cluster.address)
        said: list[str] = []
        ear = Thread(target=listen, args=(driver, said), daemon=True)
        ear.start()
        killed = busy_nodes(driver, plan, said, enough=not_held(trials), busy=lost)[:lost]
        at = time.time()
        cluster.kill(killed)
        wait_for_ends(plan, killed)
        release(plan)
        driver.wait()
        ear.join()
        wall = time.perf_counter() - start
    finally:
        driver.kill()
    found = open_study(plan).trials()
    steps = {record.number: steps_of(plan, record.number) for record in found}
    return {
        "seconds": round(wall, 1),
        "exit_code": driver.returncode,
        "states": dict(Counter(record.state for record in found)),
        "trials_with_all_epochs": sum(len(record.scores) == EPOCHS for record in found),
        "said": dict(Counter(word for line in said if (word := line.split()[0]) in ("started", "ended"))),
        "end_tasks": dict(Counter(line.strip() for line in said if line.split()[0] in ("head", "node"))),
        "trials_by_node": trials_by_node(steps),
        "most_at_once_on_a_gpu": most_at_once(steps),
        "moved": moved(steps, killed, at),
    }


def wait_for_ends(plan: Plan, killed: list[str]) -> None:
    """Wait until no worker of the killed nodes lives: released before that, it would still end its trial."""
    folders = (plan.directory / "trials").iterdir()
    steps = [step for folder in folders for step in steps_of(plan, int(folder.name))]
    workers = {step["process"] for step in steps if step["node"] in killed}
    while any(map(is_alive, workers)):
        time.sleep(BETWEEN_LOOKS)


def is_alive(process: int) -> bool:
    """Tell whether a process runs; one that has ended, and nobody asked how, does not."""
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def listen(driver: "subprocess.Popen[str]", said: list[str]) -> None:
    """Keep each line that the driver says."""
    assert driver.stdout is not None
    said.extend(iter(driver.stdout.readline, ""))


def not_held(trials: int) -> int:
    """Return how many trials, the first ones, run to their end while the others wait for the nodes to be killed."""
    return trials // 3


def busy_nodes(driver: "subprocess.Popen[str]", plan: Plan, said: list[str], enough: int, busy: int) -> list[str]:
    """Wait until the trials that are not held have ended and so many nodes hold one; return these nodes."""
    while driver.poll() is None:
        started, ended = (
            {int(line.split()[1]) for line in tuple(said) if what in line} for what in ("started", "ended")
        )
        steps = [steps_of(plan, number) for number in sorted(started - ended) if number >= enough]
        at_work = list(dict.fromkeys(found[-1]["node"] for found in steps if len(found) == HELD_AFTER))
        if len(ended) >= enough and len(at_work) >= busy:
            return at_work
        time.sleep(BETWEEN_LOOKS)
    raise SystemExit(f"never were {busy} nodes at work once {enough} trials had ended")


def trials_by_node(steps: dict[int, list[dict[str, Any]]]) -> list[int]:
    """Return how many trials began on each node."""
    return sorted(Counter(found[0]["node"] for found in steps.values()).values())


def most_at_once(steps: dict[int, list[dict[str, Any]]]) -> int:
    """Return how many epochs overlapped most on one GPU of one node."""
    all_steps = [step for found in steps.values() for step in found]
    return max(
        sum(
            other["began"] <= step["began"] < other["ended"]
            for other in all_steps
            if (other["node"], other["gpu"]) == (step["node"], step["gpu"])
        )
        for step in all_steps
    )


def moved(steps: dict[int, list[dict[str, Any]]], lost: list[str], at: float) -> list[dict[str, Any]]:
    """Return the trials that a lost node was training: the epochs before and after, and how long each stood still."""
    found = []
    for number, all_steps in steps.items():
        before = [step for step in all_steps if step["node"] in lost]
        after = all_steps[len(before) :]
        if before and after:
            found.append(
                {
                    "trial": number,
                    "epochs_before": [step["epoch"] for step in before],
                    "epochs_after": [step["epoch"] for step in after],
                    "to_other_node": all(step["node"] not in lost for step in after),
                    "seconds_until_it_trained_again": round(after[0]["began"] - at, 1),
                }
            )
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--on-demand", action="store_true", help="let Ray's autoscaler start the nodes")
    parser.add_argument("--lost", type=int, default=2)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--epoch-seconds", type=float, default=1.0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--home", type=Path, help="only run the search, at --address")
    parser.add_argument("--address")
    options = parser.parse_args()
    if options.home is not None:
        drive(plan_of(options.home, options.trials, options.address))
        return
    held_from = {"HELD_FROM": str(not_held(options.trials))}
    os.environ.update(ENVIRONMENT | held_from | {"EPOCH_SECONDS": str(options.epoch_seconds)})
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)  # Ray declares no GPUs beyond these
    with tempfile.TemporaryDirectory() as folder:
        shape, home = {"CPU": GPUS_A_NODE, "GPU": GPUS_A_NODE}, Path(folder)
        on_demand = options.on_demand
        with NodesOnDemand(options.nodes, shape, home) if on_demand else NodesByHand(options.nodes, shape) as cluster:
            result = run(cluster, options.lost, options.trials, home)
    write_json(options.out, {"command": command_line(), "gpus_a_node": GPUS_A_NODE, "epochs": EPOCHS, **result})
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
