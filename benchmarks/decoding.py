"""What decoding is worth, and what it costs. In: MTOD. Out: test slot F1 of the same weights, read in several ways.

    python benchmarks/decoding.py --data mtod.zip --home HOME --seeds 1 2 3 --out benchmarks/results/decoding.json

A cell is one model: 600 English utterances, `small`, 3 epochs, zero-shot or aligned (align_weight 10), and a seed. It
takes about one minute of a core without alignment, three with it, and one more to be read. Each finished cell is kept
in HOME and never trained again, so that the command goes on where it was ended; --minutes begins none after so many.

Of each model the logits are taken once: of 600 English dev utterances, of the held-out translations, and of 500 random
test utterances a language. Everything else is arithmetic on them. `chosen` is what the program does: the weight of the
highest slot F1 on English dev. Beside it stand weights chosen by the likelihood of the dev tags and by the slot types
of the held-out translations, and the best weight of each test set, which nobody can know.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import torch
from machine import describe_machine
from results_file import command_line, write_json
from scipy.stats import t as student

from xa_search.encoding.store import encode_split, table_path
from xa_search.encoding.table import EncodedRow, EncodedTable
from xa_search.model.decoding import WEIGHTS, SlotDecoder, decode, transition_scores
from xa_search.model.posterior import slot_probabilities, weighted_scores
from xa_search.records import Plan, TrialJob, TrialSettings
from xa_search.training.data import load_trial_data, split_rows
from xa_search.training.dev_fit import fit_reading
from xa_search.training.evaluation import (
    Logits,
    Predictor,
    calibration_metrics,
    label_free_metrics,
    labelled_metrics,
)
from xa_search.training.final_test import trained_predictor
from xa_search.training.trial import best_weights, train_trial
from xa_search.workflows.plan import make_plan
from xa_search.workflows.preflight import Prepared, prepare_search
from xa_search.workflows.trials import make_trial_job

METHODS = {"zero_shot": 0.0, "xeroalign": 10.0}
SIZE = "small"
DEV_ROWS, TEST_ROWS, TEST_SEED = 600, 500, 18
WIDE = 157
CHANGES = (
    "fixed={epochs: 3, batch_size: 16, head_learning_rate_factor: 10, train_limit: 600, dev_limit: 600}",
    f"params={{model_size: {{choices: [{SIZE}]}}}}",
    f"baseline={{model_size: {SIZE}}}",
    f"published={{model_size: {SIZE}}}",
)
EDGES = {"words only": (False, False), "first word too": (True, False), "first word and end": (True, True)}


def cell_job(plan: Plan, prepared: Prepared, method: str, seed: int) -> TrialJob:
    """Return the job of one cell, with a folder of its own."""
    settings = TrialSettings(
        **{**plan.space.fixed, "learning_rate": 2e-4, "method": method, "model_size": SIZE, "precision": "fp32"},
        align_weight=METHODS[method],
        max_tokens=plan.max_tokens,
        seed=seed,
    )
    name = f"{method}-{seed}"
    return replace(make_trial_job(plan, prepared, settings, name), directory=plan.home / "cells" / name, threads=1)


def test_rows(job: TrialJob, lang: str) -> list[EncodedRow]:
    """Return the same random test utterances of a language for all cells."""
    table = EncodedTable(table_path(job.corpus, "test", lang))
    chosen = np.random.default_rng(TEST_SEED).permutation(len(table))[:TEST_ROWS]
    return table.rows(np.sort(chosen))


def edged(scores: torch.Tensor, first: bool, end: bool) -> torch.Tensor:
    """Return transition scores without those of the first word, or of the end."""
    changed = scores.clone()
    if not first:
        changed[-1] = torch.where(scores[-1].isfinite(), 0.0, scores[-1])
    if not end:
        changed[:, -1] = torch.where(scores[:, -1].isfinite(), 0.0, scores[:, -1])
    return changed


def dev_likelihood(found: Sequence[Logits], decoder: SlotDecoder, weight: float) -> float:
    """Return the mean log-likelihood of the gold tags of dev, normalised over all legal sequences."""
    scores = torch.where(decoder.transitions.isfinite(), weight * decoder.transitions, -torch.inf)
    total, rows = 0.0, 0
    for one in found:
        counts = one.batch.word_counts.tolist()
        utterances = zip(one.slots.split(counts), one.batch.slots.split(counts), strict=True)
        for logits, tags in utterances:
            rows += 1
            total += _log_likelihood(logits, tags.tolist(), scores)
    return total / rows


def _log_likelihood(logits: torch.Tensor, tags: list[int], scores: torch.Tensor) -> float:
    edge = len(scores) - 1
    steps = zip([edge, *tags], [*tags, edge], strict=True)
    own = sum(float(scores[before, after]) for before, after in steps)
    own += sum(float(logits[place, tag]) for place, tag in enumerate(tags))
    forward = scores[-1, :-1] + logits[0]
    for words in logits[1:]:
        forward = (forward[:, None] + scores[:-1, :-1]).logsumexp(0) + words
    return own - float((forward + scores[:-1, -1]).logsumexp(0))


def read_cell(job: TrialJob) -> dict[str, Any]:
    """Return all figures of a trained cell."""
    predictor = trained_predictor(job, best_weights(job.directory))
    model, corpus = predictor.model, job.corpus
    data = load_trial_data(corpus, job.settings)
    model.decoder = SlotDecoder(
        transition_scores(*data.source.tag_numbers(data.train, corpus.slot_tags), corpus.slot_tags)
    )
    dev = split_rows(corpus, "dev", corpus.source, DEV_ROWS)
    seconds = {}
    with torch.inference_mode():
        dev_logits, seconds["model"] = timed(lambda: list(predictor.logits(dev)))
        fitted, seconds["fitted to dev"] = timed(lambda: fit_reading(predictor, dev_logits))
        _, seconds["read by Viterbi"] = timed(lambda: predictor.read(dev, dev_logits))
        seconds |= wide_seconds(dev_logits)
        decoder, model.decoder = model.decoder, None
        _, seconds["read by argmax"] = timed(lambda: predictor.read(dev, dev_logits))
        model.decoder = decoder
        tests = {lang: test_rows(job, lang) for lang in (corpus.source, *corpus.targets)}
        found = {lang: list(predictor.logits(rows)) for lang, rows in tests.items()}
        result = {
            "fitted": fitted,
            "seconds of processor for dev": seconds,
            "slot F1": slot_scores(predictor, tests, found),
            "chosen by edges": {},
            "weight by likelihood": max(WEIGHTS, key=lambda w: dev_likelihood(dev_logits, decoder, w)),
            "weight by held-out types": weight_by_types(predictor, data, job),
            "calibration error": {lang: calibration(predictor, rows, found[lang]) for lang, rows in tests.items()},
        }
        whole = decoder.transitions
        for name, edges in EDGES.items():
            model.decoder = SlotDecoder(edged(whole, *edges))
            weight = fit_reading(predictor, dev_logits)["transition_weight"]
            scores = {lang: slot_f1(predictor, rows, found[lang]) for lang, rows in tests.items()}
            result["chosen by edges"][name] = {"weight": weight, **scores}
    return result


def wide_seconds(found: Sequence[Logits]) -> dict[str, float]:
    """Return what Viterbi with all weights, and the posterior, take with the 157 tags of MTOP and as many words."""
    random = torch.Generator().manual_seed(1)
    tags = ["O", *(f"{begin}-{number}" for number in range((WIDE - 1) // 2) for begin in "BI")]
    scores = transition_scores(np.arange(WIDE), np.array([WIDE]), tags)
    counts = [one.batch.word_counts for one in found]
    logits = [torch.randn(int(one.sum()), WIDE, generator=random) * 4 for one in counts]
    pairs = list(zip(logits, counts, strict=True))
    decoded, once = timed(lambda: [decode(words, count, scores, 0.3) for words, count in pairs])
    chain = weighted_scores(scores, 0.3)
    _, posterior = timed(
        lambda: [
            slot_probabilities(words, count, chain, best, tags)
            for (words, count), best in zip(pairs, decoded, strict=True)
        ]
    )
    return {f"Viterbi once, {WIDE} tags": once, f"posterior once, {WIDE} tags": posterior}


def timed(what: Any) -> tuple[Any, float]:
    """Return what a call gives and its processor seconds, which other programs on the machine do not change."""
    start = time.process_time()
    found = what()
    return found, time.process_time() - start


def slot_f1(predictor: Predictor, rows: Sequence[EncodedRow], found: Sequence[Logits]) -> float:
    """Return the slot F1 of some rows in percent, read as the predictor's model says."""
    scores = labelled_metrics(rows, predictor.read(rows, found), "test", "x")
    return round(100 * scores["test_slot_f1_x"], 2)


