"""Do searches that run at once keep apart? In: how many. Out: what each has in one MLflow with PostgreSQL.

    pip install psycopg2-binary==2.9.13
    python benchmarks/eight_searches.py --out benchmarks/results/eight_searches.json

One home, one space with as many seeds, one MLflow server on PostgreSQL (the system's `initdb`, `postgres` and `psql`).
Each search is a command of its own, `xa-search run … --local`, of two trials of the tiny encoder; all are typed at
once. Then the books of each are compared with one another, as in faults.py, and the versions with the searches.
"""

import argparse
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from bookkeeping import compare
from machine import describe_machine
from ports import free_port
from results_file import command_line, write_json
from tracking_services import postgresql, server

from xa_search.records import Plan
from xa_search.search.history import read_search
from xa_search.tracking.store import connect, find_twins, open_experiment
from xa_search.workflows.plan import make_plan

SPACE = "mtop-mini"
CHANGES = (
    "params.model_size.choices=[tiny]",
    "params.learning_rate={low: 1.0e-5, high: 1.0e-2, log: true}",
    "published={align_weight: 1, learning_rate: 2.0e-5, model_size: tiny}",
    "baseline={learning_rate: 1.0e-3, model_size: tiny}",
    "fixed={epochs: 2, batch_size: 32, train_limit: 200, dev_limit: 40, test_limit: 40, precision: fp32}",
    "targets=[de]",
    "trials=2",
)
SECONDS_A_SEARCH = 60
DEADLINE_SECONDS = 1800


def command_of(plan: Plan) -> list[str]:
    """Return the command that runs a plan."""
    words = [word for change in CHANGES for word in ("--set", change)]
    command = [sys.executable, "-P", "-c", "from xa_search.cli.main import main; main()", "run", SPACE, "--local"]
    return [*command, "--home", str(plan.home), "--seed", str(plan.seed), *words]


def run_at_once(plans: list[Plan], uri: str, folder: Path) -> list[tuple[int, str]]:
    """Type all commands at once; return the exit code and the last line of each."""
    environment = {**os.environ, "MLFLOW_TRACKING_URI": uri, "HF_HUB_OFFLINE": "1"}
    running = []
    for plan in plans:
        log = folder / f"{plan.search_id}.txt"
        with log.open("w") as said:
            process = subprocess.Popen(
                command_of(plan), env=environment, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
            )
        running.append((process, log))
    codes = [(process.wait(DEADLINE_SECONDS), log) for process, log in running]
    return [(code, (log.read_text().strip().splitlines() or [""])[-1]) for code, log in codes]


def found_of(plan: Plan, uri: str, end: tuple[int, str]) -> dict[str, Any]:
    """Return what MLflow has of a search: its runs by trial, its versions, and where the books differ."""
    search, client = read_search(plan.directory), connect(uri)
    assert search is not None
    twins = find_twins(client, open_experiment(client), search.search_id, search.study_id)
    run_ids = {run.run_id for found in twins.values() for run in found}
    versions = client.search_model_versions(f"name='xa-search-{SPACE}'")
    return {
        "search": search.search_id,
        "exit code": end[0],
        "last line": end[1].replace(str(plan.home), "HOME"),
        "runs": {
            "search" if number is None else f"trial {number}": [run.status for run in found if not run.deleted]
            for number, found in sorted(twins.items(), key=lambda item: -1 if item[0] is None else item[0])
        },
        "run ids": sorted(run_ids),
        "versions": sorted(int(version.version) for version in versions if version.run_id in run_ids),
        "differences": [f"{one.kind}: {one.text}" for one in compare(plan.directory, uri)],
    }


def faults_of(found: list[dict[str, Any]]) -> list[str]:
    """Return what is not as it should be: each search has its own runs and one version."""
    faults = [f"{one['search']}: {text}" for one in found for text in one["differences"]]
    faults += [f"{one['search']} ended with {one['exit code']}" for one in found if one["exit code"]]
    faults += [f"{one['search']} has the versions {one['versions']}" for one in found if len(one["versions"]) != 1]
    for one in found:
        faults += [
            f"{one['search']}: {what} is there {len(of)} times" for what, of in one["runs"].items() if len(of) != 1
        ]
    shared = [run for run, count in Counter(run for one in found for run in one["run ids"]).items() if count > 1]
    return faults + [f"run {run} is of several searches" for run in shared]


def measure(count: int, folder: Path) -> list[dict[str, Any]]:
    """Start PostgreSQL and the server, run the searches, and return what each came to."""
    password, database_port, port = secrets.token_hex(16), free_port(), free_port()
    plans = [make_plan(SPACE, CHANGES, home=folder / "home", seed=seed) for seed in range(1, count + 1)]
    folder.chmod(0o755)  # PostgreSQL runs as another user
    with postgresql(folder / "database", database_port, password):
        store = f"postgresql://mlflow:{password}@127.0.0.1:{database_port}/mlflow"
        command = [sys.executable, "-m", "mlflow", "server", "--workers", "2", "--port", str(port)]
        command += ["--artifacts-destination", str(folder / "artifacts")]
        environment = {"MLFLOW_BACKEND_STORE_URI": store, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with server(command, environment, port, folder / "server.log"):
            uri = f"http://127.0.0.1:{port}"
            ends = run_at_once(plans, uri, folder)
            return [found_of(plan, uri, end) for plan, end in zip(plans, ends, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", type=int, default=8)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    minutes = options.searches * SECONDS_A_SEARCH / 60
    print(f"{options.searches} searches at once: about {minutes:.0f} minutes of one core", flush=True)
    machine, begin = describe_machine(torch.device("cpu"), 1), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(options.searches, Path(folder))
    faults = faults_of(found)
    for one in found:
        print(one["search"], f"exit {one['exit code']}", one["runs"], f"version {one['versions']}", one["last line"])
    print(*faults or ["each has its own runs and one version; nothing lost, doubled, left running"], sep="\n")
    seconds = round(time.monotonic() - begin)
    result = {"command": command_line(), "machine": machine, "seconds": seconds, "faults": faults, "searches": found}
    write_json(options.out, result)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
