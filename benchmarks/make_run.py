"""`make run` from nothing, seed by seed: its wall time, its processor seconds by part, the winner's gain over the fair
baseline.

    python benchmarks/make_run.py --seeds 11-20 [--slow] [--results benchmarks/results/make_run.json]

Installation is measured once, into a folder of its own; each seed then has a home of its own. A seed that has ended is
kept in the file of results, and not run again: typed again, the command goes on with the rest. `--slow` imitates a
machine with AVX2 and without native bf16. Test scores are written down, never printed: they choose nothing.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import Any

import psutil
import torch
from machine import describe_machine
from results_file import command_line, spread, write_json

ROOT = Path(__file__).resolve().parents[1]
SLOW = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
SCORES = ("intent_accuracy", "slot_f1")
BETWEEN_LOOKS = 0.5
MARKS = {"first trial": "trial 0 starts", "trials ended": "winner: trial", "registering": "registering the winner"}


class Processors:
    """Counts the processor seconds of a process and of all that it starts, those that nobody waits for too."""

    def __init__(self, process: int) -> None:
        self._root = psutil.Process(process)
        self._seen: dict[tuple[int, float], float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(BETWEEN_LOOKS):
            with suppress(psutil.Error):
                for one in (self._root, *self._root.children(recursive=True)):
                    with suppress(psutil.Error):
                        times = one.cpu_times()
                        self._seen[one.pid, one.create_time()] = times.user + times.system

    def so_far(self) -> float:
        """Return the seconds of all processes that were seen, up to when each was seen last."""
        return sum(list(self._seen.values()))

    def seconds(self) -> float:
        """Look no more, and return the same."""
        self._over.set()
        self._thread.join()
        return self.so_far()


def run(command: list[str], environment: dict[str, str], log: Path) -> dict[str, float]:
    """Run a command, and return its wall time and processor seconds. Raises CalledProcessError where it fails."""
    begin = time.monotonic()
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, stdout=output, stderr=output)
        processors = Processors(process.pid)
        if process.wait():
            raise subprocess.CalledProcessError(process.returncode, command)
    return {"wall": round(time.monotonic() - begin, 1), "processor": round(processors.seconds(), 1)}


def install(folder: Path) -> dict[str, float]:
    """Install as `make run` does, into a new virtual environment."""
    return run(["make", f"VENV={folder / 'venv'}", str(folder / "venv/installed-mini")], {}, folder / "install.log")


def one_seed(seed: int, folder: Path, slow: bool, changes: list[str]) -> dict[str, Any]:
    """Search once. Return what it took and what it found."""
    command = [f"{sys.prefix}/bin/xa-search", "run", "mtop-mini", "--seed", str(seed), "--home", str(folder / "home")]
    for change in [*changes, *(["fixed.precision=fp32"] if slow else [])]:
        command += ["--set", change]
    took = run(command, SLOW if slow else {}, folder / "run.log")
    (report,) = (folder / "home/searches").glob("*/report/report.json")
    found, cost = json.loads(report.read_text()), json.loads(report.with_name("cost.json").read_text())
    search_log = report.parents[1] / "search.log"
    return {
        "seed": seed,
        **took,
        "parts": {part: round(seconds, 1) for part, seconds in cost["parts"].items()},
        "marks": marks(search_log.read_text(encoding="utf-8")),
        "gain": gains(found),
        "registered": "registered: " in (folder / "run.log").read_text(encoding="utf-8"),
    }


def marks(log: str) -> dict[str, int]:
    """Return after how many seconds each part began, counted from the log's first line."""
    lines = [(datetime.fromisoformat(time), text) for time, _, text in map(split_line, log.splitlines())]
    return {
        name: round((began - lines[0][0]).total_seconds())
        for name, words in MARKS.items()
        if (began := next((time for time, text in lines if text.startswith(words)), None)) is not None
    }


def split_line(line: str) -> tuple[str, str, str]:
    """Divide a line of the log into its time, as ISO 8601 with a space, and what it says."""
    day, _, rest = line.partition(" ")
    time, space, text = rest.partition(" ")
    return f"{day} {time}", space, text


def gains(report: dict[str, Any]) -> dict[str, float] | None:
    """Return the winner's gain over the fair baseline, in points: of each score, and their mean; none without one."""
    if report["fair_baseline"] is None:
        return None
    fair = next(row for row in report["languages"] if row["lang"] == "mean")["fair_gain"]
    found = {score: round(fair[score], 2) for score in SCORES}
    return found | {"mean": round(fmean(found.values()), 2)}


def main() -> None:
    """Measure what is missing, and say how many seeds are there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="11-20")
    parser.add_argument("--slow", action="store_true")
    parser.add_argument("--without-installation", action="store_true")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks/results/make_run.json")
    asked = parser.parse_args()
    first, _, last = asked.seeds.partition("-")
    known = json.loads(asked.results.read_text()) if asked.results.exists() else {}
    result = known | {
        "command": command_line(),
        "machine": known.get("machine") or describe_machine(torch.device("cpu"), 1),
        "slow": asked.slow,
        "runs": known.get("runs", []),
    }
    with tempfile.TemporaryDirectory() as folder:
        if "installation" not in result and not asked.without_installation:
            result["installation"] = install(Path(folder))
            write_json(asked.results, result)
        for seed in range(int(first), int(last or first) + 1):
            if seed in {one["seed"] for one in result["runs"]}:
                continue
            place = Path(folder, str(seed))
            place.mkdir()
            result["runs"].append(one_seed(seed, place, asked.slow, asked.set) | {"load": os.getloadavg()[0]})
            for name in ("wall", "processor"):
                result[name] = spread([one[name] for one in result["runs"]])
            write_json(asked.results, result)
            print(f"seed {seed}: {result['runs'][-1]['wall']} s", flush=True)
    compared = [one["gain"]["mean"] for one in result["runs"] if one["gain"] is not None]
    print(f"{len(result['runs'])} runs, {sum(gain > 0 for gain in compared)} of them above their fair baseline")


if __name__ == "__main__":
    main()
