"""Faulty input for all that reads any, for some minutes. In: minutes, a seed. Out: cases and failures in a JSON file.

The cases are those of tests/fuzzing: small valid input, with bytes, cells, lines or values of it changed, for every
corpus reader, for archives, label maps, search spaces, and for a served model. A failure is an exception other than the
project's own, a crash of the process, or something lost without a count. Each has a seed that makes it again.
"""

import argparse
import json
import logging
import multiprocessing
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from results_file import command_line, write_json

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from fuzzing.cases import case
from fuzzing.targets import TARGETS, Target

RESULT = Path(__file__).parent / "results" / "fuzz.json"
SERVED = "served model"
SHARE_SERVED = 0.2
ROUND = 50
KEPT_FAILURES = 20


def failure_of(error: BaseException, seed: int) -> dict[str, Any]:
    """Return what is needed to find a failure again."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "site-packages" not in frame.filename]
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[-3:]]
    return {"seed": seed, "error": f"{type(error).__name__}: {error}"[:300], "places": places}


def try_cases(name: str, target: Target, first: int, count: int, told: Any) -> None:
    """Try some cases in this process, and tell of each before it is tried, and of what became of all."""
    outcomes: Counter[str] = Counter()
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, first + count):
            told.send(seed)
            try:
                outcomes[target(case(name, seed), Path(folder))] += 1
            except Exception as error:
                failures.append(failure_of(error, seed))
    told.send((outcomes, failures))


def round_of(name: str, target: Target, first: int, count: int) -> tuple[Counter[str], list[dict[str, Any]]]:
    """Try some cases in a process of their own, which may crash."""
    here, there = multiprocessing.get_context("fork").Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=try_cases, args=(name, target, first, count, there))
    process.start()
    there.close()
    last: Any = first
    try:
        while not isinstance(last, tuple):
            last = here.recv()
    except EOFError:
        process.join()
        tried = Counter({"before a crash": last - first})
        return tried, [{"seed": last, "error": f"the process ended with {process.exitcode}", "places": []}]
    process.join()
    return last


def try_until(
    name: str, seconds: float, seed: int, run: Callable[[int, int], tuple[Counter[str], list[dict[str, Any]]]]
) -> dict[str, Any]:
    """Try rounds of cases until the time is over."""
    outcomes: Counter[str] = Counter()
    failures: list[dict[str, Any]] = []
    end, first = time.monotonic() + seconds, seed * 10_000_000
    while time.monotonic() < end:
        found, failed = run(first, ROUND)
        outcomes += found
        failures += failed
        first += ROUND
    print(f"{name}: {outcomes.total() + len(failures)} cases, {len(failures)} failures", flush=True)
    for failure in failures[:KEPT_FAILURES]:
        print("   ", failure, flush=True)
    return {
        "cases": outcomes.total() + len(failures),
        "outcomes": dict(outcomes.most_common()),
        "failures": len(failures),
        "first_failures": failures[:KEPT_FAILURES],
    }


def served_rounds(folder: Path) -> Callable[[int, int], tuple[Counter[str], list[dict[str, Any]]]]:
    """Return what asks one model some questions: it lives in this process, as threads do not outlive a fork."""
    from fuzzing.served import check_served, untrained_model

    logging.disable(logging.CRITICAL)
    model = untrained_model(folder, folder / "home")

    def run(first: int, count: int) -> tuple[Counter[str], list[dict[str, Any]]]:
        outcomes: Counter[str] = Counter()
        failures = []
        for seed in range(first, first + count):
            try:
                outcomes[check_served(model, case(SERVED, seed), folder)] += 1
            except Exception as error:
                failures.append(failure_of(error, seed))
        return outcomes, failures

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="Only targets with this in their name.")
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    names = [name for name in (*TARGETS, SERVED) if options.only in name]
    seconds = 60 * options.minutes
    served = seconds * (SHARE_SERVED if len(names) > 1 else 1.0) if SERVED in names else 0.0
    each = (seconds - served) / max(1, len(names) - (SERVED in names))
    before = json.loads(options.result.read_text()) if options.result.exists() else {}
    load = round(os.getloadavg()[0], 2)
    found = {
        name: try_until(name, each, options.seed, partial(round_of, name, TARGETS[name]))
        for name in names
        if name != SERVED
    }
    if served:
        with tempfile.TemporaryDirectory() as folder:
            found[SERVED] = try_until(SERVED, served, options.seed, served_rounds(Path(folder)))
    write_json(
        options.result,
        {
            "command": command_line(),
            "minutes": options.minutes,
            "load_before": load,
            "cases": sum(one["cases"] for one in found.values()),
            "failures": sum(one["failures"] for one in found.values()),
            "targets": found,
            "found_before_and_mended": before.get("found_before_and_mended", []),
        },
    )


if __name__ == "__main__":
    main()
