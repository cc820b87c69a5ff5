"""How well does each selection rule rank trials? In: a finished search. Out: rank correlations with the test score.

    python benchmarks/selection_rules.py mtod-small --data mtod.zip --out benchmarks/results/selection_rules.json

Every complete trial of the search is scored on the full target test splits, which no rule sees, and by each rule on
the held-out source utterances, their translations and the source dev split. Nothing here feeds back into a search,
which must have kept all weights: `xa-search run mtod-small --data mtod.zip --set keep=16`.
"""

import argparse
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch

from xa_search.encoding.store import NO_TRANSLATION, encode_split
from xa_search.encoding.table import EncodedRow
from xa_search.records import TrialJob
from xa_search.search.study import open_study
from xa_search.training.data import load_trial_data, split_rows
from xa_search.training.evaluation import Prediction, Predictor, labelled_metrics
from xa_search.training.final_test import trained_predictor
from xa_search.training.metrics import accuracy, slot_f1, slot_type_f1, slot_types
from xa_search.training.statistics import rank_correlation
from xa_search.training.trial import best_weights
from xa_search.workflows.plan import make_plan
from xa_search.workflows.preflight import prepare_search
from xa_search.workflows.trials import make_trial_job


@dataclass(frozen=True)
class Side:
    """The held-out rows of one language with what the model says of them."""

    rows: list[EncodedRow]
    predictions: list[Prediction]
    intent_logits: torch.Tensor
    sentences: torch.Tensor


@torch.inference_mode()
def observe(predictor: Predictor, rows: list[EncodedRow]) -> Side:
    predictions = predictor.predict(rows)
    outputs = [predictor.model(predictor.collator(rows[i : i + 64])) for i in range(0, len(rows), 64)]
    return Side(
        rows,
        predictions,
        torch.cat([output.intent_logits.float() for output in outputs]),
        torch.cat([output.sentence.float() for output in outputs]),
    )


def type_bags(tags: list[Any]) -> list[Counter[str]]:
    return [slot_types(row or []) for row in tags]


def word_shares(tags: list[Any]) -> np.ndarray:
    return np.array([np.mean([tag != "O" for tag in row]) if len(row) else 0.0 for row in tags])


def rules(
    source: Side, targets: dict[str, Side], keep: dict[str, np.ndarray], dev: dict[str, float]
) -> dict[str, float]:
    """Return the score of each rule; all of them see source labels and translations only."""
    gold_intents = np.array([row.intent for row in source.rows])
    gold_bags = np.array(type_bags([row.slots for row in source.rows]), dtype=object)
    said_bags = np.array(type_bags([p.slots for p in source.predictions]), dtype=object)
    said_intents = np.array([p.intent for p in source.predictions])
    gold_shares = word_shares([row.slots for row in source.rows])
    parts: dict[str, dict[str, float]] = {}
    for lang, side in targets.items():
        kept = keep[lang]
        intents = [p.intent for p in side.predictions]
        bags = type_bags([p.slots for p in side.predictions])
        shares = word_shares([p.slots for p in side.predictions])
        labels = {intent: number for number, intent in enumerate(sorted(set(gold_intents)))}
        log_probabilities = torch.log_softmax(side.intent_logits, -1).max(-1).values.exp()
        anchors = torch.nn.functional.normalize(source.sentences[torch.from_numpy(kept)], dim=-1)
        others = torch.nn.functional.normalize(side.sentences, dim=-1)
        similarity = anchors @ others.T
        parts[lang] = {
            "intent": accuracy(list(gold_intents[kept]), intents),
            "slot_types": slot_type_f1(list(gold_bags[kept]), bags),
            "intent_agreement": accuracy(list(said_intents[kept]), intents),
            "slot_type_agreement": slot_type_f1(list(said_bags[kept]), bags),
            "exact_bag": float(
                np.mean(
                    [
                        g == b and i == j
                        for g, b, i, j in zip(gold_bags[kept], bags, gold_intents[kept], intents, strict=True)
                    ]
                )
            ),
            "slot_share": 1 - float(np.mean(np.abs(gold_shares[kept] - shares))),
            "confidence": float(log_probabilities.mean()),
            "retrieval": float((similarity.argmax(-1) == torch.arange(len(similarity))).float().mean()),
            "labels": float(len(labels)),
        }
    mean = {name: fmean(part[name] for part in parts.values()) for name in next(iter(parts.values()))}
    label_free = (mean["intent"] + mean["slot_types"]) / 2
    source_dev = (dev["dev_intent_acc_en"] + dev["dev_slot_f1_en"]) / 2
    first, second = list(targets)[:2]
    return {
        "label_free": label_free,
        "source_dev": source_dev,
        "held-out intent accuracy": mean["intent"],
        "held-out slot-type F1": mean["slot_types"],
        "worst language": min((part["intent"] + part["slot_types"]) / 2 for part in parts.values()),
        "label_free + source_dev": label_free + source_dev,
        "source slot F1 x slot-type F1 + intent": dev["dev_slot_f1_en"] * mean["slot_types"] + mean["intent"],
        "exact intent and slot types": mean["exact_bag"],
        "label_free + share of slot words": label_free + mean["slot_share"],
        "agreement with the source prediction": (mean["intent_agreement"] + mean["slot_type_agreement"]) / 2,
        "agreement between targets": accuracy(
            [p.intent for p in targets[first].predictions], [p.intent for p in targets[second].predictions]
        )
        if len(targets[first].rows) == len(targets[second].rows)
        else float("nan"),
        "intent confidence on translations": mean["confidence"],
        "translation retrieval": mean["retrieval"],
    }