def slot_scores(
    predictor: Predictor, tests: dict[str, list[EncodedRow]], found: dict[str, list[Logits]]
) -> dict[str, dict[str, float]]:
    """Return by language the slot F1 by argmax, lenient and strict, and by Viterbi with each weight."""
    decoder = predictor.model.decoder
    assert decoder is not None
    table = {}
    for lang, rows in tests.items():
        predictor.model.decoder = None
        scores = labelled_metrics(rows, predictor.read(rows, found[lang]), "test", "x")
        table[lang] = {
            "argmax": round(100 * scores["test_slot_f1_x"], 2),
            "argmax, strict": round(100 * scores["test_slot_f1_strict_x"], 2),
        }
        predictor.model.decoder = decoder
        chosen = float(decoder.weight)
        for weight in WEIGHTS:
            decoder.weight.fill_(weight)
            table[lang][str(weight)] = slot_f1(predictor, rows, found[lang])
        decoder.weight.fill_(chosen)
    return table


def weight_by_types(predictor: Predictor, data: Any, job: TrialJob) -> float:
    """Return the weight of the highest slot-type F1 on the held-out translations: no label of a target is read."""
    decoder = predictor.model.decoder
    assert decoder is not None
    chosen, sums = float(decoder.weight), dict.fromkeys(WEIGHTS, 0.0)
    for lang in job.corpus.aligned:
        sources, rows = data.selecting.read(lang)
        logits = list(predictor.logits(rows))
        for weight in WEIGHTS:
            decoder.weight.fill_(weight)
            scores = label_free_metrics(sources, predictor.read(rows, logits), lang, has_slots=True)
            sums[weight] += scores[f"held_out_slot_type_f1_{lang}"]
    decoder.weight.fill_(chosen)
    return max(WEIGHTS, key=lambda weight: sums[weight])


