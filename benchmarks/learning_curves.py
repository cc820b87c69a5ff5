"""Learning curves of random trials, to replay searches on. In: a search space. Out: one JSON line a trial.

    python benchmarks/learning_curves.py mtod-small --data mtod.zip --trials 200 \
        --out benchmarks/results/learning_curves.jsonl --set fixed.epochs=9 --set fixed.train_limit=280 \
        --set fixed.validation_fraction=0.33 --set fixed.batch_size=8 --set fixed.dev_limit=60

Every parameter is drawn uniformly from its range (in the logarithm where the space says so), every trial runs to its
end, and is scored within its epochs too where the space's scheduler has rungs in steps
(--set 'scheduler={asha: {grace_steps: 9, reduction: 2}}'). Trials that are in the file already are not run again.
"""

import argparse
import json
import multiprocessing
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from xa_search.errors import NonFiniteError
from xa_search.records import Plan
from xa_search.search.registry import chosen_rule
from xa_search.workflows.plan import make_plan
from xa_search.workflows.preflight import Prepared, prepare_search
from xa_search.workflows.trials import make_trial_job


def random_params(plan: Plan, number: int) -> dict[str, Any]:
    generator = np.random.default_rng([plan.seed, number])
    params: dict[str, Any] = {}
    for name, parameter in plan.space.params.items():
        share = generator.random()
        if parameter.choices is not None:
            params[name] = parameter.choices[int(share * len(parameter.choices))]
        elif parameter.low is not None and parameter.high is not None:
            low, high = np.log([parameter.low, parameter.high]) if parameter.log else [parameter.low, parameter.high]
            value = low + share * (high - low)
            params[name] = float(np.exp(value) if parameter.log else value)
    return params


@cache
def prepared_for(plan_json: str) -> Prepared:
    plan = Plan.model_validate_json(plan_json)
    return prepare_search(plan, plan.space.model_sizes, lambda _: None)


def record_curve(work: tuple[Plan, int]) -> dict[str, Any]:
    """Train one random trial; a trial whose loss is no longer finite has the scores up to then."""
    from xa_search.training.trial import train_trial

    plan, number = work
    prepared = prepared_for(plan.model_dump_json())
    params = random_params(plan, number)
    rule = chosen_rule(plan.space.scheduler)
    job = make_trial_job(plan, prepared, plan.trial_settings(params), f"curve-{number}")
    job = replace(job, rungs=() if rule is None else rule.step_rungs)
    start = time.perf_counter()
    scores, rungs, steps, parts = [], dict[int, float](), 0.0, {"train_seconds": 0.0, "evaluate_seconds": 0.0}
    try:
        for report in train_trial(job):
            steps += report.metrics["train_steps"]
            if report.whole:
                scores.append(round(report.score, 5))
            if report.rung is not None:
                rungs[report.rung] = round(report.score, 5)
            parts = {name: value + report.metrics[name] for name, value in parts.items()}
    except NonFiniteError:
        pass
    for path in job.directory.glob("*"):
        path.unlink()
    seconds = {name: round(value, 3) for name, value in (parts | {"seconds": time.perf_counter() - start}).items()}
    an_epoch = steps / len(scores) if scores else 0.0
    told = {"steps_an_epoch": an_epoch, "scores": scores} | ({"rungs": rungs} if rungs else {})
    return {"number": number, "params": params, **told, **seconds}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("space")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--home", type=Path, default=Path.home() / ".xa-search")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    data = None if options.data is None else options.data.resolve()
    plan = make_plan(options.space, tuple(options.set), home=options.home.absolute(), data=data, seed=1)
    prepared_for(plan.model_dump_json())
    options.out.parent.mkdir(parents=True, exist_ok=True)
    lines = options.out.read_text(encoding="utf-8").splitlines() if options.out.exists() else []
    recorded = {json.loads(line)["number"] for line in lines}
    work = [(plan, number) for number in range(options.trials) if number not in recorded]
    with multiprocessing.get_context("spawn").Pool(multiprocessing.cpu_count()) as pool, options.out.open("a") as file:
        for curve in pool.imap_unordered(record_curve, work):
            file.write(json.dumps(curve) + "\n")
            file.flush()
            print(curve["number"], curve["params"], curve["scores"], flush=True)


if __name__ == "__main__":
    main()
