"""Does a search survive whatever happens? In: a number of kills, a seed. Out: what was lost, run twice or left running.

    pip install libfaketime==3.0.1                       # for the clock
    python benchmarks/faults.py --kills 100 --seed 2 --out benchmarks/results/faults.json

Searches of small trials run through Ray on this machine and are tracked by a real MLflow server. Processes chosen at
random are killed at random moments: the driver, a worker, one of Ray's daemons, the MLflow server. So are accidents
(accidents.py): the disk is full, a file is torn, the home is moved, the clock goes back. The command is typed again
until each search has finished; then its study, its spool, MLflow and its folder are compared with one another.

What a search came to is written down when it has finished: the same command again goes on with the next one.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

import torch
from accidents import ACCIDENTS, SmallDisk, possible, small_disk
from bookkeeping import KINDS
from chaos_test import ChaosTest, Outcome
from driver_run import PHASES
from machine import describe_machine
from mlflow_server import MlflowServer
from process_killer import TARGETS, Target
from results_file import command_line, write_json

TRIALS = 8
SECONDS_A_KILL = 40.0
"""On two cores that others use as well; 27 s where nobody does."""


def counts_of(outcome: Outcome) -> dict[str, int]:
    """Return how much was lost, run twice, left running or hung: all of it has to be none."""
    kinds = Counter(difference.kind for difference in outcome.differences)
    return {kind: kinds[kind] for kind in KINDS} | {"hung": sum(run.hung for run in outcome.runs)}


def case_of(outcome: Outcome, seconds: float) -> dict[str, Any]:
    """Return what a search came to, as it is written down."""
    return {
        "search": outcome.runs[0].search_id,
        "seconds": round(seconds),
        "counts": counts_of(outcome),
        "differences": [f"{difference.kind}: {difference.text}" for difference in outcome.differences],
        "accidents": outcome.accidents,
        "runs": [asdict(run) for run in outcome.runs],
    }


def summary_of(cases: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what all searches came to: the counts, the kills by process and phase, the ends."""
    runs = [run for case in cases for run in case["runs"]]
    hits = [hit for run in runs for hit in run["hits"]]
    kills = Counter((hit["process"], hit["phase"]) for hit in hits)
    return {
        "kills": len(hits),
        "counts": {kind: sum(case["counts"][kind] for case in cases) for kind in (*KINDS, "hung")},
        "by process": {
            name: {phase: kills[name, phase] for phase in PHASES} for name in sorted({hit["process"] for hit in hits})
        },
        "searches": len(cases),
        "registered": sum(case["runs"][-1]["exit_code"] == 0 for case in cases),
        "resumes": len(runs) - len(cases),
        "torn files told": sum(len(run["told"]) for run in runs),
        "exit codes": dict(sorted(Counter(str(run["exit_code"]) for run in runs).items())),
        "minutes": round(sum(case["seconds"] for case in cases) / 60, 1),
    }


def print_summary(summary: Mapping[str, Any]) -> None:
    print(f"{'hit':20}" + "".join(f"{phase:>12}" for phase in PHASES))
    for name, phases in summary["by process"].items():
        print(f"{name:20}" + "".join(f"{phases[phase]:12}" for phase in PHASES))
    codes = ", ".join(f"{count} x {code}" for code, count in summary["exit codes"].items())
    print(f"{summary['kills']} hits, {summary['searches']} searches, {summary['registered']} with a registered version")
    print(f"{summary['resumes']} resumes; exit codes: {codes}")
    print(", ".join(f"{kind} {count}" for kind, count in summary["counts"].items()))


def targets_of(kills: int, seed: int, disk: SmallDisk) -> tuple[list[Target], list[str]]:
    """Draw what is hit, one after the other, of what can be; return also what cannot."""
    impossible = [one for one in ACCIDENTS if not possible(one, disk)]
    return Random(seed).choices([one for one in TARGETS if one not in impossible], k=kills), list(impossible)


def known_cases(out: Path, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what the same command wrote down before."""
    if not out.exists():
        return []
    known = json.loads(out.read_text(encoding="utf-8"))
    return list(known["cases"]) if known.get("asked") == asked else []


def search_until_done(options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Run searches until all were hit or the time is over; write each down."""
    asked = {"kills": options.kills, "seed": options.seed, "trials": options.trials}
    machine, begin = describe_machine(torch.device("cpu"), 1), time.monotonic()
    cases = known_cases(options.out, asked)
    server = MlflowServer(folder / "server")
    with small_disk(folder / "disk") as disk:
        targets, impossible = targets_of(options.kills, options.seed, disk)
        server.start()
        try:
            while targets[(hit := sum(len(run["hits"]) for case in cases for run in case["runs"])) :]:
                if time.monotonic() - begin > 60 * options.minutes:
                    break
                number, start = len(cases) + 1, time.monotonic()
                test = ChaosTest(disk, server, targets[hit:], f"{options.seed} {number}", options.trials, say)
                cases.append(case_of(test.search(number), time.monotonic() - start))
                print_summary(summary := summary_of(cases))
                write_json(
                    options.out,
                    {
                        "command": command_line(),
                        "asked": asked,
                        "machine": machine,
                        "cannot happen here": impossible,
                        "summary": summary,
                        "cases": cases,
                    },
                )
        finally:
            server.kill()
    return cases


def say(text: str) -> None:
    print(text, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--trials", type=int, default=TRIALS, help="trials a search")
    parser.add_argument("--minutes", type=float, default=1e6, help="begin no search after so many")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    minutes = min(options.minutes, options.kills * SECONDS_A_KILL / 60)
    say(f"{options.kills} kills, at about {SECONDS_A_KILL:.0f} s each: about {minutes:.0f} minutes on two cores")
    with tempfile.TemporaryDirectory() as folder:
        cases = search_until_done(options, Path(folder))
    sys.exit(1 if any(count for case in cases for count in case["counts"].values()) else 0)


if __name__ == "__main__":
    main()
