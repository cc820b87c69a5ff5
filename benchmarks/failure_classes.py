"""How does each kind of failure end? In: nothing. Out: a table of what study, MLflow and the command line say of it.

    python benchmarks/failure_classes.py --out benchmarks/results/failure_classes.json

Each kind is forced for real, with the tiny encoder on the bundled corpus: by settings, by a damaged file, by a signal,
or by `broken_trials/`, which replaces the trainer of one trial from outside. Trial 1 is the one that is broken.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from machine import describe_machine
from results_file import command_line, write_json

from xa_search.search.history import searches_in
from xa_search.search.study import STUDY_ID, read_notes, storage_of
from xa_search.tracking.address import tracking_uri
from xa_search.tracking.store import connect, find_runs, open_experiment

BROKEN_TRIALS = Path(__file__).parent / "broken_trials"
BROKEN = 1
TINY = (
    "params.align_weight={choices: [0.5, 1, 2, 4, 8, 1.0e+30]}",
    "params.learning_rate={choices: [0.001, 0.002, 0.003, 0.004, 10]}",
    "params.model_size={choices: [tiny]}",
    "published={align_weight: 1, learning_rate: 0.001}",
    "baseline={learning_rate: 0.001}",
    "fixed={epochs: 2, batch_size: 16, train_limit: 300, dev_limit: 40, test_limit: 40}",
    "scheduler=null",
    "targets=[de]",
    "trials=3",
)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of failure: `how` it is forced, with these changes of the space, ways to break trials, and a signal."""

    name: str
    how: str
    changes: tuple[str, ...] = ()
    broken: str = ""
    options: tuple[str, ...] = ("--local",)
    ends_by: signal.Signals | None = None
    damage: Callable[[Path], tuple[str, ...]] | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What is left of a broken trial, and of its search."""

    name: str
    how: str
    optuna: str
    mlflow: str
    tags: dict[str, str]
    exit_code: int
    says: str


def with_a_broken_row(home: Path) -> tuple[str, ...]:
    """Put a row that is none into the training file of the corpus's copy, and return the option that names the copy."""
    check = [sys.executable, "-c", PROGRAM, "data", "check", "mtop-mini", "--home", str(home)]
    subprocess.run(check, check=True, stdout=subprocess.DEVNULL)
    copy = Path(shutil.copytree(home / "corpora" / "mtop-mini", home / "raw"))
    with (copy / "en" / "train.txt").open("a", encoding="utf-8") as file:
        file.write("no number\tIN:NOTHING\tno spans\n")
    return ("--data", str(copy))


PUBLISHED = "published={{align_weight: {}, learning_rate: {}}}"
PROGRAM = "from xa_search.cli.main import main; main()"
KINDS = (
    Kind(name="non_finite", how="align_weight of 1e30", changes=(PUBLISHED.format("1.0e+30", 0.001),)),
    Kind(name="collapsed", how="learning_rate of 10", changes=(PUBLISHED.format(1, 10),)),
    Kind(name="oom", how="every step runs out of memory", broken="oom"),
    Kind(name="code", how="the trainer raises", broken="code"),
    Kind(name="data", how="the encoded training table is cut in half", broken="data"),
    Kind(name="none: a broken row", how="a row of the raw corpus has no fields", damage=with_a_broken_row),
    Kind(name="lost_worker", how="SIGKILL of its worker, each time", broken="killed", options=()),
    Kind(name="none: a worker lost once", how="SIGKILL of its worker, once", broken="killed_once", options=()),
    Kind(name="interrupted", how="SIGTERM to the driver", changes=("fixed.epochs=99",), ends_by=signal.SIGTERM),
)


def start(home: Path, changes: Iterable[str], *options: str, broken: str = "") -> "subprocess.Popen[str]":
    """Start the real command in a process of its own; `broken` is such as `1=oom,2=code`."""
    settings = [part for change in changes for part in ("--set", change)]
    command = [sys.executable, "-c", PROGRAM, "run", "mtop-mini", "--home", str(home), *options, *settings]
    environment = dict(os.environ)
    if broken:
        places = (str(BROKEN_TRIALS), os.environ.get("PYTHONPATH", ""))
        environment |= {"BROKEN_TRIALS": broken, "PYTHONPATH": os.pathsep.join(filter(None, places))}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def outcome_of(home: Path, search_id: str, number: int) -> dict[str, Any]:
    """Return what the study and MLflow hold of a trial."""
    storage = storage_of(home / "searches" / search_id)
    trial = storage.get_all_trials(storage.get_study_id_from_name(search_id))[number]
    client = connect(tracking_uri(home))
    study_id = read_notes(home / "searches" / search_id)[STUDY_ID]
    run = find_runs(client, open_experiment(client), search_id, study_id)[number]
    shown = ("state", "failure_class", "failure_text", "failure_frame", "interruption")
    return {
        "optuna": trial.state.name,
        "mlflow": run.status,
        "tags": {name: run.tags[name] for name in shown if name in run.tags},
    }


def force(kind: Kind, home: Path) -> Outcome:
    """Run a search whose trial 1 fails in this way, to its end."""
    options = (*kind.options, *(kind.damage(home) if kind.damage is not None else ()))
    broken = f"{BROKEN}={kind.broken}" if kind.broken else ""
    process = start(home, (*TINY, *kind.changes), *options, broken=broken)
    lines = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line.rstrip())
        if kind.ends_by is not None and f"trial {BROKEN} epoch 1/" in line:
            process.send_signal(kind.ends_by)
    process.wait()
    said = [line for line in lines if line.startswith("error: ") or _tells_the_end(line)]
    (search,) = searches_in(home)
    return Outcome(
        name=kind.name,
        how=kind.how,
        exit_code=process.returncode,
        says=" / ".join(line.partition("] ")[2] if line.startswith("[") else line for line in said),
        **outcome_of(home, search.search_id, BROKEN),
    )


def _tells_the_end(line: str) -> bool:
    return any(f"trial {BROKEN} {state}" in line for state in ("COMPLETE", "FAIL", "PAUSED"))


def as_markdown(outcomes: list[Outcome]) -> str:
    """Return a row an outcome."""
    titles = ["failure", "forced by", "Optuna", "MLflow", "tags of the run", "exit", "the command says"]
    rows = [titles, ["---"] * len(titles)]
    for one in outcomes:
        tags = ", ".join(f"{name}: {value}" for name, value in one.tags.items() if name != "failure_text")
        rows.append([one.name, one.how, one.optuna, one.mlflow, tags, str(one.exit_code), one.says])
    return "".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |\n" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kinds", nargs="*", default=[kind.name for kind in KINDS])
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    outcomes = []
    for kind in KINDS:
        if kind.name in options.kinds:
            with tempfile.TemporaryDirectory() as home:
                outcomes.append(force(kind, Path(home)))
                print(as_markdown(outcomes[-1:]).splitlines()[-1], flush=True)
    machine = describe_machine(torch.device("cpu"), threads=1)
    write_json(
        options.out,
        {"command": command_line(), "machine": machine, "outcomes": [asdict(outcome) for outcome in outcomes]},
    )
    where = f"{machine['processor']}, {machine['cores']} cores, torch {machine['torch']}"
    text = f"# How each kind of failure ends\n\n`{command_line()}`, on {where}.\n\n{as_markdown(outcomes)}"
    options.out.with_suffix(".md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
