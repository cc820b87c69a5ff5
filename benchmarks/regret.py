"""How far from the best does a search end, by how many trials it runs at a time? In: learning curves. Out: regret.

    python benchmarks/regret.py benchmarks/results/learning_curves.jsonl --out benchmarks/results/regret.json

Each search has 40 trials, replayed on recorded ones. Its regret is how many points of the selection score its best
trial lies below the best recorded trial. What a search has over random search is told by seed, with a 95% interval by
Student's t over the repetitions; they differ in the seed alone, so that the interval says nothing about other corpora.
A cell is one replay. Cells that the file holds already are not replayed again.
"""

import argparse
import json
import time
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import optuna
import torch
from machine import describe_machine
from recorded_trials import Pool, read_pool
from replayed_search import Search, replay_whole
from results_file import command_line, write_json
from scipy.stats import t as student

from xa_search.records import Asha
from xa_search.workflows.plan import make_plan

TRIALS = 40
WIDTHS = (1, 4, 8, 40)
ASHA = Asha(grace_epochs=1, reduction=3)
RANDOM, BEFORE, NOW = "random", "TPE, all slots", "TPE, a quarter of the trials"
SECONDS_BETWEEN_WRITES = 20.0


def searches(asha: Asha | None) -> tuple[Search, ...]:
    """Random search; TPE as it was, with a trial in every slot, at random until ten trials ended; TPE as it is."""
    return (
        Search(RANDOM, at_random=True, asha=asha, trials=TRIALS, max_concurrent=TRIALS),
        Search(BEFORE, at_random=False, asha=asha, trials=TRIALS, max_concurrent=TRIALS, waits=True),
        Search(NOW, at_random=False, asha=asha, trials=TRIALS),
    )


@dataclass(frozen=True, slots=True)
class Cell:
    """One replay; `trial_lengths` is how long it took, in the time of one whole trial."""

    asha: bool
    width: int
    search: str
    seed: int
    regret: float
    trial_lengths: float
    proposed_by_tpe: int
    trials: int


def cell_of(pool: Pool, search: Search, width: int, seed: int) -> Cell:
    replayed = replay_whole(pool, search, width, seed)
    best = replayed.found[-1].score if replayed.found else 0.0
    whole = max(curve.steps for curve in pool.complete)
    return Cell(
        asha=search.asha is not None,
        width=width,
        search=search.name,
        seed=seed,
        regret=100 * (pool.best - best),
        trial_lengths=replayed.clock / whole,
        proposed_by_tpe=replayed.proposed_by_tpe,
        trials=replayed.trials,
    )


def interval(values: list[float]) -> dict[str, float]:
    """Return mean and 95% interval by Student's t."""
    middle, half = mean(values), 0.0
    if len(values) > 1:
        half = float(student.ppf(0.975, len(values) - 1)) * stdev(values) / len(values) ** 0.5
    return {"mean": middle, "low": middle - half, "high": middle + half}


def rows_of(cells: list[Cell]) -> list[dict[str, Any]]:
    """Return one row for each early stopping, width and search; the gain over random is paired by seed."""
    rows = []
    by_key: dict[tuple[bool, int, str], dict[int, Cell]] = {}
    for cell in cells:
        by_key.setdefault((cell.asha, cell.width, cell.search), {})[cell.seed] = cell
    for (asha, width, search), own in by_key.items():
        random = by_key.get((asha, width, RANDOM), {})
        gains = [random[seed].regret - cell.regret for seed, cell in own.items() if seed in random]
        rows.append(
            {
                "asha": asha,
                "width": width,
                "search": search,
                "regret": interval([cell.regret for cell in own.values()]),
                "gain over random": interval(gains),
                "trial lengths": interval([cell.trial_lengths for cell in own.values()]),
                "proposed by TPE": mean(cell.proposed_by_tpe for cell in own.values()),
                "trials": mean(cell.trials for cell in own.values()),
                "repetitions": len(own),
            }
        )
    return rows


def spread(found: dict[str, float], digits: int = 2) -> str:
    return f"{found['mean']:.{digits}f} [{found['low']:.{digits}f}, {found['high']:.{digits}f}]"


def print_table(rows: list[dict[str, Any]]) -> None:
    print("| early stopping | slots | search | regret, points | less than random's | takes, whole trials | by TPE |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        gain = "" if row["search"] == RANDOM else spread(row["gain over random"])
        print(
            f"| {'ASHA' if row['asha'] else 'none'} | {row['width']} | {row['search']} | {spread(row['regret'])} "
            f"| {gain} | {row['trial lengths']['mean']:.1f} | {row['proposed by TPE']:.0f} of {row['trials']:.0f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("curves", type=Path)
    parser.add_argument("--space", default="mtod-small")
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--widths", type=int, nargs="+", default=list(WIDTHS))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    pool = read_pool(options.curves, make_plan(options.space, home=Path()).space)
    known = json.loads(options.out.read_text(encoding="utf-8"))["cells"] if options.out.exists() else []
    cells = [Cell(**one) for one in known]
    done = {(cell.asha, cell.width, cell.search, cell.seed) for cell in cells}
    work = [
        (search, width, seed)
        for asha, width, seed in product((None, ASHA), options.widths, range(options.repetitions))
        for search in searches(asha)
        if (asha is not None, width, search.name, seed) not in done
    ]
    replay_cells(pool, work, cells, options.out)
    print_table(rows_of(cells))


def replay_cells(pool: Pool, work: list[tuple[Search, int, int]], cells: list[Cell], out: Path) -> None:
    """Replay what is missing; say what it costs once three cells, one of each search, were timed."""
    begin = written = time.perf_counter()
    for number, (search, width, seed) in enumerate(work, 1):
        cells.append(cell_of(pool, search, width, seed))
        now = time.perf_counter()
        if number == min(3, len(work)):
            minutes = (now - begin) / number * (len(work) - number) / 60
            print(f"{len(work)} cells to replay, {len(cells) - number} known: about {minutes:.1f} minutes", flush=True)
        if now - written > SECONDS_BETWEEN_WRITES or number == len(work):
            written = now
            write(pool, cells, out)
    if not work:
        write(pool, cells, out)


def write(pool: Pool, cells: list[Cell], out: Path) -> None:
    write_json(
        out,
        {
            "command": command_line(),
            "machine": describe_machine(torch.device("cpu"), threads=1),
            "curves": {"trials": len(pool.curves), "best": pool.best},
            "trials a search": TRIALS,
            "rows": rows_of(cells),
            "cells": [asdict(cell) for cell in cells],
        },
    )


if __name__ == "__main__":
    main()
