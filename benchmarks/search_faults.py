"""What is printed now for each fault in searches that was found. In: nothing. Out: a table of rows, and JSON.

    python benchmarks/search_faults.py --out benchmarks/results/search_faults.md
    python benchmarks/search_faults.py --rows S1 S7      # these rows anew, the others as they were recorded

Each command is the installed program's, or the test that makes what a command cannot (search_fault_cases.py).
"""

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from behaviour_text import normal_lines
from data_faults import _cell, commit
from results_file import command_line, write_json
from search_fault_cases import CASES, Case

RESULT = Path(__file__).parent / "results" / "search_faults.md"
REPOSITORY = Path(__file__).resolve().parents[1]
SECONDS_A_ROW = 12
LINES = 3


def words_of(case: Case) -> list[str]:
    """Return the words that are typed."""
    if case.command:
        return ["xa-search", *case.command]
    return ["pytest", "-q", "-n", "0", case.test]


def seen(case: Case, folder: Path) -> dict[str, Any]:
    """Type the command of a case; return what is to be told."""
    words = words_of(case)
    command = [sys.executable, "-m", "xa_search" if case.command else "pytest"]
    command += [word.replace("HOME", str(folder)) for word in words[1:]]
    known = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "XA_"))}
    given = {**known, "XA_SEARCH_HOME": str(folder / "home"), "COLUMNS": "110", **case.environment}
    environment = {key: value for key, value in given.items() if value is not None}
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, env=environment, check=False)
    lines = [line for line in normal_lines(done.stdout + done.stderr, {str(folder): "HOME"}) if line.strip()]
    told = lines[-LINES:] if case.command else lines[-1:]
    changed = [f"{name}={value}" if value is not None else f"-u {name}" for name, value in case.environment.items()]
    typed = shlex.join([*(["env", *changed] if changed else []), *words])
    return {
        "row": case.row, "fault": case.what, "command": typed, "exit_code": done.returncode,
        "printed": told, "test": case.test,
    }  # fmt: skip


def as_markdown(result: dict[str, Any]) -> str:
    """Return the table of all rows."""
    lines = [
        "# What is printed for each fault in searches",
        f"    {result['command']}",
        "",
        f"xa-search {result['xa-search']} at {result['commit']}, Python {result['python']} on {result['machine']}.",
        "A command of the program where one shows it, else the test that makes what it takes; its last lines stand.",
        "",
        "| row | fault | command | printed now | exit code | test |",
        "|---|---|---|---|---|---|",
    ]
    for found in result["cases"]:
        printed = "<br>".join(f"`{_cell(line)}`" for line in found["printed"])
        cells = [found["row"], _cell(found["fault"]), f"`{_cell(found['command'])}`", printed, str(found["exit_code"])]
        lines.append(f"| {' | '.join([*cells, found['test'].replace('::', ' ')])} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--rows", nargs="+", metavar="ROW", help="run these alone; the others stay as recorded")
    options = parser.parse_args()
    record = options.out.with_suffix(".json")
    known = json.loads(record.read_text(encoding="utf-8"))["cases"] if record.exists() else []
    found = {one["row"]: one for one in known}
    asked = [case for case in CASES if options.rows is None or case.row in options.rows]
    print(f"{len(asked)} rows: about {len(asked) * SECONDS_A_ROW / 60:.0f} minutes on two cores", flush=True)
    for case in asked:
        with tempfile.TemporaryDirectory() as folder:
            found[case.row] = seen(case, Path(folder).resolve())
        print(case.row, found[case.row]["exit_code"], *found[case.row]["printed"][-1:], flush=True)
        result = {
            "command": command_line(), "xa-search": version("xa-search"), "commit": commit(),
            "python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}",
            "cases": [found[one.row] for one in CASES if one.row in found],
        }  # fmt: skip
        write_json(record, result)
        options.out.write_text(as_markdown(result), encoding="utf-8")


if __name__ == "__main__":
    main()
