"""What would a larger cluster wait for? In: nothing. Out: trials per hour by nodes, and what a trial costs the driver.

    python benchmarks/scaling.py nodes --trials-a-node 4 --epoch-seconds 8 --out benchmarks/results/scaling.json
    python benchmarks/scaling.py gpus --trials-a-node 4 --epoch-seconds 8 --out benchmarks/results/scaling.json
    python benchmarks/scaling.py driver --out benchmarks/results/scaling.json

Nodes are raylets on this machine with one declared CPU each, or also a GPU: a trial with one gets a worker of its own.
Trials sleep, so that the driver alone is measured. Then one search of 1,000 trials that only report: the driver's
processor time and memory a trial, and how both grow.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch
from cluster_nodes import ENVIRONMENT
from machine import anonymous_memory, describe_machine
from results_file import command_line, write_json
from sleeping_trials import make_job, sleeping, steps_of
from soak import in_process, result_of, summarise

from xa_search.records import EpochReport, Plan, TrialRecord
from xa_search.search.runner import run_trials
from xa_search.search.study import open_study
from xa_search.workflows.plan import make_plan

NODES = {"nodes": (1, 2, 4, 8), "gpus": (4,)}
EPOCHS = 2


class Meter:
    """Reads the driver's clocks and memory at the first start of a trial and at the last end."""

    def __init__(self) -> None:
        self.readings: list[tuple[int, float, float, float]] = []

    def trial_started(self, record: TrialRecord) -> None:
        """Read."""
        self._read(record)

    def epoch_reported(self, record: TrialRecord, report: EpochReport) -> None:
        """Read nothing."""

    def trial_ended(self, record: TrialRecord) -> None:
        """Read."""
        self._read(record)

    def _read(self, record: TrialRecord) -> None:
        self.readings.append((record.number, time.time(), time.process_time(), anonymous_memory()))


def plan_of(home: Path, trials: int, gpus: int, address: str) -> Plan:
    changes = (f"trials={trials}", f"fixed.epochs={EPOCHS}", f"gpus_per_trial={gpus}", "scheduler={}")
    return make_plan("mtop-mini", changes, home=home, address=address)


def drive(plan: Plan) -> None:
    """Run a search and print what its driver used."""
    meter = Meter()
    run_trials(plan, open_study(plan), lambda record: make_job(plan, record), meter, sleeping)
    first, last = meter.readings[0], meter.readings[-1]
    print(json.dumps({"seconds": last[1] - first[1], "processor": last[2] - first[2], "memory_mb": 1000 * last[3]}))


def throughput(nodes: int, gpus: int, trials_a_node: int, epoch_seconds: float, home: Path) -> dict[str, Any]:
    """Run as many trials a node on so many nodes; return trials per hour, and how long a node waited for its next."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "num_gpus": 0, "include_dashboard": False})
    try:
        for _ in range(nodes):
            cluster.add_node(num_cpus=1, num_gpus=gpus)
        plan = plan_of(home, nodes * trials_a_node, gpus, cluster.address)
        command = [sys.executable, __file__, "one", "--home", str(home), "--trials", str(plan.space.trials)]
        command += ["--gpus-a-node", str(gpus)]
        driver = subprocess.run([*command, "--address", cluster.address], stdout=subprocess.PIPE, text=True, check=True)
    finally:
        cluster.shutdown()
    used = json.loads(driver.stdout.splitlines()[-1])
    trials = [steps_of(plan, number) for number in range(plan.space.trials)]
    gaps = gaps_between(trials)
    busy = fmean([steps[-1]["ended"] - steps[0]["began"] for steps in trials])
    return {
        "nodes": nodes,
        "trials": len(trials),
        "seconds_a_trial": round(EPOCHS * epoch_seconds, 2),
        "trials_an_hour": round(3600 * nodes / (busy + fmean(gaps)), 1),
        "trials_an_hour_without_waiting": round(3600 * nodes / busy, 1),
        "seconds_between_two_trials_of_a_node": {"median": round(median(gaps), 2), "max": round(max(gaps), 2)},
        "seconds_until_all_nodes_worked": round(ramp(trials), 1),
        "wall_seconds": round(used["seconds"], 1),
        "driver_processor_seconds_a_trial": round(used["processor"] / len(trials), 3),
    }


def gaps_between(trials: list[list[dict[str, Any]]]) -> list[float]:
    """Return the seconds from the end of each trial to the beginning of the next on the same node."""
    by_node: dict[str, list[list[dict[str, Any]]]] = {}
    for steps in sorted(trials, key=lambda steps: float(steps[0]["began"])):
        by_node.setdefault(steps[0]["node"], []).append(steps)
    return [
        after[0]["began"] - before[-1]["ended"] for of_node in by_node.values() for before, after in pairwise(of_node)
    ]


def ramp(trials: list[list[dict[str, Any]]]) -> float:
    """Return the seconds from the first node's first trial to the last node's first trial."""
    first: dict[str, float] = {}
    for steps in trials:
        node, began = steps[0]["node"], float(steps[0]["began"])
        first[node] = min(first.get(node, began), began)
    return max(first.values()) - min(first.values())


def measure_nodes(options: argparse.Namespace) -> list[dict[str, Any]]:
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)  # Ray declares no GPUs beyond these
    os.environ.update(ENVIRONMENT | {"EPOCH_SECONDS": str(options.epoch_seconds)})
    found = []
    gpus = int(options.what == "gpus")
    for nodes in NODES[options.what]:
        with tempfile.TemporaryDirectory() as folder:
            found.append(throughput(nodes, gpus, options.trials_a_node, options.epoch_seconds, Path(folder)))
        print(json.dumps(found[-1], indent=1), flush=True)
    return found


def measure_driver(options: argparse.Namespace) -> dict[str, Any]:
    """Run trials that only report; return what the first and the last cost the driver, and how its memory grew."""
    with tempfile.TemporaryDirectory() as folder:
        found = summarise(result_of(in_process(Path(folder), options.trials, seed=1)))
    print(json.dumps(found, indent=1))
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("nodes", "gpus", "driver", "one"))
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--trials-a-node", type=int, default=5)
    parser.add_argument("--epoch-seconds", type=float, default=4.0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--home", type=Path, help="of `one`, which runs the search at --address")
    parser.add_argument("--address")
    parser.add_argument("--gpus-a-node", type=int, default=0, help="of `one`")
    options = parser.parse_args()
    if options.what == "one":
        drive(plan_of(options.home, options.trials, options.gpus_a_node, options.address))
        return
    machine = describe_machine(torch.device("cpu"), 1)
    found = measure_driver(options) if options.what == "driver" else measure_nodes(options)
    result = json.loads(options.out.read_text(encoding="utf-8")) if options.out.exists() else {}
    write_json(options.out, result | {options.what: {"command": command_line(), "machine": machine, "found": found}})


if __name__ == "__main__":
    main()
