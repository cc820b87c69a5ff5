"""Does a search outlive the laptop that submitted it? In: nothing. Out: what each client said, and what is left.

    pip install -c constraints.txt -e '.[cluster]'
    python benchmarks/job_path.py --out benchmarks/results/job_path.json

A real head of one machine, with token authentication, which has other code than the client: a search that joins it is
refused; a job brings its code along. The first client is killed, the second gets Ctrl-C, the third sees the end.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from many_nodes import MANY_NODES
from ports import free_port, wait_for
from results_file import command_line, write_json

from xa_search.search.history import searches_in
from xa_search.search.node_check import PACKAGE

ROOT = PACKAGE.parent
TINY = (
    "params.model_size.choices=[tiny]",
    "params.learning_rate={low: 1.0e-5, high: 1.0e-2, log: true}",
    "published={align_weight: 1, learning_rate: 2.0e-5, model_size: tiny}",
    "baseline={learning_rate: 1.0e-3, model_size: tiny}",
    "fixed={epochs: 8, batch_size: 32, train_limit: 400, dev_limit: 40, test_limit: 40}",
    "targets=[de, th]",
    "scheduler={}",
)
TRIALS = 8
TABLE = "┏┃┡│└"


def environment_of(folder: Path, **more: str) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(folder / "token"), "CUDA_VISIBLE_DEVICES": ""}
    return {**os.environ, **MANY_NODES, **token, "PATH": path, **more}


@contextmanager
def head(folder: Path, port: int, dashboard: int) -> Iterator[None]:
    """Start a head whose installed code is older than the client's, by one comment."""
    shutil.copytree(PACKAGE, folder / "installed" / "xa_search", ignore=shutil.ignore_patterns("__pycache__"))
    with (folder / "installed" / "xa_search" / "errors.py").open("a") as older:
        older.write("# an older release\n")
    extra = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and Path(path) != ROOT]
    environment = environment_of(
        folder,
        PYTHONPATH=os.pathsep.join([str(folder / "installed"), *extra]),
        XA_SEARCH_HOME=str(folder / "home"),
    )
    ports = [f"--port={port}", f"--dashboard-port={dashboard}", "--dashboard-host=127.0.0.1"]
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--num-cpus=2", *ports]
    with (folder / "head.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            wait_for("127.0.0.1", dashboard, process, folder / "head.log")
            yield
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=20)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def client(folder: Path, dashboard: int, *more: str) -> "subprocess.Popen[str]":
    """Type the command of a search."""
    command = [sys.executable, "-m", "xa_search", "run", "mtop-mini", "--trials", str(TRIALS)]
    for change in TINY:
        command += ["--set", change]
    address = {"RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{dashboard}"}
    return subprocess.Popen(
        [*command, *more],
        cwd=folder,  # Ray lets workers import from the driver's folder, which on other machines is another
        env=environment_of(folder, **address),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def until(process: "subprocess.Popen[str]", word: str) -> list[str]:
    """Read what a client says up to a line with this word."""
    said: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line.rstrip())
        if word in line:
            return said
    raise SystemExit("\n".join([*said, f"the client never said {word!r}"]))


def ended(process: "subprocess.Popen[str]", said: list[str]) -> dict[str, Any]:
    output, _ = process.communicate()
    lines = [line for line in (*said, *output.splitlines()) if " epoch " not in line and line[:1] not in TABLE]
    return {"exit_code": process.returncode, "said": lines}


def run(folder: Path) -> dict[str, Any]:
    """Refuse, submit, kill, interrupt, follow; return what each client came to."""
    (folder / "token").write_text("a token of this benchmark only")
    port, dashboard = free_port(), free_port()
    job = ("--cluster", str(ROOT / "cluster" / "onprem.yaml"))
    with head(folder, port, dashboard):
        joins = client(folder, dashboard, "--address", f"127.0.0.1:{port}", "--home", str(folder / "home"))
        result = {"with other code": ended(joins, [])}
        first = client(folder, dashboard, *job)
        said = until(first, "trial 0 COMPLETE")
        first.kill()
        result["killed"] = ended(first, said)
        second = client(folder, dashboard, *job)
        said = until(second, "trial 0 COMPLETE")
        second.send_signal(signal.SIGINT)
        result["interrupted"] = ended(second, said)
        result["followed to the end"] = ended(client(folder, dashboard, *job), [])
    found = [search for search in searches_in(folder / "home") if search.trials]
    result["left"] = [
        {"search": one.search_id, "trials": dict(Counter(trial.state for trial in one.trials))} for one in found
    ]
    result["reports"] = [path.name for path in sorted((folder / "home").glob("searches/*/report/report.md"))]
    return result


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = run(Path(folder))
        text = json.dumps(result).replace(folder, "FOLDER").replace(str(ROOT), ".")
    write_json(options.out, {"command": command_line(), **json.loads(text)})
    print(json.dumps(json.loads(text), indent=1))


if __name__ == "__main__":
    main()
