"""How well held-out translations rank trials, where training has their like and where it does not. In: a corpus.

    python benchmarks/split_rank.py --trials 12 --out benchmarks/results/split_rank.json
    python benchmarks/split_rank.py --space mtod-small --data mtod.zip --trials 12 --out benchmarks/results/...

Random settings of the space's ranges, trained without either held-out part. Each model is scored by `label_free` on
both: the rows that 0.1.0 held out (a tenth of the training texts by their hash: training has their templates and some
of their translations), and those that are held out now (which share neither). So one and the same model has both
scores, and the test score of its targets (the mean of intent accuracy and slot F1), which nobody selects by. The last
epoch counts. A finished trial is a line of the `.jsonl` beside `--out`, and is not run again.
"""

import argparse
import json
import time
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from held_out_leak import FRACTION, share_of_text
from learning_curves import random_params
from machine import describe_machine
from results_file import command_line, write_json

from xa_search.encoding.held_out import HeldOutSplit
from xa_search.encoding.store import held_out_split as clean_split
from xa_search.encoding.store import table_path
from xa_search.encoding.table import EncodedTable
from xa_search.errors import XaSearchError
from xa_search.records import EncodedCorpus, Plan, TrialJob
from xa_search.training import data as trial_data
from xa_search.training.data import HeldOutPairs, held_out_pairs, source_dev_rows, trial_split
from xa_search.training.epoch_scores import epoch_metrics
from xa_search.training.final_test import trained_predictor
from xa_search.training.registry import selection_rule
from xa_search.training.statistics import rank_correlation
from xa_search.training.trial import all_weights, best_weights, train_trial
from xa_search.workflows.plan import make_plan
from xa_search.workflows.preflight import Prepared, prepare_search
from xa_search.workflows.trials import make_trial_job, score_trial_on_test


def leaky_rows(corpus: EncodedCorpus, split: HeldOutSplit) -> np.ndarray:
    """Return the training rows that 0.1.0 would have held out."""
    table = EncodedTable(table_path(corpus, "train", corpus.source))
    chosen = np.array([share_of_text(row.words) < FRACTION for row in table.rows(split.train)])
    found: np.ndarray = split.train[chosen]
    return found


def without_both(
    corpus: EncodedCorpus, train_limit: int | None, dev_limit: int | None, validation_fraction: float
) -> HeldOutSplit:
    """Hold out what is held out now, and let the rows that 0.1.0 held out train no more, either."""
    split = clean_split(corpus, train_limit, dev_limit, validation_fraction)
    return replace(split, train=np.setdiff1d(split.train, leaky_rows(corpus, split)))


def leaky_pairs(job: TrialJob) -> HeldOutPairs:
    """Return the rows that 0.1.0 held out, with their translations."""
    corpus, settings = job.corpus, job.settings
    split = clean_split(corpus, settings.train_limit, settings.dev_limit, settings.validation_fraction)
    own = replace(split, origin="train", selecting=leaky_rows(corpus, split))
    return held_out_pairs(corpus, own)[0]


def run_trial(job: TrialJob, plan: Plan, prepared: Prepared) -> dict[str, Any]:
    """Train a trial; return its scores by both splits and on the test splits of the targets."""
    list(train_trial(job))
    predictor = trained_predictor(job, best_weights(job.directory))
    split = trial_split(job.corpus, job.settings)
    dev = source_dev_rows(job.corpus, split, job.settings.dev_limit)
    said = predictor.predict(dev)
    rule = selection_rule("label_free")
    scores = {
        name: rule.score(epoch_metrics(lambda _: predictor.predict, pairs, job, (dev, said)), job.corpus)
        for name, pairs in (("clean", held_out_pairs(job.corpus, split)[0]), ("leaky", leaky_pairs(job)))
    }
    tested = score_trial_on_test(plan, prepared, job)
    for path in all_weights(job.directory):
        path.unlink()
    return {**scores, "test": fmean((tested["test_intent_acc_mean"], tested["test_slot_f1_mean"]))}


def summary(trials: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the rank correlation of each split's score with the test score, and the regret of its pick, in points."""
    known = [trial for trial in trials if "test" in trial]
    test = np.array([trial["test"] for trial in known])
    found: dict[str, Any] = {"trials": len(known), "failed": len(trials) - len(known)}
    for name in ("clean", "leaky"):
        scores = np.array([trial[name] for trial in known])
        regret = 100 * float(test.max() - test[scores.argmax()])
        above = 100 * float((scores - test).mean())
        found[name] = {**asdict(rank_correlation(scores, test)), "regret": regret, "above test, points": above}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="mtop-mini")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--home", type=Path, default=Path.home() / ".xa-search")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--minutes", type=float, default=40, help="processor time of all trials together")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    data = None if options.data is None else options.data.resolve()
    changes = ("fixed.kept_epoch=last", "fixed.heads=probe", *options.set)
    plan = make_plan(options.space, changes, home=options.home.absolute(), data=data)
    prepared = prepare_search(plan, plan.space.model_sizes, lambda _: None)
    lines = options.out.with_suffix(".jsonl")
    trials = [json.loads(line) for line in lines.read_text("utf-8").splitlines()] if lines.exists() else []
    each = fmean(trial["cpu_seconds"] for trial in trials) if trials else 60.0
    print(
        f"{options.trials} trials, about {options.trials * each / 60:.0f} minutes of one core; {len(trials)} are there"
    )
    for number in range(len(trials), options.trials):
        if sum(trial["cpu_seconds"] for trial in trials) > 60 * options.minutes - each:
            print(f"{options.trials - number} trials are left out: the minutes are used up", flush=True)
            break
        params, begin = random_params(plan, number), time.process_time()
        job = make_trial_job(plan, prepared, plan.trial_settings(params), f"rank-{number}")
        try:
            with patch.object(trial_data, "held_out_split", without_both):
                trial = {"params": params, **run_trial(job, plan, prepared)}
        except XaSearchError as error:
            trial = {"params": params, "failed": str(error)}
        trials.append({**trial, "cpu_seconds": round(time.process_time() - begin, 1)})
        lines.parent.mkdir(parents=True, exist_ok=True)
        with lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps(trials[-1]) + "\n")
        print(number, json.dumps(trials[-1]), flush=True)
    corpus, settings = next(iter(prepared.encoded.values())), plan.trial_settings({})
    split = clean_split(corpus, settings.train_limit, settings.dev_limit, settings.validation_fraction)
    rows = {"clean": len(split.selecting), "leaky": len(leaky_rows(corpus, split))}
    found = {"command": command_line(), "space": options.space, "settings": plan.space.fixed, "rows": rows}
    machine = {"machine": describe_machine(torch.device("cpu"), 1)}
    if len([trial for trial in trials if "test" in trial]) > 3:
        found |= summary(trials)
        print(json.dumps(found, indent=1))
    write_json(options.out, found | machine)


if __name__ == "__main__":
    main()
