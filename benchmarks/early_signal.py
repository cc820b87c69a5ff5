"""How early a score tells how a trial ends. In: mtop-mini. Out: rank correlations of early scores with the last ones.

    python benchmarks/early_signal.py --home HOME --set fixed.train_limit=400 --out benchmarks/results/early_signal.json

A cell is one trial: `small`, 4 epochs, its heads random or fitted to the frozen encoder (probe), a learning rate and an
alignment weight drawn from the ranges of search_spaces/mtop-mini.yaml, the same draws for both kinds of heads. Its
selection score is taken after a quarter and half of an epoch, as a search with `grace_steps` takes it, and after each
epoch. Each finished cell is kept in --out and never trained again; --minutes begins none after so many of a core.

Spearman's rank correlation with the score of the last epoch; its 95% interval is by resampling settings. `kept` is how
often, of random groups of three settings, the best one at the rung is the best in the end, ASHA's question at reduction
3; one in three is chance.
"""

import argparse
import json
import time
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from learning_curves import random_params
from machine import describe_machine
from results_file import command_line, write_json
from scipy.stats import spearmanr

from xa_search.errors import CollapsedError, NonFiniteError
from xa_search.records import Plan, TrialSettings
from xa_search.training.data import trial_split
from xa_search.training.trial import train_trial
from xa_search.workflows.plan import make_plan
from xa_search.workflows.preflight import Prepared, prepare_search
from xa_search.workflows.trials import make_trial_job

HEADS = ("random", "probe")
RESAMPLES, SEED = 1000, 18
GROUP = 3


def train_cell(plan: Plan, prepared: Prepared, settings: TrialSettings, rungs: tuple[int, ...]) -> dict[str, Any]:
    """Train one trial; return its scores by steps, and what it took of a processor."""
    job = replace(make_trial_job(plan, prepared, settings, "early"), rungs=rungs, threads=1)
    start, scores, steps = time.process_time(), dict[str, float](), 0
    try:
        for report in train_trial(job):
            steps += int(report.metrics["train_steps"])
            scores[str(steps)] = round(report.score, 5)
    except (NonFiniteError, CollapsedError) as error:
        return {"failed": str(error), "scores": scores, "seconds": round(time.process_time() - start, 1)}
    finally:
        for path in job.directory.glob("*"):
            path.unlink()
    return {"scores": scores, "seconds": round(time.process_time() - start, 1)}


def correlation(early: np.ndarray, last: np.ndarray) -> dict[str, Any]:
    """Return the rank correlation of early scores with the last ones of the same settings, with its interval."""
    generator = np.random.default_rng(SEED)
    drawn = [generator.integers(len(last), size=len(last)) for _ in range(RESAMPLES)]
    found = [float(spearmanr(early[one], last[one])[0]) for one in drawn if np.ptp(early[one]) and np.ptp(last[one])]
    groups = [list(group) for group in combinations(range(len(last)), GROUP)]
    kept = np.mean([early[group].argmax() == last[group].argmax() for group in groups])
    low, high = np.percentile(found, [2.5, 97.5])
    return {
        "spearman": round(float(spearmanr(early, last)[0]), 3),
        "interval": [round(float(low), 3), round(float(high), 3)],
        "kept": round(float(kept), 3),
        "settings": len(last),
    }


def summary(cells: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return by heads and steps how well the scores there rank the settings that both kinds of heads ended with."""
    ended = {name for name, cell in cells.items() if "failed" not in cell}
    both = {name.split()[1] for name in ended if all(f"{heads} {name.split()[1]}" in ended for heads in HEADS)}
    table: dict[str, Any] = {}
    for heads in HEADS:
        own = [cells[f"{heads} {number}"]["scores"] for number in sorted(both, key=int)]
        if len(own) <= GROUP:
            continue
        last = np.array([list(scores.values())[-1] for scores in own])
        table[heads] = {
            steps: {"mean": round(float(np.mean([scores[steps] for scores in own])), 4)}
            | correlation(np.array([scores[steps] for scores in own]), last)
            for steps in list(own[0])[:-1]
        }
        table[heads]["last"] = {"mean": round(float(last.mean()), 4), "best": round(float(last.max()), 4)}
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--settings", type=int, default=12)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--minutes", type=float, default=45.0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    begin = time.process_time()
    plan = make_plan("mtop-mini", tuple(options.set), home=options.home.absolute())
    prepared = prepare_search(plan, ("small",), print)
    cells = json.loads(options.out.read_text(encoding="utf-8"))["cells"] if options.out.exists() else {}
    work = [(number, heads) for number in range(options.settings) for heads in HEADS]
    missing = [one for one in work if f"{one[1]} {one[0]}" not in cells]
    print(
        f"{len(missing)} of {len(work)} cells to train, about 1.5 minutes of one core each; at most {options.minutes}"
    )
    for number, heads in missing:
        if time.process_time() - begin > 60 * options.minutes:
            print(f"{heads} {number}: not begun, {options.minutes} minutes are over")
            continue
        params = random_params(plan, number)
        settings = plan.trial_settings({**params, "heads": heads})
        an_epoch = steps_an_epoch(plan, prepared, settings)
        cells[f"{heads} {number}"] = {"params": params} | train_cell(
            plan, prepared, settings, (an_epoch // 4, an_epoch // 2)
        )
        print(heads, number, cells[f"{heads} {number}"], flush=True)
        result = {
            "command": command_line(),
            "machine": describe_machine(torch.device("cpu"), 1),
            "settings": plan.space.model_dump(mode="json", exclude_defaults=True),
            "by steps": summary(cells),
            "cells": cells,
        }
        write_json(options.out, result)
    for heads, rungs in summary(cells).items():
        for steps, found in rungs.items():
            print(heads, steps, found)


def steps_an_epoch(plan: Plan, prepared: Prepared, settings: TrialSettings) -> int:
    """Return how many steps an epoch of a trial has."""
    job = make_trial_job(plan, prepared, settings, "early")
    return -(-len(trial_split(job.corpus, settings).train) // settings.batch_size)


if __name__ == "__main__":
    main()
