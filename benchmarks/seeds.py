"""Winner against zero-shot over several seeds. In: a search space and settings. Out: test scores, gains with intervals.

    python benchmarks/seeds.py mtod-small --data mtod.zip --params '{"align_weight": 1, "learning_rate": 2e-4}' \
        --seeds 11 12 13 --out benchmarks/results/mtod_seeds.json

Two zero-shot models stand beside the aligned one: the space's own baseline, and the same settings without alignment.
All of them see the same source utterances; a seed changes initialisation, data order and dropout. The epoch is chosen
by the space's selection rule, never by a test split. Gains have the product's intervals, over seeds and utterances.
"""

import argparse
import json
import multiprocessing
import platform
from dataclasses import asdict
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch

from xa_search.claims.comparing import CorpusTests, difference
from xa_search.claims.evidence import Evidence
from xa_search.claims.statements import Comparison, System
from xa_search.records import Plan
from xa_search.records.search import trial_directory
from xa_search.training.final_test import read_outcomes
from xa_search.workflows.plan import checked_settings, make_plan
from xa_search.workflows.run import alone, train_alone


def plan_for(options: argparse.Namespace, seed: int) -> Plan:
    data = None if options.data is None else options.data.resolve()
    return make_plan(options.space, tuple(options.set), home=options.home.absolute(), data=data, seed=seed)


def run_one(job: tuple[str, Plan, dict[str, Any]]) -> dict[str, Any]:
    name, plan, params = job
    metrics = train_alone(plan, params, lambda _: None, with_test=True)
    settings = checked_settings(plan, plan.space.given_params | params)
    outcomes = read_outcomes(trial_directory(plan.directory, alone(settings)))
    print(name, plan.seed, {key: round(value, 4) for key, value in metrics.items() if "strict" not in key}, flush=True)
    return {"model": name, "seed": plan.seed, "params": params, "metrics": metrics, "outcomes": outcomes}


def gains(plan: Plan, runs: list[dict[str, Any]], model: str, other: str) -> dict[str, Any]:
    """Return by how many points a model is above another, by metric: the mean over the targets, with its interval."""
    systems = {
        System(method=name): tuple(evidence_of(plan, run) for run in runs if run["model"] == name)
        for name in (model, other)
    }
    part = CorpusTests(corpus=plan.space.corpus, languages=plan.space.targets, systems=systems)
    compare = Comparison(plus=(System(method=model),), minus=(System(method=other),))
    found = {metric: difference([part], metric, compare, 0.0) for metric in ("intent", "slots")}
    return {metric: {**asdict(gain), "over": gain.over} for metric, gain in found.items()}


def evidence_of(plan: Plan, run: dict[str, Any]) -> Evidence:
    """Return a run as what is compared."""
    space = plan.space
    return Evidence(
        search_id=plan.search_id,
        corpus=space.corpus,
        targets=space.targets,
        source=space.source,
        selection=space.selection,
        trial=0,
        score=0.0,
        settings=plan.trial_settings({**run["params"], "seed": run["seed"]}),
        outcomes=run["outcomes"],
    )


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
    pairs = [("aligned", "zero_shot"), ("aligned", "same_without_alignment")]
    gained = {f"{one} over {other}": gains(plan_for(options, 1), runs, one, other) for one, other in pairs}
    runs = [{key: value for key, value in run.items() if key != "outcomes"} for run in runs]
    result = {"space": options.space, "seeds": options.seeds, "machine": machine, "torch": torch.__version__}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**result, "mean and standard deviation": summary, "gains": gained, "runs": runs}, indent=1)
    options.out.write_text(text + "\n", encoding="utf-8")
    for key in sorted(summary["aligned"]):
        cells = "  ".join(f"{name} {100 * row[key][0]:5.1f} ± {100 * row[key][1]:.1f}" for name, row in summary.items())
        print(f"{key:28s} {cells}")
    for name, of_metrics in gained.items():
        for metric, gain in of_metrics.items():
            print(f"{name}, {metric}: {gain['value']:+.1f} [{gain['low']:+.1f}, {gain['high']:+.1f}], {gain['over']}")


if __name__ == "__main__":
    main()
