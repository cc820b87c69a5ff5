"""How many training steps does a search need? In: learning curves of random trials. Out: replayed searches, compared.

    python benchmarks/search_cost.py replay CURVES.jsonl --out benchmarks/results/search_cost.json
    python benchmarks/search_cost.py split mtop-mini --out benchmarks/results/time_split.json

A search has found a share of the best recorded score once a trial that used its full budget scores so much. All epochs
count that were begun by then, those of stopped trials included. Replays of one search differ in the seed alone: the
intervals say how far chance in the search goes, not what other recorded trials or another corpus would give.
The second form runs whole searches and says what their wall time went to: see time_split.py.
"""

import argparse
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from machine import describe_machine
from recorded_trials import Pool, read_pool
from replayed_search import Found, Search, replay
from results_file import command_line, write_json
from time_split import split_of_search, summarise_splits

from xa_search.records import Asha
from xa_search.workflows.plan import make_plan

SHARES = (0.95, 0.99, 0.995)
WIDTHS = (1, 2)
BOOTSTRAPS = 2000
REFERENCE = "random"
SEARCHES = (
    Search(REFERENCE, at_random=True, asha=None),
    Search("random, ASHA from epoch 1", at_random=True, asha=Asha(grace_epochs=1, reduction=3)),
    Search("random, ASHA from epoch 2", at_random=True, asha=Asha(grace_epochs=2, reduction=3)),
    Search("TPE", at_random=False, asha=None),
    Search("TPE, ASHA from epoch 1", at_random=False, asha=Asha(grace_epochs=1, reduction=3)),
    Search("TPE, ASHA from epoch 2", at_random=False, asha=Asha(grace_epochs=2, reduction=3)),
)


def cost_of(found: tuple[Found, ...], enough: float) -> tuple[float, float]:
    """Return the steps and the trials that finding `enough` took; both are infinite where it was not found."""
    return next(((one.steps, one.trials) for one in found if one.score >= enough), (np.inf, np.inf))


def percentiles(values: np.ndarray, *shares: float) -> list[float]:
    """Return percentiles that are values of the sample, so that a search that never ends stays infinite."""
    return [float(value) for value in np.percentile(values, shares, axis=-1, method="inverted_cdf")]


def resampled_medians(values: np.ndarray, seed: int) -> np.ndarray:
    draws = np.random.default_rng(seed).integers(0, len(values), (BOOTSTRAPS, len(values)))
    medians: np.ndarray = np.percentile(values[draws], 50, axis=1, method="inverted_cdf")
    return medians


def ratio_to(reference: np.ndarray, steps: np.ndarray) -> dict[str, float]:
    """Return the ratio of the medians with a 95% interval from resampled replays."""
    drawn = resampled_medians(steps, 0) / resampled_medians(reference, 1)
    low, high = percentiles(drawn, 2.5, 97.5)
    return {"value": percentiles(steps, 50)[0] / percentiles(reference, 50)[0], "low": low, "high": high}


def row_of(costs: np.ndarray, reference: np.ndarray, step_seconds: float) -> dict[str, Any]:
    """Sum up the replays of one search; `costs` and `reference` are [replays, 2]: steps and trials."""
    steps, trials = costs.T
    median, replays_low, replays_high = percentiles(steps, 50, 2.5, 97.5)
    low, high = percentiles(resampled_medians(steps, 0), 2.5, 97.5)
    return {
        "steps": {"median": median, "low": low, "high": high, "replays": [replays_low, replays_high]},
        "trials": percentiles(trials, 50)[0],
        "seconds": median * step_seconds,
        "never": float(np.isinf(steps).mean()),
        "ratio": ratio_to(reference[:, 0], steps),
    }


def searches_of(grace_steps: int | None) -> tuple[Search, ...]:
    """Return what is compared; with curves that were recorded with rungs in steps, also searches that use them."""
    if grace_steps is None:
        return SEARCHES
    early = Asha(grace_steps=grace_steps, reduction=3)
    in_steps = f"ASHA from step {grace_steps}"
    return (
        *SEARCHES,
        Search(f"random, {in_steps}", at_random=True, asha=early),
        Search(f"TPE, {in_steps}", at_random=False, asha=early),
    )