def measure(job: TrialJob) -> tuple[dict[str, float], dict[str, float]]:
    """Return the rules' scores and the target test scores of one trial."""
    predictor = trained_predictor(job, best_weights(job.directory))
    data = load_trial_data(job.corpus, job.settings)
    held_out = data.selecting
    source = observe(predictor, held_out.source.rows(held_out.rows))
    targets, keep = {}, {}
    for lang in job.corpus.targets:
        keep[lang] = np.flatnonzero(held_out.pairs[lang] != NO_TRANSLATION)
        targets[lang] = observe(predictor, held_out.read(lang)[1])
    dev_rows = split_rows(job.corpus, "dev", job.corpus.source, job.settings.dev_limit)
    dev = labelled_metrics(dev_rows, predictor.predict(dev_rows), "dev", job.corpus.source)
    truth = {}
    for lang in job.corpus.targets:
        rows = split_rows(job.corpus, "test", lang, job.settings.test_limit)
        predictions = predictor.predict(rows)
        truth[f"intent_{lang}"] = accuracy([row.intent or "" for row in rows], [p.intent for p in predictions])
        truth[f"slot_{lang}"] = slot_f1([row.slots or [] for row in rows], [p.slots for p in predictions])
    return rules(source, targets, keep, dev), truth | {"score": fmean(truth.values())}


def correlation(rule: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Spearman's rank correlation with its 95% interval over trials."""
    found = rank_correlation(rule, truth)
    return {"rho": found.value, "low": found.low, "high": found.high}


def summarise(table: list[dict[str, Any]]) -> dict[str, Any]:
    """Correlate each rule over all trials, over the aligned ones alone, and over the better half.

    `regret` is how far the test score of the rule's pick lies below the best among the same trials.
    """
    truth = np.array([row["test"]["score"] for row in table])
    parts = {
        "all": np.full(len(table), True),
        "aligned": np.array([row["role"] != "baseline" for row in table]),
        "good half": truth >= np.median(truth),
    }
    summary: dict[str, Any] = {}
    for name in table[0]["rules"]:
        rule = np.array([row["rules"][name] for row in table])
        summary[name] = {
            part: correlation(rule[chosen], truth[chosen])
            | {"regret": float(truth[chosen].max() - truth[chosen][np.nanargmax(rule[chosen])])}
            for part, chosen in parts.items()
        }
    return summary


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("space")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--home", type=Path, default=Path.home() / ".xa-search")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    data = None if options.data is None else options.data.resolve()
    plan = make_plan(options.space, tuple(options.set), home=options.home.absolute(), data=data)
    prepared = prepare_search(plan, plan.space.model_sizes, print)
    table = []
    for trial in open_study(plan).trials():
        if trial.state != "COMPLETE":
            continue
        job = make_trial_job(plan, prepared, trial.settings, str(trial.number))
        tokenizer = prepared.tokenizers[job.encoder.tokenizer_fingerprint]
        encode_split(job.corpus, prepared.corpus, tokenizer, plan.max_tokens, "test", plan.space.targets)
        scores, truth = measure(job)
        table.append(
            {"trial": trial.number, "role": trial.role, "params": trial.params, "rules": scores, "test": truth}
        )
        print(
            trial.number, trial.params, {name: round(value, 3) for name, value in (scores | truth).items()}, flush=True
        )
    result = {"search": plan.search_id, "trials": len(table), "rules": summarise(table), "table": table}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for name, row in sorted(result["rules"].items(), key=lambda item: -item[1]["all"]["rho"]):
        cells = [f"{part} {row[part]['rho']:+.2f} regret {100 * row[part]['regret']:.1f}" for part in row]
        print(f"{name:42s} {'  '.join(cells)}")


if __name__ == "__main__":
    main()
