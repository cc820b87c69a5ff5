"""Does the tracking server of cluster/tracking lose anything? In: the Python of its environment. Out: what it holds.

    uv venv .venv-server --python 3.11
    uv pip install --python .venv-server/bin/python -c constraints.txt 'mlflow[auth]==3.17.2' boto3 \\
        psycopg2-binary==2.9.13 Flask-WTF==1.3.0 WTForms==3.3.2 'moto[server]==5.2.5'
    python benchmarks/tracking_server.py --server .venv-server/bin/python --out benchmarks/results/tracking_server.json

PostgreSQL, an S3 store, the server with the options of compose.yaml; then `xa-search run`, whose 32 trials run at once
on 32 declared CPUs. Each trial writes down what it reports: that is compared with PostgreSQL's own tables.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bookkeeping import compare
from cluster_nodes import ENVIRONMENT
from results_file import command_line, spread, write_json
from tracking_services import Services, services

from xa_search.records import Plan
from xa_search.tracking.events import EpochLogged, SearchEnded, SearchStarted, TrialEnded, TrialStarted, flat_name
from xa_search.tracking.isolated_process import IsolatedProcess
from xa_search.tracking.spool import SPOOL, Spool, SpooledEvent
from xa_search.tracking.store import SEARCH_TAG, TRIAL_TAG
from xa_search.tracking.tracker import Tracker
from xa_search.workflows.plan import make_plan

PACED_TRIALS = Path(__file__).parent / "paced_trials"
SPACE = "mtop-mini"
CHANGES = (
    "params.model_size.choices=[tiny]",
    "params.learning_rate={low: 1.0e-5, high: 1.0e-2, log: true}",
    "published={align_weight: 1, learning_rate: 2.0e-5, model_size: tiny}",
    "baseline={learning_rate: 1.0e-3, model_size: tiny}",
    "fixed={epochs: 8, batch_size: 32, train_limit: 400, dev_limit: 40, test_limit: 40}",
    "targets=[de, th]",
    "scheduler={}",
)
MODEL = f"models:/xa-search-{SPACE}@champion"
TEXTS = ("wake me up at seven", "Wie wird das Wetter morgen in Berlin?", "ปลุกฉันตอนเจ็ดโมง")
TABLE = "┏┃┡│└"
OBJECT_STORE_BYTES = 200_000_000
TIMED_TRIALS, METRICS = 30, 40
POINTS = f"""
select coalesce(trial.value, ''), m.key, m.step, m.timestamp, m.value, m.is_nan from metrics m
join tags search on search.run_uuid = m.run_uuid and search.key = '{SEARCH_TAG}' and search.value = '%s'
left join tags trial on trial.run_uuid = m.run_uuid and trial.key = '{TRIAL_TAG}'
"""

Point = tuple[int | None, str, int, int, float]
"""A metric as MLflow stores it: trial (none for the search itself), name, step, time, value."""


def xa_search(uri: str, home: Path, *words: str, **more: str) -> "subprocess.CompletedProcess[str]":
    """Type a command of the program, with nothing of the S3 store in its environment."""
    environment = {**os.environ, **more, "MLFLOW_TRACKING_URI": uri, "XA_SEARCH_HOME": str(home)}
    command = [sys.executable, "-m", "xa_search", *words]
    return subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=home
    )


def search(found: Services, plan: Plan) -> list[str]:
    """Run the search on a Ray that declares a CPU for each trial; return what it said."""
    from ray.cluster_utils import Cluster

    cpus = plan.space.trials
    head = {"num_cpus": cpus, "num_gpus": 0, "include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    words = ["run", SPACE, "--address", cluster.address]
    for change in (*CHANGES, f"trials={cpus}"):
        words += ["--set", change]
    try:
        done = xa_search(found.uri, plan.home, *words)
    finally:
        cluster.shutdown()
    if done.returncode:
        raise SystemExit(done.stdout)
    return done.stdout.splitlines()


def points_told(events: Iterable[SpooledEvent]) -> Iterator[Point]:
    """Return each metric point that the spool tells of."""
    last_steps: dict[int, int] = {}
    for spooled in events:
        event = spooled.event
        if not isinstance(event, EpochLogged | TrialEnded | SearchEnded):
            continue
        number = None if isinstance(event, SearchEnded) else event.number
        step = event.step if isinstance(event, EpochLogged) else last_steps.get(-1 if number is None else number, 0)
        if isinstance(event, EpochLogged):
            last_steps[event.number] = step
        for name, value in event.metrics.items():
            yield number, flat_name(name), step, spooled.time, value


def points_stored(found: Services, search_id: str) -> list[Point]:
    """Return each metric point that PostgreSQL has of a search."""
    rows = found.query(POINTS % search_id)
    return [
        (int(trial) if trial else None, name, int(step), int(stamp), float("nan") if is_nan == "t" else float(value))
        for trial, name, step, stamp, value, is_nan in rows
    ]


def reported_by_trials(folder: Path) -> dict[tuple[int, str, int], float]:
    """Return each value that a trial itself reported, by trial, name and epoch."""
    found = {}
    for path in folder.glob("*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            report = json.loads(line)
            for name, value in report["metrics"].items():
                found[int(path.stem), flat_name(name), int(report["epoch"])] = float(value)
    return found


def count_points(found: Services, plan: Plan, reports: Path) -> dict[str, Any]:
    """Compare what trials reported and what the spool tells with what PostgreSQL holds."""
    events = Spool(plan.directory / SPOOL).read()
    told, stored = Counter(points_told(events)), Counter(points_stored(found, plan.search_id))
    first: dict[tuple[int | None, str, int], float] = {}
    for trial, name, step, _, value in sorted(stored, key=lambda point: point[3]):
        first.setdefault((trial, name, step), value)
    reported = reported_by_trials(reports)
    return {
        "trials": len({trial for trial, _, _ in reported}),
        "most_at_once": most_at_once(events),
        "reported_by_trials": len(reported),
        "of_them_lost": sum(key not in first for key in reported),
        "of_them_with_another_value": sum(key in first and first[key] != value for key, value in reported.items()),
        "told_by_the_driver": told.total(),
        "stored_in_postgresql": stored.total(),
        "told_and_not_stored": (told - stored).total(),
        "stored_and_not_told": (stored - told).total(),
        "differences_between_all_books": [f"{one.kind}: {one.text}" for one in compare(plan.directory, found.uri)],
    }


def most_at_once(events: Iterable[SpooledEvent]) -> int:
    """Return how many trials had started and not ended at the same time."""
    running, most = set(), 0
    for spooled in events:
        if isinstance(spooled.event, TrialStarted):
            running.add(spooled.event.number)
        elif isinstance(spooled.event, TrialEnded):
            running.discard(spooled.event.number)
        most = max(most, len(running))
    return most


def errors_in(log: Path) -> dict[str, Any]:
    """Return what a server's log says of answers and errors so far."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    answers = Counter(found[1] for line in lines if (found := re.search(r'HTTP/1\.1" (\d{3})', line)))
    return {
        "answers": dict(sorted(answers.items())),
        "refused": sorted({line.partition('"')[2] for line in lines if re.search(r'HTTP/1\.1" [45]', line)}),
        "errors": [line for line in lines if re.search(r"\b(ERROR|CRITICAL|Traceback)\b", line)],
    }


