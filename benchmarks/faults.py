"""Does a search survive whatever dies? In: a number of kills and a seed. Out: what was lost, run twice or left running.

    python benchmarks/faults.py --kills 30 --seed 1 --out benchmarks/results/faults.json

Searches of small trials run through Ray on this machine and are tracked by a real MLflow server. Processes chosen at
random are killed at random moments: the driver, a worker, one of Ray's daemons, the MLflow server. The command is typed
again until each search has finished; then its study, its spool, MLflow and its folder are compared with one another.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

import torch
from bookkeeping import KINDS
from chaos_test import ChaosTest, Outcome
from driver_run import PHASES
from machine import describe_machine
from process_killer import TARGETS
from results_file import command_line, write_json

TRIALS = 20


def counts_of(outcome: Outcome) -> dict[str, int]:
    """Return how much was lost, run twice, left running or hung: all of it has to be none."""
    kinds = Counter(difference.kind for difference in outcome.differences)
    return {kind: kinds[kind] for kind in KINDS} | {"hung": sum(run.hung for run in outcome.runs)}


def result_of(outcome: Outcome) -> dict[str, Any]:
    """Return the outcome as it is written: the counts, the kills by process and phase, each run."""
    hits = [hit for run in outcome.runs for hit in run.hits]
    kills = Counter((hit.process, hit.phase) for hit in hits)
    searches = {run.search_id for run in outcome.runs}
    return {
        "counts": counts_of(outcome),
        "differences": [f"{difference.kind}: {difference.text}" for difference in outcome.differences],
        "kills": {name: {phase: kills[name, phase] for phase in PHASES} for name in sorted({h.process for h in hits})},
        "searches": len(searches),
        "resumes": len(outcome.runs) - len(searches),
        "exit codes": dict(sorted(Counter(str(run.exit_code) for run in outcome.runs).items())),
        "runs": [asdict(run) for run in outcome.runs],
    }


def print_result(result: dict[str, Any]) -> None:
    print(f"{'killed':16}" + "".join(f"{phase:>12}" for phase in PHASES))
    for name, phases in result["kills"].items():
        print(f"{name:16}" + "".join(f"{phases[phase]:12}" for phase in PHASES))
    codes = ", ".join(f"{count} x {code}" for code, count in result["exit codes"].items())
    print(f"{result['searches']} searches, {result['resumes']} resumes; exit codes: {codes}")
    print(", ".join(f"{kind} {count}" for kind, count in result["counts"].items()))
    for difference in result["differences"]:
        print(difference)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--trials", type=int, default=TRIALS, help="trials a search")
    parser.add_argument("--home", type=Path, help="where the searches lie; a folder that is removed, unless given")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    targets = Random(options.seed).choices(TARGETS, k=options.kills)
    machine = describe_machine(torch.device("cpu"), 1)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        home = options.home or Path(folder)
        outcome = ChaosTest(
            home.absolute(), targets, options.seed, options.trials, lambda text: print(text, flush=True)
        ).run()
    result = result_of(outcome)
    print_result(result)
    if options.out is not None:
        minutes = round((time.monotonic() - begin) / 60, 1)
        write_json(options.out, {"command": command_line(), "machine": machine, "minutes": minutes, **result})
    sys.exit(1 if any(result["counts"].values()) else 0)


if __name__ == "__main__":
    main()
