"""Winner against zero-shot over several seeds. In: a search space and settings. Out: test scores, mean and spread.

    python benchmarks/seeds.py mtod-small --data mtod.zip --params '{"align_weight": 1, "learning_rate": 2e-4}' \
        --seeds 11 12 13 --out benchmarks/results/mtod_seeds.json

Two zero-shot models stand beside the aligned one: the space's own baseline, and the same settings without alignment.
All of them see the same source utterances; a seed changes initialisation, data order and dropout. The epoch is chosen
by the space's selection rule, never by a test split.
"""

import argparse
import json
import multiprocessing
import platform
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch

from xa_search.records import Plan
from xa_search.workflows.plan import make_plan
from xa_search.workflows.run import train_alone


def plan_for(options: argparse.Namespace, seed: int) -> Plan:
    data = None if options.data is None else options.data.resolve()
    return make_plan(options.space, tuple(options.set), home=options.home.absolute(), data=data, seed=seed)


def run_one(job: tuple[str, Plan, dict[str, Any]]) -> dict[str, Any]:
    name, plan, params = job
    metrics = train_alone(plan, params, lambda _: None, with_test=True)
    print(name, plan.seed, {key: round(value, 4) for key, value in metrics.items() if "strict" not in key}, flush=True)
    return {"model": name, "seed": plan.seed, "params": params, "metrics": metrics}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("space")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--home", type=Path, default=Path.home() / ".xa-search")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--params", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12, 13])
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    aligned = json.loads(options.params)
    space = plan_for(options, 1).space
    models = {
        "aligned": aligned,
        "zero_shot": {**space.published, **space.baseline, "method": "zero_shot"},
        "same_without_alignment": {**aligned, "method": "zero_shot"},
    }
    jobs = [(name, plan_for(options, seed), params) for seed in options.seeds for name, params in models.items()]
    with multiprocessing.get_context("spawn").Pool(multiprocessing.cpu_count()) as pool:
        runs = pool.map(run_one, jobs, chunksize=1)
    summary: dict[str, dict[str, list[float]]] = {}
    for name in models:
        by_metric = [run["metrics"] for run in runs if run["model"] == name]
        summary[name] = {
            key: [fmean(row[key] for row in by_metric), stdev(row[key] for row in by_metric)] for key in by_metric[0]
        }
    machine = {"processor": platform.processor() or platform.machine(), "cores": multiprocessing.cpu_count()}
    result = {"space": options.space, "seeds": options.seeds, "machine": machine, "torch": torch.__version__}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**result, "mean and standard deviation": summary, "runs": runs}, indent=1)
    options.out.write_text(text + "\n", encoding="utf-8")
    for key in sorted(summary["aligned"]):
        cells = "  ".join(f"{name} {100 * row[key][0]:5.1f} ± {100 * row[key][1]:.1f}" for name, row in summary.items())
        print(f"{key:28s} {cells}")


if __name__ == "__main__":
    main()