def load_fresh(found: Services) -> dict[str, Any]:
    """Load the registered model in a fresh process that knows the server alone, and let it answer."""
    with IsolatedProcess(found.uri) as fresh:
        start = time.perf_counter()
        answers = fresh.predict(MODEL, TEXTS, threads=1)
    return {
        "model": MODEL,
        "keys_of_the_store": [name for name in os.environ if name.startswith("AWS_")],
        "has_boto3": find_spec("boto3") is not None,
        "seconds": round(time.perf_counter() - start, 1),
        "answers": [answer["intent"] for answer in answers],
    }


def refusals(found: Services, home: Path) -> dict[str, Any]:
    """Type commands with a wrong password and with a name that is not allowed; return what each said."""
    other = found.uri.replace("127.0.0.1", "localhost")
    asked = {
        "run, wrong password": xa_search(found.uri, home, "run", SPACE, MLFLOW_TRACKING_PASSWORD="wrong"),
        "models, wrong password": xa_search(found.uri, home, "models", MLFLOW_TRACKING_PASSWORD="wrong"),
        "run, host not allowed": xa_search(other, home, "run", SPACE),
        "models, host not allowed": xa_search(other, home, "models"),
    }
    return {
        name: {"exit_code": done.returncode, "said": [line for line in done.stdout.splitlines() if line[:1] != "["]}
        for name, done in asked.items()
    }


