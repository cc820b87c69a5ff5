"""What is printed now for each fault in data that was found. In: nothing. Out: a table of rows, and the same as JSON.

    python benchmarks/data_faults.py --out benchmarks/results/data_faults.md
    python benchmarks/data_faults.py --rows D18 D25      # these rows anew, the others as they were recorded

Each input is made here (data_fault_cases.py), each command is the installed program's. A small search is run first: its
registered model is what `predict` and MLflow's server answer with.
"""

import argparse
import ast
import json
import os
import platform
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

from behaviour_commands import SETTINGS
from behaviour_text import normal_lines
from data_fault_cases import CASES, MODEL, SPACE, Case
from results_file import command_line, write_json

RESULT = Path(__file__).parent / "results" / "data_faults.md"
REPOSITORY = Path(__file__).resolve().parents[1]
SEARCH = (
    *("run", SPACE, "--local", "--deterministic", "--trials", "2", "--set", "params.model_size.choices=[tiny]"),
    *("--set", "baseline=null", "--set", "published=null", "--set", "targets=[de]"),
    *("--set", "fixed={epochs: 1, batch_size: 8, train_limit: 120, dev_limit: 20, test_limit: 20, precision: fp32}"),
)
LINES, WIDTH = 4, 320
CLOCK = "[<clock>] "
NOTES = ("disk: ", "encoder ", "precision ", "error: ")
"""What a search says of machines, not of data; errors are shown before all else."""
WITH_MODEL = {"D9", "D10", "D11", "D12"}
PATIENCE = 900


class Program:
    """The installed program, in a folder with one home."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "home"
        known = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "RAY_", "XA_"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # mlflow looks for uvicorn there
        self.environment = {**known, **SETTINGS, "XA_SEARCH_HOME": str(self.home), "PATH": path, "COLUMNS": "110"}

    def run(self, words: tuple[str, ...], typed: bytes = b"") -> tuple[int, list[str]]:
        """Run a command; return its exit code and its lines, errors last."""
        command = [sys.executable, "-m", "xa_search", *words]
        done = subprocess.run(
            command,
            input=typed,
            capture_output=True,
            cwd=self.folder,
            env=self.environment,
            timeout=PATIENCE,
            check=False,
        )
        said = (done.stdout + done.stderr).decode("utf-8", "replace")
        places = {str(self.home): "<home>", str(self.folder): "<folder>"}
        return done.returncode, [line for line in normal_lines(said, places) if line.strip()]

    def serve(self, texts: tuple[object, ...]) -> list[str]:
        """Serve the model by MLflow, ask for these texts over HTTP, and return the answers, one a line."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [
            sys.executable,
            "-m",
            "mlflow",
            "models",
            "serve",
            "-m",
            f"models:/{MODEL}",
            "--env-manager",
            "local",
        ]
        environment = {**self.environment, "MLFLOW_TRACKING_URI": f"sqlite:///{self.home / 'mlflow.db'}"}
        with (self.folder / "serve.log").open("wb") as log:
            server = subprocess.Popen(
                [*command, "--port", str(port), "--workers", "1"],
                env=environment, cwd=self.folder, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            return [json.dumps(answer, ensure_ascii=False) for answer in _ask(port, texts, server)]
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _ask(port: int, texts: tuple[object, ...], server: "subprocess.Popen[bytes]") -> list[Any]:
    body, headers = json.dumps({"inputs": texts}).encode(), {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/invocations", data=body, headers=headers)
    end = time.monotonic() + PATIENCE
    while server.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as response:
                found: list[Any] = json.load(response)["predictions"]
                return found
        except ConnectionError:
            time.sleep(0.2)
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionError):
                raise
            time.sleep(0.2)
    raise RuntimeError(f"the server does not answer, its exit code is {server.poll()}")


def seen(program: Program, number: int, case: Case) -> dict[str, Any]:
    """Make the input of a case and run its command; return what is to be told."""
    data = program.folder / "inputs" / f"{number:02d}-{case.row}"
    for name, content in case.files.items():
        path = data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    if case.served:
        code, lines = 0, program.serve(case.served)
    else:
        code, lines = program.run(tuple(word.replace("DATA", str(data)) for word in case.command), case.typed)
    place = f"<folder>/inputs/{data.name}"
    told = [line.replace(place, "DATA").removeprefix(CLOCK) for line in lines]
    words = case.command if case.served else ("xa-search", *case.command)
    return {
        "row": case.row, "input": case.what, "command": shlex.join(words), "exit_code": code,
        "printed": told, "test": case.test,
    }  # fmt: skip


def telling(found: dict[str, Any]) -> list[str]:
    """Return the first lines that say something of the fault: errors, then training rows of a table, then the rest."""
    lines = [line.removeprefix(CLOCK) for line in found["printed"]]
    errors = [line for line in lines if line.startswith("error: ")]
    rows = [line for line in lines if " | " in line and line.startswith("train ")]
    others = [line for line in lines if " | " not in line and "source en" not in line and not line.startswith(NOTES)]
    told = [*errors, *rows, *others][:LINES]
    return [line if len(line) <= WIDTH else f"{line[:WIDTH]}..." for line in told]


def as_markdown(result: dict[str, Any]) -> str:
    """Return the table of all rows."""
    commits = sorted({found["commit"] for found in result["cases"]})
    lines = [
        "# What is printed for each fault in data",
        f"    {result['command']}",
        "",
        f"xa-search {result['xa-search']} at {', '.join(commits)}, Python {result['python']} on {result['machine']}.",
        "Inputs and commands: `benchmarks/data_fault_cases.py`; all lines: data_faults.json. Shown are errors, the",
        f"training rows of a table and what stands below it, {LINES} lines at most. DATA is the folder with the input.",
        "D23 is about fair comparison, not about reading.",
        "",
        "| row | input | command | printed now | exit code | test |",
        "|---|---|---|---|---|---|",
    ]
    for found in result["cases"]:
        printed = "<br>".join(f"`{table_cell(line)}`" for line in telling(found))
        command = f"`{table_cell(found['command'])}`"
        cells = [found["row"], table_cell(found["input"]), command, printed, str(found["exit_code"])]
        lines.append(f"| {' | '.join([*cells, found['test'].replace('::', ' ')])} |")
    return "\n".join(lines) + "\n"


def missing_tests(places: Iterable[str]) -> list[str]:
    """Return which of these, FILE::TEST, are no tests of this repository."""
    missing = []
    for place in sorted(set(places)):
        file, _, name = place.partition("::")
        tree = ast.parse((REPOSITORY / file).read_text(encoding="utf-8"))
        if name not in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}:
            missing.append(place)
    return missing


