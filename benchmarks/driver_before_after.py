"""What a trial costs the driver in two versions of the program. In: a checkout of the earlier one. Out: both of them.

    git worktree add --detach ../before 98ca308
    python benchmarks/driver_before_after.py --before ../before --out benchmarks/results/driver_before_after.json

Each version runs its own soak.py: a search of trials that only report, through Ray, with study, spool and MLflow's
SQLite file. One after the other, on one machine; what is finished is kept.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from machine import describe_machine
from results_file import command_line, write_json
from soak import summarise

HERE = Path(__file__).resolve().parents[1]
SECONDS_A_TRIAL = 0.35


def search(checkout: Path, trials: int) -> dict[str, Any]:
    """Run a search by the program in a checkout; return what its driver's trials cost."""
    program = ["import sys, runpy; sys.argv.pop(0); sys.path.insert(0, sys.argv[0].rpartition('/')[0])"]
    program += ["runpy.run_path(sys.argv[0], run_name='__main__')"]
    script = str(checkout / "benchmarks" / "soak.py")
    path = os.pathsep.join([str(checkout), str(checkout / "benchmarks")])
    with tempfile.TemporaryDirectory() as home:
        options = ["one", "--home", home, "--trials", str(trials)]
        command = [sys.executable, "-c", "; ".join(program), script, *options]
        printed = subprocess.run(
            command, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True, check=True, cwd=home
        ).stdout
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return summarise(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    minutes = 2 * options.trials * SECONDS_A_TRIAL / 60
    print(f"2 searches of {options.trials} trials: about {minutes:.0f} minutes on two cores", flush=True)
    result = json.loads(options.out.read_text(encoding="utf-8")) if options.out.exists() else {}
    for name, checkout in (("before", options.before.resolve()), ("after", HERE)):
        if result.get("trials") == options.trials and name in result:
            continue
        result |= {"command": command_line(), "trials": options.trials}
        result[name] = search(checkout, options.trials) | {"machine": describe_machine(torch.device("cpu"), 1)}
        write_json(options.out, result)
    print("| a trial in the driver | before | after |\n|---|---|---|")
    for clock in ("processor", "wall"):
        for part in ("first", "last"):
            cells = [f"{result[name][clock][part]:.3f}" for name in ("before", "after")]
            print(f"| {clock} seconds, {part} {result['after']['window']} | {' | '.join(cells)} |")
    cells = [f"{result[name]['memory_kb_a_trial']:.0f}" for name in ("before", "after")]
    print(f"| own memory, KB a trial | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