def compare(pool: Pool, replays: int, searches: tuple[Search, ...] = SEARCHES) -> list[dict[str, Any]]:
    """Replay each search with the seeds 0, 1, ... and return one row a width, share and search."""
    rows = []
    step_seconds = float(np.median([curve.seconds / curve.steps for curve in pool.complete]))
    for width in WIDTHS:
        found = {
            search.name: [replay(pool, search, width, seed, SHARES[-1] * pool.best) for seed in range(replays)]
            for search in searches
        }
        for share in SHARES:
            costs = {name: np.array([cost_of(one, share * pool.best) for one in of]) for name, of in found.items()}
            rows += [
                {"width": width, "share": share, "search": name, **row_of(costs[name], costs[REFERENCE], step_seconds)}
                for name in costs
            ]
    return rows


def describe(pool: Pool) -> dict[str, Any]:
    return {
        "trials": len(pool.curves),
        "epochs": pool.epochs,
        "steps a trial": float(np.median([curve.steps for curve in pool.complete])),
        "seconds a trial": float(np.median([curve.seconds for curve in pool.complete])),
        "best": pool.best,
        "trials that reach": {str(share): int((pool.tops >= share * pool.best).sum()) for share in SHARES},
    }


def without_infinity(value: Any) -> Any:
    """Return the value as JSON can hold it: what is not finite becomes null."""
    if isinstance(value, dict):
        return {key: without_infinity(one) for key, one in value.items()}
    if isinstance(value, list):
        return [without_infinity(one) for one in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def print_table(rows: list[dict[str, Any]]) -> None:
    print("| search | at a time | share of the best | steps | trials | seconds | of random's steps | never found |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        steps, ratio = row["steps"], row["ratio"]
        print(
            f"| {row['search']} | {row['width']} | {100 * row['share']:g}% "
            f"| {steps['median']:,.0f} [{steps['low']:,.0f}, {steps['high']:,.0f}] | {row['trials']:.0f} "
            f"| {row['seconds']:,.0f} | {ratio['value']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}] "
            f"| {row['never']:.0%} |"
        )


def run_replays(options: argparse.Namespace) -> None:
    space = make_plan(options.space, home=Path()).space
    pool = read_pool(options.curves, space)
    result: dict[str, Any] = {
        "command": command_line(),
        "machine": describe_machine(torch.device("cpu"), threads=1),
        "versions": {name: version(name) for name in ("torch", "optuna", "ray")},
        "curves": describe(pool),
        "seeds": [0, options.replays - 1],
        "rows": compare(pool, options.replays, searches_of(options.grace_steps)),
    }
    write_json(options.out, without_infinity(result))
    print_table(result["rows"])


def run_splits(options: argparse.Namespace) -> None:
    costs = [split_of_search([options.space, *options.arguments]) for _ in range(options.runs)]
    result = {
        "command": command_line(),
        "machine": describe_machine(torch.device("cpu"), threads=1),
        **summarise_splits(costs),
        "runs": costs,
    }
    write_json(options.out, result)
    for part, share in result["shares"].items():
        print(f"{part:12s} {share['median']:6.1%} [{share['min']:.1%}, {share['max']:.1%}]")
    outside, of_slots, wall = (result[name]["median"] for name in ("outside", "outside_of_slots", "wall_seconds"))
    print(f"outside training and evaluation: {outside:.1%} of {wall:.0f} s; {of_slots:.1%} with slots that wait")


def main() -> None:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("split")
    command.add_argument("space")
    command.add_argument("arguments", nargs="*", help="further arguments of `xa-search run`, after --")
    command.add_argument("--runs", type=int, default=3)
    command.add_argument("--out", type=Path, required=True)
    command.set_defaults(run=run_splits)
    command = commands.add_parser("replay")
    command.add_argument("curves", type=Path)
    command.add_argument("--space", default="mtod-small")
    command.add_argument("--replays", type=int, default=300)
    command.add_argument("--grace-steps", type=int, help="of curves that were recorded with rungs there")
    command.add_argument("--out", type=Path, required=True)
    command.set_defaults(run=run_replays)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    options.run(options)


if __name__ == "__main__":
    main()
