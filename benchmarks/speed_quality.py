"""What the speed costs in quality. In: a corpus. Out: losses by examples seen and test scores of each arm, as JSON.

    python benchmarks/throughput.py quality --data mtod.zip --seeds 11 12 13 --train-limit 400 --epochs 3 \
        --out benchmarks/results/speed_quality.json

All arms start from the same encoder, see the same utterances equally often and turn between the targets in the same
way; a seed decides the heads, the order and dropout. The loss is the task loss on English dev, the test takes the last
epoch's weights, and both are computed by the product, with the padding masked, in fp32. The published model is scored
a second time in its own form, with the padding attended as in its training. Runs that the file holds are not repeated.
"""

import argparse
import json
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from arm_scores import score_on_test, task_loss
from arms import ARMS, arm_job, build_arm, prepare_arms, train
from machine import clock, describe_machine
from published_step import PAD_LENGTH
from results_file import command_line, write_json

from xa_search.encoding.store import encode_split
from xa_search.errors import UsageError
from xa_search.records import Plan, TrialJob
from xa_search.training.device import trial_device
from xa_search.workflows.preflight import Prepared


def run_arm(arm: str, job: TrialJob, pad_length: int) -> dict[str, Any]:
    """Train one arm with one seed; return its losses epoch by epoch and the test scores of its last epoch."""
    trainer = build_arm(arm, job, pad_length)
    epochs: list[dict[str, float]] = []
    for epoch in range(job.settings.epochs):
        start = clock(trial_device())
        train(trainer, trainer.data, epoch)
        seconds = clock(trial_device()) - start
        examples = (epoch + 1) * len(trainer.data.train)
        epochs.append({"examples": examples, "task_loss": task_loss(trainer), "train_seconds": seconds})
        print(f"{arm} seed {job.settings.seed} epoch {epoch + 1}: {epochs[-1]}", flush=True)
    metrics = score_on_test(trainer)
    shown = {name: value for name, value in metrics.items() if name in ("test_intent_acc_mean", "test_slot_f1_mean")}
    print(f"{arm} seed {job.settings.seed}: {shown}", flush=True)
    return {"arm": arm, "settings": job.settings.model_dump(mode="json"), "epochs": epochs, "metrics": metrics}


def jobs_of(options: argparse.Namespace, plan: Plan, prepared: Prepared) -> list[tuple[str, TrialJob]]:
    """Return the jobs of all arms, seed by seed."""
    ours = {"learning_rate": options.learning_rate, "precision": options.precision}
    published = {"learning_rate": options.published_learning_rate}
    own = {
        "published": {**published, "precision": "fp32"},
        "ours": ours,
        "ours_batch_10": ours,
        "ours_as_published": {**published, "precision": options.precision},
    }
    same = {
        "epochs": options.epochs,
        "train_limit": options.train_limit,
        "dev_limit": options.dev_limit,
        "test_limit": options.test_limit,
        "align_weight": options.align_weight,
        "head_learning_rate_factor": options.head_learning_rate_factor,
    }
    return [
        (arm, arm_job(plan, prepared, arm, "small", seed=seed, **same, **own[arm]))
        for seed in options.seeds
        for arm in options.arms
    ]


def summarise(runs: list[dict[str, Any]]) -> dict[str, dict[str, list[float]]]:
    """Return mean and standard deviation over the seeds of each arm's losses and test scores."""
    summary: dict[str, dict[str, list[float]]] = {}
    for arm in ARMS:
        rows = []
        for run in (run for run in runs if run["arm"] == arm):
            losses = {f"task_loss_after_{epoch['examples']}": epoch["task_loss"] for epoch in run["epochs"]}
            train_seconds = sum(epoch["train_seconds"] for epoch in run["epochs"])
            rows.append(losses | {"train_seconds": train_seconds} | run["metrics"])
        if rows:
            columns = {name: [row[name] for row in rows] for name in rows[0]}
            summary[arm] = {
                name: [fmean(values), stdev(values) if len(values) > 1 else 0.0] for name, values in columns.items()
            }
    return summary


def print_summary(summary: dict[str, dict[str, list[float]]]) -> None:
    """Print one line a figure, one column an arm; only the published arm has figures with the padding attended."""
    print(f"{'':32s} " + "  ".join(f"{arm:>19s}" for arm in summary))
    for name in dict.fromkeys(name for figures in summary.values() for name in figures):
        found = [figures.get(name) for figures in summary.values()]
        cells = ["-" if one is None else f"{one[0]:.4f} ± {one[1]:.4f}" for one in found]
        print(f"{name:32s} " + "  ".join(f"{cell:>19s}" for cell in cells))


def main(words: list[str]) -> None:
    options = parse(words)
    plan, prepared = prepare_arms(options.data, options.home, options.threads, ["small"])
    jobs = jobs_of(options, plan, prepared)
    tokenizer = prepared.tokenizers[jobs[0][1].encoder.tokenizer_fingerprint]
    languages = (plan.space.source, *plan.space.targets)
    encode_split(jobs[0][1].corpus, prepared.corpus, tokenizer, plan.max_tokens, "test", languages)
    result: dict[str, Any] = {
        "command": command_line(),
        "machine": describe_machine(trial_device(), options.threads),
        "pad_length": options.pad_length,
        "runs": stored_runs(options, jobs),
    }
    for arm, job in jobs:
        if not any(is_run_of(run, arm, job) for run in result["runs"]):
            result["runs"].append(run_arm(arm, job, options.pad_length))
            result["mean and standard deviation"] = summarise(result["runs"])
            write_json(options.out, result)
    print_summary(summarise(result["runs"]))


def is_run_of(run: dict[str, Any], arm: str, job: TrialJob) -> bool:
    """Tell whether a stored run is this arm's with these settings."""
    return bool(run["arm"] == arm and run["settings"] == job.settings.model_dump(mode="json"))


def stored_runs(options: argparse.Namespace, jobs: list[tuple[str, TrialJob]]) -> list[dict[str, Any]]:
    """Return the runs that the file holds. Raises UsageError where one has other settings than now."""
    if not options.out.exists():
        return []
    stored = json.loads(options.out.read_text(encoding="utf-8"))
    same_length = stored["pad_length"] == options.pad_length
    for run in stored["runs"]:
        if not same_length or not any(is_run_of(run, arm, job) for arm, job in jobs):
            where = f"{options.out}: run {run['arm']} seed {run['settings']['seed']}"
            raise UsageError(f"{where} was made with other options than these; give the same ones or another --out")
    runs: list[dict[str, Any]] = stored["runs"]
    return runs


def parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="throughput.py quality", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--home", type=Path, default=Path.home() / ".xa-search")
    parser.add_argument("--arms", nargs="+", choices=tuple(ARMS), default=list(ARMS))
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto", help="of our arms")
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12, 13])
    parser.add_argument("--train-limit", type=int, default=400)
    parser.add_argument("--dev-limit", type=int, default=500)
    parser.add_argument("--test-limit", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--learning-rate", type=float, default=2e-4)
    parser.add_argument("--published-learning-rate", type=float, default=2e-4)
    parser.add_argument("--head-learning-rate-factor", type=float, default=10.0)
    parser.add_argument("--align-weight", type=float, default=1.0)
    parser.add_argument("--pad-length", type=int, default=PAD_LENGTH)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args(words)
