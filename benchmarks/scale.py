"""Cost and memory by corpus size. In: numbers of utterances. Out: seconds and peak memory of driver and worker.

    python benchmarks/scale.py --sizes 10000 100000 1000000 --out benchmarks/results/scale.json

Utterances are generated in MTOD's format, with one translation each. For each size, a fresh driver checks and encodes
them, and a fresh worker opens the tables and takes some steps of an epoch over all of them.
"""

import argparse
import json
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import anonymous_memory, describe_machine, peak_memory
from results_file import command_line, write_json

from xa_search.records import Plan
from xa_search.workflows.plan import make_plan

CPU = torch.device("cpu")
SOURCE = {
    "alarm": ("set", "an", "alarm", "for", "{hour}", "o'clock", "on", "{day}"),
    "weather": ("what", "is", "the", "weather", "in", "town", "{hour}", "on", "{day}"),
    "reminder": ("remind", "me", "to", "call", "number", "{hour}", "on", "{day}"),
}
TRANSLATED = {
    "alarm": "pon una alarma para las {hour} el {day}",
    "weather": "qué tiempo hace en la ciudad {hour} el {day}",
    "reminder": "recuérdame llamar al número {hour} el {day}",
}
DAYS = {"monday": "lunes", "tuesday": "martes", "friday": "viernes", "sunday": "domingo"}
TAGS = {"{hour}": "B-datetime", "{day}": "B-weekday"}
SMALL_SPLIT = 200


def write_corpus(directory: Path, size: int) -> None:
    """Write `size` English training utterances, a translation a line, and small dev and test files."""
    for lang in ("en", "es"):
        (directory / lang).mkdir(parents=True, exist_ok=True)
    for split, rows in (("train", size), ("dev", SMALL_SPLIT), ("test", SMALL_SPLIT)):
        with (directory / "en" / f"{split}-en.conllu").open("w", encoding="utf-8") as file:
            for intent, hour, day in draws(rows):
                words = SOURCE[intent]
                shown = [word.format(hour=hour, day=day) for word in words]
                lines = [
                    f"{place}\t{text}\t{intent}\t{TAGS.get(word, 'NoLabel')}"
                    for place, (word, text) in enumerate(zip(words, shown, strict=True), start=1)
                ]
                file.write("\n".join(lines) + "\n\n")
    for split in ("dev", "test"):
        (directory / "es" / f"{split}-es.conllu").write_text("1\thola\tweather\tNoLabel\n", encoding="utf-8")
    with (directory / "es" / "train.tsv").open("w", encoding="utf-8") as file:
        for intent, hour, day in draws(size):
            file.write(TRANSLATED[intent].format(hour=hour, day=DAYS[day]) + "\n")


def draws(rows: int) -> Iterator[tuple[str, int, str]]:
    generator = np.random.default_rng(5)
    intents, days = list(SOURCE), list(DAYS)
    for _ in range(rows):
        intent, day = generator.integers(len(intents)), generator.integers(len(days))
        yield intents[intent], int(generator.integers(1, 100_000)), days[day]


def encode(plan: Plan) -> dict[str, float]:
    """What the driver does before the first trial."""
    from xa_search.workflows.preflight import prepare_search

    start, before = time.perf_counter(), peak_memory(CPU)
    prepare_search(plan, plan.space.model_sizes, lambda _: None)
    return {
        "seconds": time.perf_counter() - start,
        "before_gb": before,
        "peak_gb": peak_memory(CPU),
        "anonymous_gb": anonymous_memory(),
    }


def train(plan: Plan, steps: int) -> dict[str, float]:
    """What a worker does: open the tables, load the model, take steps."""
    from xa_search.training.steps import step_batches
    from xa_search.training.trainer import build_trainer
    from xa_search.workflows.preflight import prepare_search
    from xa_search.workflows.trials import make_trial_job

    prepared = prepare_search(plan, plan.space.model_sizes, lambda _: None)
    params = {"align_weight": 1.0, "learning_rate": 2e-4, "model_size": plan.space.params["model_size"].choices}
    settings = plan.trial_settings(params | {"model_size": params["model_size"][0]})
    start, before = time.perf_counter(), peak_memory(CPU)
    trainer = build_trainer(make_trial_job(plan, prepared, settings, "scale"))
    built = time.perf_counter()
    trainer.model.train()
    for step in islice(step_batches(trainer.data, trainer.collator, settings, 0), steps):
        trainer.take_step(step)
    return {
        "start_seconds": built - start,
        "step_seconds": (time.perf_counter() - built) / steps,
        "before_gb": before,
        "peak_gb": peak_memory(CPU),
        "anonymous_gb": anonymous_memory(),
    }


def alone(task: Any, *arguments: Any) -> dict[str, float]:
    """Run a task in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        result: dict[str, float] = pool.submit(task, *arguments).result()
        return {name: round(value, 3) for name, value in result.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--home", type=Path, default=Path.home() / ".xa-search")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    result: dict[str, Any] = {"command": command_line(), "machine": describe_machine(CPU, 1), "sizes": {}}
    for size in options.sizes:
        corpus = options.home / "scale" / str(size)
        write_corpus(corpus, size)
        changes = ("targets=[es]", "fixed.train_limit=null", "fixed.validation_fraction=0.01")
        plan = make_plan("mtod-small", changes, home=options.home.absolute(), data=corpus.absolute(), seed=1)
        result["sizes"][size] = {"driver": alone(encode, plan), "worker": alone(train, plan, options.steps)}
        print(size, json.dumps(result["sizes"][size]), flush=True)
        write_json(options.out, result)


if __name__ == "__main__":
    main()
