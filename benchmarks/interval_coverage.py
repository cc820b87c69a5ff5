"""How often do the intervals hold the truth? In: a grid of seeds, variances and test sets. Out: coverage, overcoverage.

    python benchmarks/interval_coverage.py --repeats 2000 --out benchmarks/results/interval_coverage.json

Two systems with a known difference are tested with the same seeds on the same utterances in two languages. Whether an
answer is right depends on the seed (normal, `seed_points` on the difference), on the utterance, whose translations are
right together, on both, and on chance. For each cell the share of simulated experiments is counted whose interval holds
the true difference, by the product's intervals and by the percentile bootstrap over seeds and utterances that xa-search
0.1.0 had. Above 95% is overcoverage: the interval is wider than it need be.
"""

import argparse
import multiprocessing
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch
from machine import describe_machine
from results_file import command_line, write_json
from scipy.special import ndtr

from xa_search.training.statistics import Interval, Sample, half_width, interval

LANGUAGES = 2
RIGHT, GAIN = 0.80, 0.05
OF_UTTERANCE, OF_BOTH = 0.5, 0.2
"""The shares of an answer's variance that come from its utterance, and from utterance and seed together."""
LEAST = 0.93
RESAMPLES = 400
NORMAL_DRAWS, MANY = 100_000, 1000
OF_PERCENTILE = 4
"""The percentile bootstrap, which takes most of the time, is tried on one experiment in so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One way in which an experiment may be: `seed_points` is the standard deviation of the difference over seeds."""

    seeds: int
    seed_points: float
    utterances: int
    metric: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """The share of experiments whose interval holds the truth, by both ways, and the mean half width in points."""

    covered: float
    half_width: float
    percentile: float | None


def experiment(cell: Cell, random: np.random.Generator) -> Sample:
    """Draw the answers of both systems; the value of the sample is a difference of shares or of F1."""
    spans = random.poisson(1.0, cell.utterances) if cell.metric == "slots" else np.ones(cell.utterances, dtype=np.int64)
    per_system = cell.seed_points / 100 / np.sqrt(2)
    of_utterance = random.standard_normal((1, 2, cell.utterances, 1))
    shared = random.standard_normal((1, 1, cell.utterances, 1))
    of_utterance = np.sqrt(0.5) * of_utterance + np.sqrt(0.5) * shared
    of_both = random.standard_normal((cell.seeds, 2, cell.utterances, 1))
    most = max(1, int(spans.max()))
    by_chance = random.standard_normal((cell.seeds, 2, cell.utterances, LANGUAGES, most))
    level = np.array([RIGHT + GAIN, RIGHT])[None, :] + per_system * random.standard_normal((cell.seeds, 2))
    hard = np.sqrt(OF_UTTERANCE) * of_utterance + np.sqrt(OF_BOTH) * of_both
    uniform = ndtr(hard[..., None] + np.sqrt(1 - OF_UTTERANCE - OF_BOTH) * by_chance)
    right = (uniform < level[:, :, None, None, None]) & (np.arange(most) < spans[:, None, None])
    above = right.sum(axis=-1)  # [seeds, systems, utterances, languages]
    below = np.broadcast_to(spans[None, None, :, None], above.shape)
    columns = np.stack([above, below], axis=-1).transpose(0, 2, 1, 3, 4).reshape(cell.seeds, cell.utterances, -1)
    weights = np.repeat([1.0, -1.0], LANGUAGES) / LANGUAGES
    return Sample(counts=list(columns.astype(np.float64)), weights=weights)


