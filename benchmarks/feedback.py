"""Feedback in many languages against feedback in English. In: MTOD or a part of MTOP. Out: the answer table.

    python benchmarks/feedback.py mtop-part --data mtop-part.zip --home HOME --counts 300 --seeds 1 2 3 \
        --out benchmarks/results/feedback_mtop.json

Two references, trained once: zero_shot and xeroalign, the small encoder. Each learns on from N judgements of a pool
that trained nothing, in the arms of `xa_search/feedback/arms.py`, with the same steps. The learning rate and beta are
chosen once, on the English arm of the aligned reference, by the mean of label_free and source_dev. Every finished
cell is kept in the home, so that the same command goes on; `--cost` prints what is left to do and takes one training
to time it.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args

import torch
from machine import describe_machine
from results_file import command_line, write_json

from xa_search.encoding.files import write_whole
from xa_search.encoding.store import encode_split
from xa_search.feedback.answer import Answer, answer, answer_table
from xa_search.feedback.arms import ARMS
from xa_search.feedback.judgements import Source
from xa_search.feedback.stage import train_on_feedback
from xa_search.records import Plan, TrialSettings
from xa_search.records.feedback import Arm, FeedbackJob
from xa_search.training.final_test import keep_outcomes, read_outcomes, score_language, trained_predictor
from xa_search.training.selection import LABEL_FREE, SOURCE_DEV
from xa_search.training.trial import best_weights, train_trial
from xa_search.workflows.feedback_arms import (
    AskedPool,
    JudgedPool,
    Reference,
    Simulation,
    ask_pool,
    feedback_job,
    feedback_settings,
    judge_asked,
    of_whole_corpus,
    simulated_arm,
)
from xa_search.workflows.plan import checked_settings, make_plan
from xa_search.workflows.preflight import Prepared, check_test_splits, prepare_search
from xa_search.workflows.trials import make_trial_job

REFERENCES = ("xeroalign", "zero_shot")
TUNED_ON = "xeroalign"
SMALL = ("params.model_size={choices: [small]}", "baseline.model_size=small", "published.model_size=small")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """A corpus as this benchmark takes it: changes of its space, and how references and arms learn."""

    space: str
    changes: tuple[str, ...]
    gold: Source
    reference: dict[str, Any]
    stage: dict[str, Any]
    rates: tuple[float, ...] = (3e-5, 1e-4)
    betas: tuple[float, ...] = (0.1, 1.0)


SETUPS = {
    "mtop-part": Setup(
        space="mtop",
        changes=(
            *SMALL,
            "fixed={epochs: 12, batch_size: 16, heads: probe, head_learning_rate_factor: 10, precision: fp32, "
            "train_limit: 300, dev_limit: 100, test_limit: 300, kept_epoch: last}",
            "scheduler={asha: null}",
        ),
        gold="simulated:target_gold",
        reference={"learning_rate": 2e-4, "align_weight": 1.0},
        stage={"epochs": 3},
    ),
    "mtod": Setup(
        space="mtod-small",
        changes=(
            "fixed={epochs: 4, batch_size: 32, precision: fp32, train_limit: 900, dev_limit: 300, test_limit: 500, "
            "kept_epoch: last}",
        ),
        gold="simulated:source_gold",
        reference={"learning_rate": 2e-4, "align_weight": 10.0},
        stage={"epochs": 2, "batch_size": 16},
    ),
}


class Work:
    """What is prepared once: data, references, what they said of the pool."""

    def __init__(self, name: str, data: Path, home: Path) -> None:
        self.name, self.setup = name, SETUPS[name]
        self.plan: Plan = make_plan(self.setup.space, self.setup.changes, home=home, data=data)
        settings = checked_settings(self.plan, self.plan.space.given_params | self.setup.reference)
        self.prepared: Prepared = prepare_search(self.plan, ("small",), print, only=settings)
        self._test_is_open = False

    @property
    def cells(self) -> Path:
        """The folder of finished cells."""
        return self.plan.home / "feedback-cells" / self.name

    def reference(self, method: str) -> Reference:
        """Return a reference, trained once."""
        params = self.plan.space.given_params | self.setup.reference | {"method": method}
        settings: TrialSettings = checked_settings(self.plan, params)
        job = make_trial_job(self.plan, self.prepared, settings, f"reference-{method}")
        job = replace(job, threads=1)
        weights = best_weights(job.directory)
        for report in train_trial(job):
            print(f"{method} epoch {report.epoch}: {report.score:.4f}", flush=True)
        return Reference(job=job, weights=weights, name=f"{self.name}/{method}")

    def asked(self, reference: Reference) -> AskedPool:
        """Return what a reference said of the pool."""
        whole = of_whole_corpus(reference, self.prepared, self.plan, self.setup.gold)
        return ask_pool(whole, self.setup.gold, reference.job.directory)

    def open_test(self, reference: Reference) -> None:
        """Encode the test splits, once everything has been chosen."""
        if not self._test_is_open:
            check_test_splits(self.plan, self.prepared.corpus, print)
            tokenizer = next(iter(self.prepared.tokenizers.values()))
            languages = self.plan.space.tested_languages
            encode_split(reference.job.corpus, self.prepared.corpus, tokenizer, self.plan.max_tokens, "test", languages)
            self._test_is_open = True

    def test(self, job: Any, weights: Path) -> dict[str, float]:
        """Test a model in every language, and keep what was right of each utterance in its folder."""
        predictor = trained_predictor(job, weights)
        tested = {lang: score_language(job, lang, predictor) for lang in self.plan.space.tested_languages}
        return keep_outcomes(tested, job.corpus.targets, job.directory)


def cell_job(
    work: Work, reference: Reference, found: JudgedPool, arm: Arm, simulation: Simulation, seed: int, **changed: Any
) -> FeedbackJob:
    """Return the job of one cell."""
    judgements = simulated_arm(reference, found, arm, seed)
    given = simulation.count * (len(found.judged) if arm == "multilingual_full" else arm != "none")
    options = work.setup.stage | changed
    settings = feedback_settings(reference, arm, judgements, given, seed=seed, **options)
    method = reference.job.settings.method
    folder = work.cells / condition(simulation) / method
    judged = folder / "judged" / f"{arm}-{seed}.jsonl"
    name = f"{arm}-{seed}" + "".join(f"-{key}{value}" for key, value in sorted(changed.items()) if key == "tuning")
    return feedback_job(reference, judgements, settings, judged, folder / name)


def condition(simulation: Simulation) -> str:
    """Name what a cell varies."""
    return f"{simulation.count}-{simulation.noise:g}-{simulation.corrections:g}-{simulation.sampling}"


def run_cell(work: Work, job: FeedbackJob, *, with_test: bool) -> dict[str, Any]:
    """Train a cell, and test it; a finished one is read."""
    kept = job.directory / "cell.json"
    if kept.exists():
        found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        return found
    start, cpu = time.perf_counter(), time.process_time()
    report = list(train_on_feedback(job))[-1]
    metrics = dict(report.metrics)
    scores = {rule.name: rule.score(report.metrics, job.corpus) for rule in (LABEL_FREE, SOURCE_DEV)}
    if with_test:
        metrics |= work.test(job, best_weights(job.directory))
    best_weights(job.directory).unlink()
    cell = {
        "settings": job.settings.model_dump(mode="json"),
        "scores": scores,
        "metrics": metrics,
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu,
    }
    write_whole(kept, lambda path: path.write_text(json.dumps(cell), encoding="utf-8"))
    return cell


def tuned(work: Work, simulation: Simulation) -> dict[str, float]:
    """Choose the learning rate and beta on the English arm of the aligned reference, once, without any target label."""
    kept = work.cells / "tuned.json"
    if kept.exists():
        found: dict[str, float] = json.loads(kept.read_text(encoding="utf-8"))["chosen"]
        return found
    reference = work.reference(TUNED_ON)
    pool = judge_asked(reference, work.asked(reference), simulation, seed=100)
    tried = []
    for rate in work.setup.rates:
        for beta in work.setup.betas:
            options = {"learning_rate": rate, "beta": beta}
            job = cell_job(work, reference, pool, "english", simulation, 100, **options)
            job = replace(job, directory=job.directory.with_name(f"tuning-{rate:g}-{beta:g}"))
            scores = run_cell(work, job, with_test=False)["scores"]
            tried.append({**options, **scores, "score": sum(scores.values()) / len(scores)})
            print("tuning", tried[-1], flush=True)
    best = max(tried, key=lambda one: one["score"])
    chosen = {"learning_rate": best["learning_rate"], "beta": best["beta"]}
    text = json.dumps({"chosen": chosen, "tried": tried}, indent=1)
    write_whole(kept, lambda path: path.write_text(text, encoding="utf-8"))
    return chosen


def cells(options: argparse.Namespace) -> Iterator[tuple[int, str, Arm, int]]:
    """Yield N, reference, arm and seed of each cell, those that answer the question first."""
    for count in options.counts:
        for arms in (("none", "english", "multilingual"), tuple(arm for arm in ARMS if arm in options.arms)):
            for seed in options.seeds:
                for method in options.references:
                    yield from ((count, method, arm, seed) for arm in arms if arm in options.arms)


def told_answers(
    work: Work, references: dict[str, Reference], simulations: list[Simulation]
) -> Iterator[tuple[str, Answer]]:
    """Yield the answer of each reference at each N, with a title that says how it was measured."""
    for simulation in simulations:
        for method, reference in references.items():
            folder = work.cells / condition(simulation) / method
            runs: dict[Arm, dict[int, Any]] = {}
            for path in sorted(folder.glob("*/cell.json")):
                name, _, seed = path.parent.name.rpartition("-")
                if name in ARMS:
                    runs.setdefault(ARMS[ARMS.index(name)], {})[int(seed)] = read_outcomes(path.parent)
            if not {"english", "multilingual"} <= runs.keys():
                continue
            shared = set(runs["english"]) & set(runs["multilingual"])
            whole = {arm: runs[arm] for arm in ARMS if shared and shared <= set(runs.get(arm, {}))}
            if whole:
                corpus = reference.job.corpus
                tested = read_outcomes(reference.job.directory)
                yield f"{work.name}, {method}: {simulation}", answer(whole, tested, corpus.source, corpus.targets)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", choices=SETUPS)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--counts", type=int, nargs="+", default=[300])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=get_args(Arm))
    parser.add_argument("--references", nargs="+", default=list(REFERENCES), choices=REFERENCES)
    parser.add_argument("--noise", type=float, default=0.1)
    parser.add_argument("--corrections", type=float, default=0.5)
    parser.add_argument("--sampling", default="uniform", choices=["uniform", "uncertainty"])
    parser.add_argument("--stop-after", type=float, metavar="MINUTES", help="Begin no other cell after so long.")
    parser.add_argument("--begin", action="store_true", help="Train the references, no more.")
    parser.add_argument("--cost", action="store_true", help="Say what is left to do, and do nothing.")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def main() -> None:
    options = parse_options()
    start = time.perf_counter()
    work = Work(options.corpus, options.data.resolve(), options.home.absolute())
    rest = dict.fromkeys(cells(options))
    seconds = [json.loads(path.read_text())["cpu_seconds"] for path in work.cells.rglob("cell.json")]
    usual = sum(seconds) / len(seconds) if seconds else None
    told = f"about {len(rest) * usual / 3600:.1f} core-hours at {usual:.0f} s each" if usual else "not timed yet"
    print(f"{len(rest)} cells, {told}; finished ones are read", flush=True)
    if options.cost:
        return

    def simulation(count: int) -> Simulation:
        return Simulation(
            count=count,
            gold=work.setup.gold,
            noise=options.noise,
            corrections=options.corrections,
            sampling=options.sampling,
        )

    references = {method: work.reference(method) for method in options.references}
    if options.begin:
        return
    chosen = tuned(work, simulation(max(options.counts)))
    print("chosen", chosen, flush=True)
    work.open_test(next(iter(references.values())))
    for method, reference in references.items():
        if not (reference.job.directory / "test_outcomes.json").exists():
            print(method, work.test(reference.job, reference.weights), flush=True)
    done = []
    for count, method, arm, seed in rest:
        if options.stop_after is not None and time.perf_counter() - start > 60 * options.stop_after:
            print(f"stopped after {options.stop_after:g} minutes with {len(done)} of {len(rest)} cells", flush=True)
            break
        reference = references[method]
        pool = judge_asked(reference, work.asked(reference), simulation(count), seed)
        job = cell_job(work, reference, pool, arm, simulation(count), seed, **chosen)
        cell = run_cell(work, job, with_test=True)
        done.append({"count": count, "reference": method, "arm": arm, "seed": seed, **cell})
        mean = {key: round(100 * cell["metrics"][f"test_{key}_mean"], 2) for key in ("intent_acc", "slot_f1")}
        print(count, method, arm, seed, mean, f"{cell['cpu_seconds']:.0f} s", flush=True)
    answers = dict(told_answers(work, references, [simulation(count) for count in options.counts]))
    for title, found in answers.items():
        print(answer_table(found, title))
    if options.out is not None:
        machine = describe_machine(torch.device("cpu"), 1)
        result = {"command": command_line(), "machine": machine, "chosen": chosen}
        result |= {"answers": {title: asdict(found) for title, found in answers.items()}, "cells": done}
        write_json(options.out, result)


if __name__ == "__main__":
    main()
