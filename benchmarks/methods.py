"""Every way of training on one corpus, over several seeds. In: a search space and settings. Out: test scores, gains.

    python benchmarks/methods.py mtod-small --data mtod.zip --params '{"learning_rate": 2e-4, "align_weight": 10}' \
        --seeds 11 12 13 --out benchmarks/results/methods.json

All methods have the same settings and the same number of source utterances. A gain is the mean, over the seeds, of the
difference to zero_shot with the same seed, with its 95% interval by Student's t; the epoch is chosen by the space's
selection rule, never by a test split.
"""

import argparse
import json
import multiprocessing
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from machine import describe_machine
from results_file import command_line, write_json
from scipy.stats import t as student
from seeds import plan_for, run_one

METHODS = ("zero_shot", "xeroalign", "english_only", "cross_aligner", "translate_train", "target")
SHOWN = ("intent_acc", "slot_f1", "slot_f1_strict", "exact_match")


def gain(runs: list[dict[str, Any]], method: str, metric: str) -> dict[str, float]:
    """Return the mean difference to zero_shot in points, and half its 95% interval."""
    scores = {(run["model"], run["seed"]): 100 * run["metrics"][metric] for run in runs}
    seeds = sorted({seed for _, seed in scores})
    differences = [scores[method, seed] - scores["zero_shot", seed] for seed in seeds]
    half = student.ppf(0.975, len(seeds) - 1) * stdev(differences) / len(seeds) ** 0.5
    return {"mean": round(fmean(differences), 2), "half_interval": round(float(half), 2)}


def summarise(runs: list[dict[str, Any]], methods: list[str]) -> dict[str, Any]:
    """Return, by method and metric, the mean and standard deviation over seeds in percent, and the gain."""
    metrics = [name for name in runs[0]["metrics"] if name.removeprefix("test_").rpartition("_")[0] in SHOWN]
    summary: dict[str, Any] = {}
    for method in methods:
        mine = [run["metrics"] for run in runs if run["model"] == method]
        summary[method] = {
            metric: {
                "percent": round(100 * fmean(row[metric] for row in mine), 2),
                "deviation": round(100 * stdev(row[metric] for row in mine), 2),
                "gain": gain(runs, method, metric),
            }
            for metric in metrics
        }
    return summary


def print_summary(summary: dict[str, Any]) -> None:
    """Print a line a method and metric: score, deviation, gain over zero-shot."""
    for metric in next(iter(summary.values())):
        print(metric)
        for method, figures in summary.items():
            one = figures[metric]
            change = f"{one['gain']['mean']:+6.1f} ± {one['gain']['half_interval']:.1f}"
            print(f"  {method:18s} {one['percent']:5.1f} ± {one['deviation']:4.1f}   {change}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--home", type=Path, default=Path.home() / ".xa-search")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--params", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12, 13])
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    params = {**plan_for(options, 1).space.baseline, **json.loads(options.params)}
    jobs = [
        (method, plan_for(options, seed), {**params, "method": method})
        for seed in options.seeds
        for method in options.methods
    ]
    with multiprocessing.get_context("spawn").Pool(multiprocessing.cpu_count()) as pool:
        runs = pool.map(run_one, jobs, chunksize=1)
    summary = summarise(runs, options.methods)
    machine = describe_machine(torch.device("cpu"), 1)
    write_json(options.out, {"command": command_line(), "machine": machine, "summary": summary, "runs": runs})
    print_summary(summary)


if __name__ == "__main__":
    main()