def calibration(predictor: Predictor, rows: list[EncodedRow], found: list[Logits]) -> dict[str, float]:
    """Return the calibration errors of a language in points, before (raw) and after."""
    before, after = predictor.read(rows, found, calibrated=False), predictor.read(rows, found)
    scores = calibration_metrics(rows, before, "test", "x", "raw_", has_slots=True)
    scores |= calibration_metrics(rows, after, "test", "x", "", has_slots=True)
    return {name.removeprefix("test_").removesuffix("_x"): round(100 * value, 2) for name, value in scores.items()}


def with_interval(values: list[float]) -> dict[str, Any]:
    """Return the mean of one value a seed, and its 95% t interval."""
    mean = fmean(values)
    if len(values) < 2:
        return {"mean": round(mean, 2), "seeds": 1}
    half = float(student.ppf(0.975, len(values) - 1)) * stdev(values) / sqrt(len(values))
    return {"mean": round(mean, 2), "interval": [round(mean - half, 2), round(mean + half, 2)], "seeds": len(values)}


def rules(cell: dict[str, Any], lang: str) -> dict[str, float]:
    """Return the slot F1 of a cell in a language by rule."""
    scores = cell["slot F1"][lang]
    return {
        "argmax": scores["argmax"],
        "argmax, strict": scores["argmax, strict"],
        "legal only": scores["0.0"],
        "chosen": scores[str(cell["fitted"]["transition_weight"])],
        "by likelihood": scores[str(cell["weight by likelihood"])],
        "by held-out types": scores[str(cell["weight by held-out types"])],
        "best weight": max(scores[str(weight)] for weight in WEIGHTS),
        **{f"edges: {name}": found[lang] for name, found in cell["chosen by edges"].items()},
    }


def summary(cells: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return by method and language the mean of each rule, and what it adds to argmax with a t interval over seeds."""
    table: dict[str, Any] = {}
    for method in METHODS:
        own = [cell for name, cell in cells.items() if name.startswith(f"{method}-")]
        if not own:
            continue
        languages = list(own[0]["slot F1"])
        by_language = {lang: [rules(cell, lang) for cell in own] for lang in languages}
        by_language["targets"] = [
            {rule: fmean(by_language[lang][place][rule] for lang in languages[1:]) for rule in one}
            for place, one in enumerate(by_language[languages[0]])
        ]
        table[method] = {
            lang: {
                rule: {
                    "F1": with_interval([one[rule] for one in rows]),
                    "over argmax": with_interval([one[rule] - one["argmax"] for one in rows]),
                }
                for rule in rows[0]
            }
            for lang, rows in by_language.items()
        }
    return table


def cells_of(options: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """Train and read the cells that are not there yet; yield each with its name."""
    begin = time.monotonic()
    plan = make_plan("mtod", CHANGES, home=options.home.absolute(), data=options.data.resolve())
    prepared = prepare_search(plan, (SIZE,), print)
    for seed in options.seeds:
        for method in METHODS:
            job = cell_job(plan, prepared, method, seed)
            kept = job.directory / "cell.json"
            if not kept.exists():
                if time.monotonic() - begin > 60 * options.minutes:
                    print(f"{method}-{seed}: not begun, {options.minutes} minutes are over")
                    continue
                for _ in train_trial(job):
                    pass
                tokenizer = prepared.tokenizers[job.encoder.tokenizer_fingerprint]
                languages = (job.corpus.source, *job.corpus.targets)
                encode_split(job.corpus, prepared.corpus, tokenizer, plan.max_tokens, "test", languages)
                write_json(kept, read_cell(job))
            yield f"{method}-{seed}", json.loads(kept.read_text(encoding="utf-8"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--minutes", type=float, default=40.0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{len(METHODS) * len(options.seeds)} cells, 2 to 4 minutes of one core each; at most {options.minutes}")
    cells: dict[str, dict[str, Any]] = {}
    for name, cell in cells_of(options):
        cells[name] = cell
        print(name, {lang: rules(cell, lang) for lang in cell["slot F1"]}, flush=True)
        result = {
            "command": command_line(),
            "machine": describe_machine(torch.device("cpu"), 1),
            "slot F1 in percent": summary(cells),
            "cells": cells,
        }
        write_json(options.out, result)


if __name__ == "__main__":
    main()
