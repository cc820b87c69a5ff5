"""What the program does, seen from outside. In: a Python that has xa-search. Out: a JSON file, or how two differ.

    python benchmarks/behaviour.py record --python .venv/bin/python --out before.json
    python benchmarks/behaviour.py compare before.json after.json

Recorded: the help of every command; what the commands of behaviour_cases.txt print and end with, on an empty home and
on that of a small finished search; `cluster check` of good and broken files; that search's files and what MLflow's
store has of it; the metrics of one trial of a fixed seed and the digest of its weights. The package is not imported.

Replaced, since two runs of one program differ in it: paths, times, sizes, dates, MLflow's ids, process ids, ports,
lines of code (behaviour_text.py), values of metrics of time and memory, whose names and steps are kept
(behaviour_home.py), and all of doctor's answer but its form. Not recorded: figures. `rehearse`, `ui`, `data translate`
and Ray, which the tests run, are asked only what they refuse. Weights depend on the processor: record both files on one
machine.
"""

import argparse
import json
import sys
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from behaviour_commands import HELP, Case, Program, changes, commands_in, read_cases
from behaviour_home import home_record, sha256_of, store_record
from behaviour_inputs import clusters, write_inputs
from behaviour_text import differences, shape
from results_file import write_json

SPACE = "mtop-mini"
CHANGES = {
    "params.model_size.choices": "[tiny]",
    "params.learning_rate": "{low: 1.0e-3, high: 10, log: true}",
    "params.align_weight": "{low: 0.1, high: 1, log: true}",
    "baseline": "{learning_rate: 1.0e-3, model_size: tiny}",
    "published": "{align_weight: 0.1, learning_rate: 5.0e-3, model_size: tiny}",
    "fixed": "{epochs: 2, batch_size: 8, train_limit: 300, dev_limit: 40, test_limit: 40, precision: fp32, "
    "head_learning_rate_factor: 3}",
    "targets": "[de, th]",
    "unseen_languages": "[hi]",
    "keep": "1",
    "cpus_per_trial": "1",
    "trials": "4",
}
SEARCH = ("run", SPACE, *changes(CHANGES), "--local", "--deterministic", "--seed", "2")
STOPPED = ("run", SPACE, *changes(CHANGES), "--local", "--deterministic", "--seed", "3")
TRIAL = ("train", SPACE, *changes(CHANGES), "--test", "--params")
TRIAL_PARAMS = '{"align_weight": 0.5, "learning_rate": 0.005, "model_size": "tiny"}'


def record(python: Path, folder: Path, at_once: int) -> dict[str, Any]:
    """Run everything in an empty folder; return what was seen."""
    inputs, home = folder / "inputs", folder / "finished"
    inputs.mkdir()
    write_inputs(inputs)
    program = Program(python, folder)
    sections = read_cases()
    seen: dict[str, Any] = {}
    with ThreadPoolExecutor(at_once) as pool:
        searched, alone = pool.submit(program.run, SEARCH, home), pool.submit(one_trial, program)
        waiting: dict[str, dict[str, Future[Any]]] = {
            name: {case.line: pool.submit(program.run_in_empty_home, case.words(inputs)) for case in cases}
            for name, cases in sections.items()
            if name.startswith("empty")
        }
        checked = [(path, options) for path in clusters(inputs) for options in options_of_check(path)]
        waiting["cluster check"] = {
            " ".join((path.name, *options)): pool.submit(program.run, ("cluster", "check", str(path), *options), home)
            for path, options in checked
        }
        seen["help"] = help_of(program, ())
        seen["the search"] = searched.result()
        seen["its home"] = home_record(home, program.places)
        seen["its MLflow store"] = store_record(home / "mlflow.db", program.places)
        search_id = next((home / "searches").iterdir()).name
        asked = {name: cases for name, cases in sections.items() if name.startswith("finished:")}
        for name, cases in asked.items():
            waiting[name] = {case.line: pool.submit(program.run, case.words(inputs, search_id), home) for case in cases}
        waiting["doctor"] = {"doctor --json": pool.submit(program.answer, ("doctor", "--json"), home)}
        seen |= {name: {line: one.result() for line, one in lines.items()} for name, lines in waiting.items()}
    seen["doctor"] = shape(json.loads(seen["doctor"]["doctor --json"]))
    seen["one trial"] = alone.result()
    for name, cases in sections.items():
        if name.startswith("finished, in this order"):
            seen[name] = in_order(program, cases, inputs, home, search_id)
    return seen


def options_of_check(path: Path) -> tuple[tuple[str, ...], ...]:
    """Return with which options a cluster file is checked: a broken one as JSON, which holds all that is printed."""
    return (("--json",),) if path.name.startswith("broken_") else ((), ("--json",))


def help_of(program: Program, words: tuple[str, ...]) -> dict[str, Any]:
    """Return the help of a command and of all commands below it."""
    said = program.run((*words, HELP), program.empty_home())
    found = {" ".join((*words, HELP)): said}
    for command in commands_in(said["printed"]):
        found |= help_of(program, (*words, command))
    return found


def one_trial(program: Program) -> dict[str, Any]:
    """Train one trial of a fixed seed alone; return what it printed, and the digests of its files."""
    home = program.empty_home()
    said = program.run((*TRIAL, TRIAL_PARAMS), home)
    weights = sorted(home.glob("searches/*/trials/*/*.safetensors"))
    return {**said, "weights": {str(path.relative_to(home)): sha256_of(path) for path in weights}}


def in_order(program: Program, cases: list[Case], inputs: Path, home: Path, search_id: str) -> dict[str, Any]:
    """Run commands that change a home one after another; return what each printed."""
    seen: dict[str, Any] = {}
    for number, case in enumerate(cases, 1):
        words = case.words(inputs, search_id)
        words = (*STOPPED, *words[1:]) if words[0] == "STOPPED" else words
        seen[f"{number}. {case.line}"] = program.run(words, home)
    seen["the home at the end"] = home_record(home, program.places)["files"]
    seen["MLflow at the end"] = store_record(home / "mlflow.db", program.places)
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description="Record what the program does, or compare two records.")
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record")
    recording.add_argument("--python", type=Path, default=Path(sys.executable), help="that has xa-search installed")
    recording.add_argument("--out", type=Path, required=True)
    recording.add_argument("--at-once", type=int, default=2, help="so many commands side by side")
    comparing = commands.add_parser("compare")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    options = parser.parse_args()
    if options.command == "record":
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="behaviour-") as folder:
            seen = record(options.python.absolute(), Path(folder).resolve(), options.at_once)
            write_json(options.out, seen)
        print(f"recorded in {time.monotonic() - started:.0f} s: {options.out}")
        return
    before, after = (json.loads(path.read_text(encoding="utf-8")) for path in (options.before, options.after))
    found = list(differences(before, after))
    print("\n".join([*found, f"{len(found)} differences"]))
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
