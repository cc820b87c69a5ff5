"""Two `small` trials and one of XLM-R base's dimensions on one GPU. In: a corpus. Out: what each took of it, as JSON.

    python benchmarks/gpu_packing.py mtop-mini --out benchmarks/results/gpu_packing.json

Each size is measured as a search measures it, and gets the share that a search would give it. Then the three trials run
at once, each in a process of its own, below its limit; one is killed, and the next waits for what it held; one gets
half of what it needs, and halves its steps. Needs a GPU that nothing else uses. `base` has random weights.
"""

import argparse
import multiprocessing
import os
import shutil
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from arms import encoder_of
from machine import describe_machine
from results_file import command_line, write_json

from xa_search.errors import XaSearchError
from xa_search.records import GpuShare, MemoryProbe, Plan, TrialJob, TrialSettings
from xa_search.search.memory_profile import measure_memory
from xa_search.search.resources import Resources, place
from xa_search.training.device import trial_device
from xa_search.training.trial import train_trial
from xa_search.workflows.plan import make_plan
from xa_search.workflows.preflight import Prepared, prepare_search
from xa_search.workflows.trials import make_trial_job

PACKED = {"small 1": "small", "small 2": "small", "base": "base"}
CONTEXT = multiprocessing.get_context("spawn")
BETWEEN_LOOKS = 0.05
LONGEST_WAIT = 60.0
TOO_LITTLE = 0.5


class Trial:
    """A trial in a process of its own."""

    def __init__(self, job: TrialJob) -> None:
        shutil.rmtree(job.directory, ignore_errors=True)
        self._pipe, there = CONTEXT.Pipe()
        self._process = CONTEXT.Process(target=_train, args=(job, there))
        self._process.start()
        there.close()

    def first_epoch(self) -> None:
        """Wait until it has trained an epoch."""
        self._pipe.recv()

    def has_more(self) -> bool:
        """Wait a moment, and tell whether it still trains."""
        self._process.join(BETWEEN_LOOKS)
        return self._process.is_alive()

    def figures(self) -> dict[str, float]:
        """Return what it told in the end."""
        last: dict[str, float] = {}
        try:
            while True:
                last = self._pipe.recv()
        except EOFError:
            return last

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._process.kill()
        self._process.join()


def _train(job: TrialJob, pipe: Connection) -> None:
    for report in train_trial(job):
        pipe.send({**report.metrics, "most_bytes": torch.cuda.max_memory_reserved()})


def used_bytes() -> int:
    """Return what all processes together hold of the GPU."""
    free, total = torch.cuda.mem_get_info()
    return total - free


def run_packed(jobs: dict[str, TrialJob], total: int) -> dict[str, Any]:
    """Run all trials at once. Return what each took, beside its limit, and the most that all held together."""
    start, most = time.perf_counter(), 0
    trials = {name: Trial(job) for name, job in jobs.items()}
    while any(trial.has_more() for trial in trials.values()):
        most = max(most, used_bytes())
    found: dict[str, Any] = {"seconds": time.perf_counter() - start, "most_bytes_together": most}
    for name, trial in trials.items():
        share = jobs[name].share
        assert share is not None
        figures = trial.figures()
        limit = int(share.limit * total)
        kept = {key: figures[key] for key in ("most_bytes", "oom_halvings", "train_seconds", "train_steps")}
        found[name] = kept | {"limit_bytes": limit, "limit_held": kept["most_bytes"] <= limit}
    return found


def kill_and_wait(job: TrialJob, baseline: int) -> dict[str, float]:
    """Kill a trial after its first epoch. Return what it held, how soon that was free, and how the next one did."""
    trial = Trial(job)
    trial.first_epoch()
    held = used_bytes() - baseline
    trial.kill()
    start = time.perf_counter()
    while (left := used_bytes() - baseline) > 0 and time.perf_counter() - start < LONGEST_WAIT:
        time.sleep(BETWEEN_LOOKS)
    seconds = time.perf_counter() - start
    after = Trial(replace(job, directory=job.directory / "next"))
    return {"held_bytes": held, "left_bytes": left, "seconds_until_free": seconds, **after.figures()}


def measure_sizes(plan: Plan, prepared: Prepared, settings: dict[str, TrialSettings]) -> dict[str, MemoryProbe]:
    """Measure each size in a process of its own. Raises XaSearchError without a GPU."""
    found = {}
    for size, one in settings.items():
        with ProcessPoolExecutor(1, mp_context=CONTEXT) as pool:
            probe = pool.submit(measure_memory, make_trial_job(plan, prepared, one, "probe")).result()
        if probe is None:
            raise XaSearchError("there is no GPU here; run it where `nvidia-smi` shows one")
        found[size] = probe
    return found


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Return all figures."""
    encoders = {size: encoder_of(size, options.home) for size in dict.fromkeys(PACKED.values())}
    changes = ("baseline=null", "published=null", f"params.model_size.choices=[{', '.join(encoders.values())}]")
    plan = make_plan(options.space, changes, home=options.home.absolute(), data=options.data)
    prepared = prepare_search(plan, plan.space.model_sizes, print)
    fixed = {"epochs": options.epochs, "batch_size": options.batch_size}
    settings = {size: plan.trial_settings({"model_size": encoder, **fixed}) for size, encoder in encoders.items()}
    probes = measure_sizes(plan, prepared, settings)
    node = Resources(cpus=os.cpu_count() or 1, gpus=1)
    placement = place(plan.space, [node], {encoders[size]: [probe] for size, probe in probes.items()})
    jobs = {
        name: placement.placed(make_trial_job(plan, prepared, settings[size], f"packed-{name}"))
        for name, size in PACKED.items()
    }
    asked = {name: placement.gpus[encoders[size]] for name, size in PACKED.items()}
    return {
        "command": command_line(),
        "machine": describe_machine(trial_device(), plan.space.cpus_per_trial),
        "settings": fixed,
        "probes": {size: asdict(probe) for size, probe in probes.items()},
        "gpus_asked": asked,
        "fits": sum(asked.values()) <= 1,
        **run_all(jobs, probes["base"]),
    }


def run_all(jobs: dict[str, TrialJob], base: MemoryProbe) -> dict[str, Any]:
    """Run the trials at once, then each alone, then one killed, then one with too little."""
    baseline, tensors = used_bytes(), (base.peak - base.overhead) / base.total
    tight = replace(jobs["base"], share=GpuShare(limit=TOO_LITTLE * tensors, needed=0.0))
    return {
        "baseline_bytes": baseline,
        "packed": run_packed(jobs, base.total),
        "between_bytes": used_bytes(),
        "alone": {name: run_packed({name: job}, base.total) for name, job in jobs.items()},
        "killed": kill_and_wait(jobs["base"], baseline),
        "too_little": run_packed({"base": tight}, base.total),
        "after_bytes": used_bytes(),
    }


def main() -> None:
    """Read the options, measure, write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", help="a search space, such as mtop-mini")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--home", type=Path, default=Path(".xa-search"))
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    write_json(options.out, measure(options))
    print(f"wrote {options.out}")


if __name__ == "__main__":
    try:
        main()
    except XaSearchError as error:
        sys.exit(f"error: {error}")
