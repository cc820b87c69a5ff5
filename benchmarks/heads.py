"""Heads and decoding, method by method. In: corpora. Out: test scores of the same weights read in two ways, by heads.

    python benchmarks/heads.py --mtod mtod.zip --mtop-part mtop-part.zip --home HOME --out benchmarks/results/heads.json

A cell is one model: a corpus, a method, heads that are random (4 epochs) or fitted to the frozen encoder (probe, 2
epochs: half the steps), a learning rate and a seed; `small`, the heads learn at ten times the rate. Each corpus, method
and kind of heads is trained at three rates with seed 1; the rate of the highest selection score (`label_free`) is
trained with the other seeds too, and only its models are tested, on at most 1,000 utterances a language. Each model is
tested once and its logits read twice: word by word (argmax), and by Viterbi with the weight that English dev chose.

Each finished cell is kept in --out and never trained again, smallest corpora first; --minutes begins none after so many
of a core. A cell of mtop-mini or MTOD 600 takes 1 to 3 minutes of one core, of MTOP-part as much, of MTOD 2,000 three
times that: 100 models, 4 to 6 hours in all.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from machine import describe_machine
from results_file import command_line, write_json
from scipy.stats import t as student

from xa_search.encoding.store import encode_split
from xa_search.errors import CollapsedError, NonFiniteError
from xa_search.records import Plan, TrialJob
from xa_search.training.data import split_rows
from xa_search.training.evaluation import labelled_metrics, mean_over_targets
from xa_search.training.final_test import trained_predictor
from xa_search.training.trial import best_weights, train_trial
from xa_search.workflows.plan import make_plan
from xa_search.workflows.preflight import Prepared, prepare_search
from xa_search.workflows.trials import make_trial_job

EPOCHS = {"random": 4, "probe": 2}
RATES = (1e-4, 2e-4, 4e-4)
FIRST_SEED = 1
TEST_ROWS = 1000
READINGS = ("argmax", "viterbi")
METRICS = ("intent_acc", "slot_f1", "slot_f1_strict", "exact_match")
SIZE = "small"
SMALL = (
    f"params={{model_size: {{choices: [{SIZE}]}}}}",
    f"baseline={{model_size: {SIZE}}}",
    f"published={{model_size: {SIZE}}}",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """A corpus with the settings that it is trained in, and the methods on it; `weight` is that of the alignment."""

    corpus: str
    space: str
    methods: tuple[str, ...]
    weight: float
    fixed: str
    data: str | None = None


ALIGNED = ("zero_shot", "xeroalign")
ARMS = (
    Arm(corpus="mtop-mini", space="mtop-mini", methods=ALIGNED, weight=1.3, fixed="batch_size: 16"),
    Arm(
        corpus="MTOD, 600 utterances", space="mtod", methods=ALIGNED, weight=10.0, data="mtod",
        fixed="batch_size: 16, train_limit: 600, dev_limit: 600",
    ),
    Arm(
        corpus="MTOP-part", space="mtop", methods=(*ALIGNED, "translate_train", "target"), weight=10.0,
        data="mtop_part", fixed="batch_size: 16, dev_limit: 600",
    ),
    Arm(
        corpus="MTOD, 2,000 utterances", space="mtod", methods=ALIGNED, weight=10.0, data="mtod",
        fixed="batch_size: 16, train_limit: 2000, dev_limit: 600",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One model."""

    corpus: str
    method: str
    heads: str
    rate: float
    seed: int

    @property
    def name(self) -> str:
        """What it is kept under."""
        return f"{self.corpus} | {self.method} | {self.heads} | {self.rate:g} | {self.seed}"


Found = dict[str, dict[str, Any]]


def cells_of(arm: Arm, known: Found, seeds: list[int]) -> Iterator[tuple[Cell, bool]]:
    """Yield the cells of an arm that are to come, and whether each is tested: first all rates, then the chosen one."""
    for method in arm.methods:
        for heads in EPOCHS:
            first = [Cell(corpus=arm.corpus, method=method, heads=heads, rate=rate, seed=FIRST_SEED) for rate in RATES]
            yield from ((cell, False) for cell in first if cell.name not in known)
            if all(cell.name in known for cell in first):
                best = max(first, key=lambda cell: known[cell.name]["score"])
                chosen = [replace(best, seed=seed) for seed in (FIRST_SEED, *seeds)]
                yield from ((cell, True) for cell in chosen if "test" not in known.get(cell.name, {}))


def job_of(plan: Plan, prepared: Prepared, arm: Arm, cell: Cell) -> TrialJob:
    """Return the job of a cell, with a folder of its own."""
    settings = plan.trial_settings(
        {
            "model_size": SIZE,
            "method": cell.method,
            "heads": cell.heads,
            "epochs": EPOCHS[cell.heads],
            "learning_rate": cell.rate,
            "align_weight": arm.weight,
            "head_learning_rate_factor": 10.0,
            "test_limit": TEST_ROWS,
        }
    ).model_copy(update={"seed": cell.seed})
    folder = plan.home / "cells" / cell.name.replace(" ", "").replace("|", "-").replace(",", "")
    return replace(make_trial_job(plan, prepared, settings, "cell"), directory=folder, threads=1)


def train_cell(job: TrialJob) -> dict[str, Any]:
    """Train a model; return its selection score, its steps and what they took. Its weights stay until it is tested."""
    steps, seconds, score = 0.0, 0.0, 0.0
    try:
        for report in train_trial(job):
            steps += report.metrics["train_steps"]
            seconds += report.metrics["cpu_seconds"]
            score = report.best_score
    except (NonFiniteError, CollapsedError) as error:
        return {"score": -1.0, "failed": str(error)}
    return {"score": round(score, 5), "steps": int(steps), "processor seconds": round(seconds, 1)}