def percentile_interval(sample: Sample, random: np.random.Generator) -> Interval:
    """Draw seeds and utterances again, as 0.1.0 did."""
    counts = np.stack(sample.counts)  # [seeds, utterances, columns]
    seeds, utterances, _ = counts.shape
    of_utterances = random.multinomial(utterances, np.full(utterances, 1 / utterances), RESAMPLES)
    of_seeds = random.multinomial(seeds, np.full(seeds, 1 / seeds), RESAMPLES) / seeds
    sums = np.einsum("ru,suc->rsc", of_utterances.astype(np.float64), counts, optimize=True)
    ratios = sums[..., 0::2] / np.maximum(sums[..., 1::2], 1)
    values = ((ratios @ sample.weights) * of_seeds).sum(axis=1)
    low, high = np.percentile(values, [2.5, 97.5])
    return Interval(value=float(values.mean()), low=float(low), high=float(high), seeds=seeds)


def coverage(cell: Cell, repeats: int, *, with_percentile: bool = False) -> Coverage:
    """Simulate a cell; the draws of a cell are always the same."""
    random = np.random.default_rng([cell.seeds, round(10 * cell.seed_points), cell.utterances, len(cell.metric)])
    held = earlier = 0
    width = 0.0
    for number in range(repeats):
        sample = experiment(cell, random)
        found = interval([sample])
        held += found.low <= GAIN <= found.high
        width += (found.high - found.low) / 2
        if with_percentile and number % OF_PERCENTILE == 0:
            before = percentile_interval(sample, random)
            earlier += before.low <= GAIN <= before.high
    return Coverage(
        covered=held / repeats,
        half_width=100 * width / repeats,
        percentile=earlier / -(-repeats // OF_PERCENTILE) if with_percentile else None,
    )


def normal_coverage(seeds: int, utterances: float, draws: int) -> float:
    """Return the coverage where all is normal: `utterances` is their part of the variance, as a multiple of the seeds'.

    Seeds and utterances have nothing together here, so that nothing is counted twice: the least coverage there is.
    """
    random = np.random.default_rng([seeds, round(100 * utterances)])
    of_seeds = random.chisquare(seeds - 1, draws) / (seeds - 1)
    away = random.normal(0, (1 + utterances) ** 0.5, draws)
    held = np.abs(away) <= half_width([(of_seeds, seeds - 1), (np.full(draws, utterances), MANY)])
    return float(held.mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=2000)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    normal = [
        {"seeds": seeds, "utterances_to_seeds": part, "covered": normal_coverage(seeds, part, NORMAL_DRAWS)}
        for seeds, part in product((3, 5, 10), (0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 16.0))
    ]
    for one in normal:
        over = 100 * (one["covered"] - 0.95)
        print(
            f"normal, {one['seeds']:2d} seeds, {one['utterances_to_seeds']}: {one['covered']:.1%} ({over:+.1f})",
            flush=True,
        )
    rows = []
    grid = product((3, 5, 10), (0.0, 1.2, 6.0), (100, 400), ("intent", "slots"))
    for seeds, seed_points, utterances, metric in grid:
        cell = Cell(seeds=seeds, seed_points=seed_points, utterances=utterances, metric=metric)
        found = coverage(cell, options.repeats, with_percentile=True)
        over = round(100 * (found.covered - 0.95), 1)
        rows.append({**asdict(cell), **asdict(found), "overcoverage_points": over})
        print(
            f"{seeds:2d} seeds, {seed_points:.1f} points over seeds, {utterances} utterances, {metric}: "
            f"{found.covered:.1%} ({over:+.1f}), half width {found.half_width:.1f}; percentile {found.percentile:.1%}",
            flush=True,
        )
    worst, best = (pick(rows, key=lambda row: row["covered"]) for pick in (min, max))
    print(f"least {worst['covered']:.1%}, most {best['covered']:.1%}; wanted: {LEAST:.0%} or more")
    result = {
        "command": command_line(),
        "machine": describe_machine(torch.device("cpu"), multiprocessing.cpu_count()),
        "least": worst["covered"],
        "most": best["covered"],
        "least_normal": min(one["covered"] for one in normal),
        "normal": normal,
        "cells": rows,
    }
    write_json(options.out, result)


if __name__ == "__main__":
    main()
