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
from xml.etree import ElementTree

from behaviour_text import normal_lines
from data_faults import commit, table_cell
from results_file import command_line, write_json
from search_fault_cases import CASES, Case

RESULT = Path(__file__).parent / "results" / "search_faults.md"
REPOSITORY = Path(__file__).resolve().parents[1]
SECONDS_A_ROW = 6
LINES = 3
NOT_RUN = (None, ["not run for this table"])
ALL_TESTS = ("-n", "0", "-m", "proof or not proof")
NOT_PASSED = {"failure", "error", "skipped"}


def words_of(case: Case) -> list[str]:
    """Return the words that are typed."""
    return ["xa-search", *case.command] if case.command else ["pytest", *ALL_TESTS, case.test]


def typed(case: Case, folder: Path) -> tuple[int, list[str]]:
    """Type the command of a case; return its exit code and the lines that tell it."""
    command = [sys.executable, "-m", "xa_search", *(word.replace("HOME", str(folder)) for word in case.command)]
    known = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "XA_"))}
    given = {**known, "XA_SEARCH_HOME": str(folder / "home"), "COLUMNS": "110", **case.environment}
    environment = {key: value for key, value in given.items() if value is not None}
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, env=environment, check=False)
    lines = [line for line in normal_lines(done.stdout + done.stderr, {str(folder): "HOME"}) if line.strip()]
    return done.returncode, [line for line in lines if case.says in line][-LINES:]


def tested(cases: list[Case], folder: Path) -> dict[str, tuple[int, list[str]]]:
    """Run the tests of all cases in one process, for what they share; return by test what each alone would say."""
    if not cases:  # without a name pytest runs them all
        return {}
    report = folder / "tests.xml"
    tests = [case.test for case in cases]
    command = [sys.executable, "-m", "pytest", *ALL_TESTS, f"--junitxml={report}", *tests]
    subprocess.run(command, stdout=subprocess.DEVNULL, cwd=REPOSITORY, check=False)
    ends: dict[str, list[bool]] = {test: [] for test in tests}
    for found in ElementTree.parse(report).iter("testcase"):
        place = found.get("classname", "").replace(".", "/") + ".py::" + found.get("name", "").partition("[")[0]
        ends[place].append(not {child.tag for child in found} & NOT_PASSED)
    return {test: (int(not (of and all(of))), [told_of(of)]) for test, of in ends.items()}


def told_of(ends: list[bool]) -> str:
    """Say what pytest does of tests by whether each passed."""
    passed, failed = sum(ends), len(ends) - sum(ends)
    return ", ".join(part for part in (f"{failed} failed" if failed else "", f"{passed} passed") if part)


def row_of(case: Case, end: tuple[int | None, list[str]]) -> dict[str, Any]:
    """Return what is to be told of a case."""
    changed = [f"{name}={value}" if value is not None else f"-u {name}" for name, value in case.environment.items()]
    words = shlex.join([*(["env", *changed] if changed else []), *words_of(case)])
    return {
        "row": case.row, "fault": case.what, "command": words, "exit_code": end[0],
        "printed": end[1], "test": case.test,
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
        printed = "<br>".join(f"`{table_cell(line)}`" for line in found["printed"])
        command = f"`{table_cell(found['command'])}`"
        code = "-" if found["exit_code"] is None else str(found["exit_code"])
        cells = [found["row"], table_cell(found["fault"]), command, printed, code]
        lines.append(f"| {' | '.join([*cells, found['test'].replace('::', ' ')])} |")
    return "\n".join(lines) + "\n"


def write(out: Path, cases: list[dict[str, Any]]) -> None:
    """Write down the rows that are known."""
    result = {
        "command": command_line(), "xa-search": version("xa-search"), "commit": commit(),
        "python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}",
        "cases": cases,
    }  # fmt: skip
    write_json(out.with_suffix(".json"), result)
    out.write_text(as_markdown(result), encoding="utf-8")


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
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        by_test = tested([case for case in asked if not case.command], folder)
        for case in asked:
            found[case.row] = row_of(case, typed(case, folder) if case.command else by_test[case.test])
            print(case.row, found[case.row]["exit_code"], *found[case.row]["printed"], flush=True)
            write(options.out, [found.get(one.row) or row_of(one, NOT_RUN) for one in CASES])


if __name__ == "__main__":
    main()