def score_cell(plan: Plan, prepared: Prepared, job: TrialJob) -> dict[str, dict[str, float]]:
    """Return the test scores of a model by reading, in percent: of each language, and of the mean of the targets."""
    corpus = job.corpus
    languages = (corpus.source, *corpus.targets)
    tokenizer = prepared.tokenizers[job.encoder.tokenizer_fingerprint]
    encode_split(corpus, prepared.corpus, tokenizer, plan.max_tokens, "test", languages)
    predictor = trained_predictor(job, best_weights(job.directory))
    decoder, scores = predictor.model.decoder, dict[str, dict[str, float]]()
    tests = {lang: split_rows(corpus, "test", lang, TEST_ROWS) for lang in languages}
    logits = {lang: list(predictor.logits(rows)) for lang, rows in tests.items()}
    for reading in READINGS:
        predictor.model.decoder = decoder if reading == "viterbi" else None
        found: dict[str, float] = {}
        for lang, rows in tests.items():
            found |= labelled_metrics(rows, predictor.read(rows, logits[lang]), "test", lang)
        found |= mean_over_targets(found, "test", corpus.targets)
        scores[reading] = {
            name.removeprefix("test_"): round(100 * value, 2) for name, value in found.items() if "merged" not in name
        }
    return scores


def with_interval(values: list[float]) -> dict[str, Any]:
    """Return the mean over seeds and its 95% t interval; of one seed there is none."""
    mean = fmean(values)
    if len(values) < 2:
        return {"mean": round(mean, 2), "seeds": 1}
    half = float(student.ppf(0.975, len(values) - 1)) * stdev(values) / sqrt(len(values))
    return {"mean": round(mean, 2), "interval": [round(mean - half, 2), round(mean + half, 2)], "seeds": len(values)}


def summary(cells: Found) -> dict[str, Any]:
    """Return what was tested, by corpus, method, heads and reading; and differences within seeds, with t intervals.

    `over random argmax` is what heads and reading change of a method, `fair gain` what a method changes of zero_shot
    with the same heads and reading.
    """
    tested: dict[str, dict[int, dict[str, Any]]] = {}
    for one in cells.values():
        if "test" in one:
            for reading in READINGS:
                key = " | ".join((one["corpus"], one["method"], one["heads"], reading))
                tested.setdefault(key, {})[one["seed"]] = one["test"][reading]
    table: dict[str, Any] = {}
    for key, by_seed in tested.items():
        corpus, method, _, _ = key.split(" | ")
        against = {"over random argmax": f"{corpus} | {method} | random | argmax"}
        if method != "zero_shot":
            against["fair gain"] = key.replace(f"| {method} |", "| zero_shot |")
        names = [name for name in next(iter(by_seed.values())) if name.endswith("_mean")]
        table[key] = {name: with_interval([scores[name] for scores in by_seed.values()]) for name in names}
        for title, other in against.items():
            both = [seed for seed in by_seed if other != key and seed in tested.get(other, {})]
            if both:
                names_here = names if title != "fair gain" else list(next(iter(by_seed.values())))
                table[key][title] = {
                    name: with_interval([by_seed[seed][name] - tested[other][seed][name] for seed in both])
                    for name in names_here
                }
    return table


def run_arm(arm: Arm, options: argparse.Namespace, cells: Found, over: Any) -> None:
    """Train and test what an arm lacks, as long as there is time."""
    data = getattr(options, arm.data) if arm.data else None
    if arm.data and data is None:
        print(f"{arm.corpus}: left out, as --{arm.data.replace('_', '-')} was not given")
        return
    changes = (f"fixed={{{arm.fixed}}}", *SMALL)
    plan = make_plan(arm.space, changes, home=options.home.absolute(), data=None if data is None else data.resolve())
    prepared: Prepared | None = None
    while (to_come := next(cells_of(arm, cells, options.seeds), None)) is not None:
        cell, tested = to_come
        if over():
            print(f"{cell.name}: not begun, {options.minutes} minutes of a core are over")
            return
        prepared = prepared or prepare_search(plan, (SIZE,), print)
        job = job_of(plan, prepared, arm, cell)
        if cell.name not in cells or not best_weights(job.directory).exists():
            cells[cell.name] = asdict(cell) | train_cell(job)
        if tested and "failed" not in cells[cell.name]:
            cells[cell.name]["test"] = score_cell(plan, prepared, job)
            best_weights(job.directory).unlink()
        elif tested:
            cells[cell.name]["test"] = {}
        print(cell.name, {name: cells[cell.name].get(name) for name in ("score", "processor seconds")}, flush=True)
        keep(options.out, cells)


def keep(path: Path, cells: Found) -> None:
    """Write all that is there."""
    result = {
        "command": command_line(),
        "machine": describe_machine(torch.device("cpu"), 1),
        "test scores in percent, means of the targets": summary(
            {k: one for k, one in cells.items() if one.get("test")}
        ),
        "cells": cells,
    }
    write_json(path, result)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mtod", type=Path)
    parser.add_argument("--mtop-part", type=Path)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="*", default=[2, 3], help="those besides seed 1")
    parser.add_argument("--minutes", type=float, default=45.0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    begin = time.process_time()
    cells: Found = json.loads(options.out.read_text(encoding="utf-8"))["cells"] if options.out.exists() else {}
    models = sum(len(arm.methods) * len(EPOCHS) * (len(RATES) + len(options.seeds)) for arm in ARMS)
    print(f"{len(cells)} of {models} models are there; 1 to 6 minutes of one core each; at most {options.minutes} now")
    for arm in ARMS:
        run_arm(arm, options, cells, lambda: time.process_time() - begin > 60 * options.minutes)


if __name__ == "__main__":
    main()