def time_writes(found: Services, plan: Plan, folder: Path) -> dict[str, Any]:
    """Tell the server of more trials, one event after the other; return the milliseconds that the driver waits."""
    tracker = Tracker(Spool(folder / "timed.jsonl"), found.uri, "timed")
    tracker.record(SearchStarted(search_id="timed"))
    params = {name: str(value) for name, value in plan.trial_settings({}).model_dump().items()}
    metrics = {f"metric_{number}": 1 / (1 + number) for number in range(METRICS)}
    waited: dict[str, list[float]] = {}
    for number in range(TIMED_TRIALS):
        epochs = [EpochLogged(number=number, step=step, metrics=metrics) for step in range(1, 9)]
        end = TrialEnded(number=number, status="FINISHED", metrics=metrics, tags={"state": "COMPLETE"})
        for event in (TrialStarted(number=number, params=params), *epochs, end):
            start = time.perf_counter()
            tracker.record(event)
            waited.setdefault(type(event).__name__, []).append(1000 * (time.perf_counter() - start))
    return {**{name: spread(values) for name, values in waited.items()}, "left_in_spool": tracker.state.left}


def measure(folder: Path, server: Path, trials: int) -> dict[str, Any]:
    """Run everything in `folder`; return what was found."""
    home, reports = folder / "home", folder / "reports"
    home.mkdir()
    reports.mkdir()
    os.environ["PACED_FOLDER"] = str(reports)
    with services(folder, server) as found:
        os.environ |= {"MLFLOW_TRACKING_USERNAME": found.user, "MLFLOW_TRACKING_PASSWORD": found.password}
        plan = make_plan(SPACE, (*CHANGES, f"trials={trials}"), home=home)
        start = time.perf_counter()
        said = search(found, plan)
        result: dict[str, Any] = {"seconds": round(time.perf_counter() - start, 1)}
        result["said"] = [line for line in said if "registered" in line or "MLflow" in line]
        result["points"] = count_points(found, plan, reports)
        result["fresh_process"] = load_fresh(found)
        sizes = found.object_bytes()
        result["store"] = {"objects": len(sizes), "megabytes": round(sum(sizes) / 1e6, 1)}
        result["store"]["requests_past_the_server"] = found.direct_requests()
        result["log"] = errors_in(found.log)
        result["refusals"] = refusals(found, home)
        result["milliseconds_an_event"] = time_writes(found, plan, folder)
        return result


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", type=Path, required=True, help="the Python of the server's environment")
    parser.add_argument("--trials", type=int, default=32)
    parser.add_argument("--epoch-seconds", type=float, default=25.0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    for name in [name for name in os.environ if name.startswith(("AWS_", "MLFLOW_"))]:
        del os.environ[name]
    path = os.pathsep.join([str(PACED_TRIALS), os.environ.get("PYTHONPATH", "")])
    os.environ |= {
        **ENVIRONMENT,
        "PYTHONPATH": path,
        "PACED_SECONDS": str(options.epoch_seconds),
        "HF_HUB_OFFLINE": "1",
    }
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another user than root
        result = measure(Path(folder), options.server.absolute(), options.trials)
        text = json.dumps(result, ensure_ascii=False).replace(folder, "FOLDER")
    write_json(options.out, {"command": command_line(), **json.loads(text)})
    print(text)


if __name__ == "__main__":
    main()