def table_cell(text: str) -> str:
    """Return a text that ends no cell and no line, with all of its marks to be seen."""
    shown = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)
    return shown.replace("|", "\\|").replace("`", "'")


def commit() -> str:
    """Return the commit that ran, with a word where the working tree differs from it."""
    folder = Path(__file__).parent
    name, changed = (
        subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False).stdout.strip()
        for words in (("rev-parse", "--short", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
    )
    return (name or "no commit") + (" with changes" if changed else "")


def main() -> None:
    parser = argparse.ArgumentParser(description="Show what is printed for each fault in data.")
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--at-once", type=int, default=2, help="so many commands side by side")
    parser.add_argument(
        "--rows", nargs="+", metavar="ROW", help="run these alone; the others stay as they were recorded"
    )
    options = parser.parse_args()
    record = options.out.with_suffix(".json")
    asked = [case for case in CASES if options.rows is None or case.row in options.rows]
    with tempfile.TemporaryDirectory(prefix="data-faults-") as name, ThreadPoolExecutor(options.at_once) as pool:
        program = Program(Path(name).resolve())
        if WITH_MODEL & {case.row for case in asked}:
            code, lines = program.run(SEARCH)
            if code:
                raise SystemExit("\n".join(["the small search failed", *lines]))
        fresh = list(pool.map(seen, [program] * len(asked), range(len(asked)), asked))
    commands = [command_line()]
    found = {(one["row"], one["input"]): {**one, "commit": commit()} for one in fresh}
    if options.rows is not None:
        earlier = json.loads(record.read_text(encoding="utf-8"))
        found = {(one["row"], one["input"]): one for one in earlier["cases"]} | found
        commands = [earlier["command"], *commands]
    cases = [found[case.row, case.what] for case in CASES]
    result = {
        "command": "\n    ".join(commands),
        "xa-search": version("xa-search"),
        "python": platform.python_version(),
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "cases": cases,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(as_markdown(result), encoding="utf-8")
    write_json(record, result)


if __name__ == "__main__":
    main()
