"""What does a trial cost the driver? In: how many trials that only report. Out: the driver's seconds and memory.

    python benchmarks/soak.py --trials 200 --out benchmarks/results/soak.json

The trials run through Ray, two at a time where there are two cores; study, spool and MLflow's SQLite file are real. The
first search runs alone, then two at once in one home and one store: of one space with two seeds.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch
from machine import anonymous_memory, describe_machine
from results_file import command_line, write_json

from xa_search.cli.display import SearchDisplay
from xa_search.records import EncodedCorpus, EncoderFiles, EpochReport, Plan, TrialJob, TrialRecord
from xa_search.records.search import trial_directory
from xa_search.search.driver import only_driver
from xa_search.search.history import find_search
from xa_search.search.runner import run_trials
from xa_search.search.study import open_study
from xa_search.tracking.address import tracking_uri
from xa_search.tracking.events import SearchEnded, SearchStarted
from xa_search.tracking.spool import Spool
from xa_search.tracking.store import connect, find_runs, open_experiment
from xa_search.tracking.tracker import Tracker
from xa_search.workflows.plan import make_plan
from xa_search.workflows.trials import CostMeter, TrackingCallback

METRICS = 40
WINDOW = 50


def only_reporting(job: TrialJob) -> Iterator[EpochReport]:
    """Train nothing: report scores that depend on the settings, with as many metrics as a real trial has."""
    epochs = job.settings.epochs
    quality = 1 / (1 + abs(math.log10(job.settings.learning_rate) + 4))
    for epoch in range(1, epochs + 1):
        score = quality * epoch / epochs
        metrics = {f"metric_{number}": score for number in range(METRICS)}
        yield EpochReport(
            epoch=epoch, score=score, best_score=score, best_epoch=epoch, final=epoch == epochs, metrics=metrics
        )


class Gauge(TrackingCallback):
    """A callback that also reads the driver's clocks and memory each time that a trial has ended."""

    def __init__(self, plan: Plan, tracker: Tracker) -> None:
        super().__init__(plan.directory, tracker, SearchDisplay(plan), CostMeter(trials_run_here=False))
        self._store = tracker
        self.figures: dict[str, list[float]] = {"wall": [], "processor": [], "memory": []}
        self.problems: list[str] = []

    def trial_ended(self, record: TrialRecord) -> None:
        """Tell, then read."""
        super().trial_ended(record)
        self.figures["wall"].append(time.perf_counter())
        self.figures["processor"].append(time.process_time())
        self.figures["memory"].append(anonymous_memory())
        if self._store.state.problem:
            self.problems.append(self._store.state.problem)


def plan_of(home: Path, trials: int, seed: int) -> Plan:
    return make_plan("mtop-mini", (f"trials={trials}",), home=home, seed=seed)


def run_search(plan: Plan) -> dict[str, Any]:
    """Run a search whose trials only report; return what it cost, trial by trial, and what MLflow has of it."""
    tracker = Tracker(Spool(plan.directory / "spool.jsonl"), tracking_uri(plan.home), plan.search_id)
    gauge = Gauge(plan, tracker)
    with only_driver(plan.directory):
        tracker.record(SearchStarted(search_id=plan.search_id))
        run_trials(plan, open_study(plan), lambda record: job_of(plan, record), gauge, only_reporting)
        tracker.record(SearchEnded(status="FINISHED"))
        state = tracker.sync()
    return {
        "search": plan.search_id,
        "figures": gauge.figures,
        "problems": [*gauge.problems, *([state.problem] if state.problem else [])],
        "left_in_spool": state.left,
    }


def job_of(plan: Plan, record: TrialRecord) -> TrialJob:
    encoder = EncoderFiles(
        directory=plan.home, size="none", origin="none", revision="", tokenizer_fingerprint="", embedding="mean"
    )
    return TrialJob(
        settings=record.settings,
        encoder=encoder,
        corpus=EncodedCorpus(directory=plan.home, source="en", targets=("de",), intents=("a",), slot_tags=("O",)),
        selection="label_free",
        directory=trial_directory(plan.directory, record.number),
        home=plan.home,
        threads=1,
    )


def in_process(home: Path, trials: int, seed: int) -> "subprocess.Popen[str]":
    """Start a search in a process of its own, which prints its figures."""
    command = [sys.executable, __file__, "one", "--home", str(home), "--trials", str(trials), "--seed", str(seed)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def result_of(process: "subprocess.Popen[str]") -> dict[str, Any]:
    printed, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"the search ended with exit code {process.returncode}")
    result: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return result


def summarise(result: dict[str, Any]) -> dict[str, Any]:
    """Return what the first and the last trials cost, and how much the driver's memory grew a trial."""
    figures = result.pop("figures")
    count = len(figures["wall"])
    window = min(WINDOW, count // 2)
    summary: dict[str, Any] = {**result, "trials": count, "window": window}
    for clock in ("wall", "processor"):
        gaps = [after - before for before, after in pairwise(figures[clock])]
        summary[clock] = {"first": fmean(gaps[:window]), "last": fmean(gaps[-window:])}
    memory = figures["memory"]
    levels = {"first": median(memory[:window]), "last": median(memory[-window:])}
    summary["memory_mb"] = {name: 1000 * level for name, level in levels.items()}
    summary["memory_kb_a_trial"] = 1e6 * (levels["last"] - levels["first"]) / (count - window)
    return summary


def stored(home: Path, search_id: str) -> dict[str, Any]:
    """Return what study and MLflow hold of a search: its trials by state, its runs by status."""
    client = connect(tracking_uri(home))
    search = find_search(home, search_id)
    runs = find_runs(client, open_experiment(client), search_id, search.study_id)
    trials = search.trials
    return {
        "trials": dict(Counter(trial.state for trial in trials)),
        "trials_with_one_run": sum(trial.number in runs for trial in trials),
        "runs": dict(Counter(run.status for run in runs.values())),
    }


def print_summary(summary: dict[str, Any]) -> None:
    print(f"\n{summary['search']}: {summary['trials']} trials, {summary['stored']}")
    print(f"| a trial in the driver | first {summary['window']} | last {summary['window']} |")
    print("|---|---|---|")
    for name, clock in (("seconds between two ends", "wall"), ("processor seconds", "processor")):
        print(f"| {name} | {summary[clock]['first']:.3f} | {summary[clock]['last']:.3f} |")
    memory = summary["memory_mb"]
    print(f"| own memory, MB (median) | {memory['first']:.1f} | {memory['last']:.1f} |")
    print(f"own memory grew by {summary['memory_kb_a_trial']:.1f} KB a trial")
    print(f"errors of the store: {summary['problems'] or 'none'}; left in the spool: {summary['left_in_spool']}")


def measure(trials: int, trials_at_once: int, out: Path) -> None:
    """Measure one search alone, then two at once in one home and one store."""
    result: dict[str, Any] = {"command": command_line(), "machine": describe_machine(torch.device("cpu"), 1)}
    for name, seeds, count in (("alone", (1,), trials), ("at once", (1, 2), trials_at_once)):
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            searches = [in_process(home, count, seed) for seed in seeds]
            found = [summarise(result_of(search)) for search in searches]
            result[name] = [one | {"stored": stored(home, one["search"])} for one in found]
        for summary in result[name]:
            print_summary(summary)
    write_json(out, result)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="?", choices=("all", "one"), default="all")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--trials-at-once", type=int, default=60)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.what == "one":
        print(json.dumps(run_search(plan_of(options.home.absolute(), options.trials, options.seed))))
    else:
        measure(options.trials, options.trials_at_once, options.out)


if __name__ == "__main__":
    main()
