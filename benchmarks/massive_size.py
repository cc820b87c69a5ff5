"""How long MASSIVE takes to be read at its real size, and two languages of any size. In: a folder. Out: times and
memory in a JSON file.

The corpus is made up: 52 locales of 16,521 rows each, in the official files' form (one tar.gz, one JSON object a line),
with invented words. With `--rows` it has two locales of so many rows together, in the same form less what no reader
looks at: in two large files, memory is at its most. Times are those of `xa-search` as a user starts it, on one core.
"""

import argparse
import io
import json
import os
import platform
import random
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from results_file import command_line, write_json

from xa_search.corpora.massive import LOCALES

RESULT = Path(__file__).parent / "results" / "massive_size.json"
LAYOUT = "1.1/data/{locale}.jsonl"
ROWS = {"train": 11514, "dev": 2033, "test": 2974}
INTENTS = 60
SLOT_TYPES = 55
DISK_GB = 0.3
MINUTES = 6
LETTERS = {
    "ja-JP": "あいうえおかきくけこ",
    "zh-CN": "我你他好天水火木金土",
    "th-TH": "กขคงจฉชซฌญ",
    "hi-IN": "कखगघचछजझटठ",
}


def rows_of(locale: str, share: float) -> Iterator[bytes]:
    """Yield the lines of a locale: up to eight words, a slot in two rows of three, judgments as in the release."""
    chance = random.Random(locale)
    letters = LETTERS.get(locale, "abdeilmnorstuwäéø")
    words = ["".join(chance.choices(letters, k=chance.randint(2, 8))) for _ in range(3000)]
    number = 0
    for split, count in ROWS.items():
        for _ in range(max(1, round(count * share))):
            said = chance.choices(words, k=chance.randint(2, 10))
            annotated = list(said)
            if chance.random() < 0.67:
                at = chance.randrange(len(said))
                annotated[at] = f"[type_{chance.randrange(SLOT_TYPES)} : {said[at]}]"
            row = {
                "id": str(number), "locale": locale, "partition": split, "scenario": "alarm",
                "intent": f"intent_{number % INTENTS}", "utt": " ".join(said), "annot_utt": " ".join(annotated),
                "worker_id": "1", "slot_method": [{"slot": "time", "method": "translation"}],
                "judgments": [
                    {"worker_id": str(worker), "intent_score": 1, "slots_score": 1, "grammar_score": 4,
                     "spelling_score": 2, "language_identification": "target"} for worker in range(3)
                ],
            }  # fmt: skip
            yield json.dumps(row, ensure_ascii=False).encode() + b"\n"
            number += 1


def write_corpus(path: Path, share: float) -> int:
    """Write the archive; return the bytes that are in it."""
    total = 0
    with tarfile.open(path, "w:gz", compresslevel=6) as archive:
        for locale in LOCALES.split():
            content = b"".join(rows_of(locale, share))
            header = tarfile.TarInfo(LAYOUT.format(locale=locale))
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
            total += len(content)
    return total


def write_two_languages(path: Path, rows: int) -> int:
    """Write an archive with English and German of so many rows together; return the bytes that are in it."""
    total = 0
    with tarfile.open(path, "w:gz", compresslevel=1) as archive, tempfile.TemporaryFile() as content:
        for locale in ("en-US", "de-DE"):
            content.seek(0)
            content.truncate()
            for lines in _many_rows(locale, rows // 2):
                content.write(lines)
            header = tarfile.TarInfo(LAYOUT.format(locale=locale))
            header.size = content.tell()
            content.seek(0)
            archive.addfile(header, content)
            total += header.size
    return total


def _many_rows(locale: str, count: int) -> Iterator[bytes]:
    """Yield lines, some thousands at a time; texts come again after that many, ids never."""
    rows = [json.loads(line) for line in rows_of(locale, 1.0)]
    random.Random(len(rows)).shuffle(rows)  # as another locale's, so that ids mean the same, and splits lie anywhere
    kept = ("partition", "intent", "utt", "annot_utt")
    ends = [json.dumps({key: row[key] for key in kept}, ensure_ascii=False)[1:] for row in rows]
    for start in range(0, count, len(ends)):
        numbers = range(start, min(start + len(ends), count))
        lines = [f'{{"id": "{number}", {end}\n' for number, end in zip(numbers, ends, strict=False)]
        yield "".join(lines).encode()


def timed(arguments: list[str], home: Path) -> dict[str, Any]:
    """Run xa-search on one core; return its seconds, its most memory in GB, its exit code and how much it printed."""
    core = str(min(os.sched_getaffinity(0)))
    command = ["taskset", "-c", core, sys.executable, "-m", "xa_search", *arguments, "--home", str(home)]
    start = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        lines = said.read().decode().splitlines()
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)}: exit code {process.returncode}: {lines[-1:]}")
    return {
        "seconds": round(time.perf_counter() - start, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_gb": round(usage.ru_maxrss * 1024 / 1e9, 3),
        "exit_code": process.returncode,
        "lines": len(lines),
        "last_line": re.sub(r"/\S+/", "", lines[-1]) if lines else "",
    }


def measure_massive(folder: Path, home: Path, share: float) -> dict[str, Any]:
    """Measure the commands that read all of MASSIVE."""
    archive = folder / f"massive-{share:g}.tar.gz"
    if not archive.exists():
        write_corpus(archive, share)
    data = ["massive", "--data", str(archive)]
    runs = {
        "data check, 52 languages": ["data", "check", *data],
        "data check, 3 languages": ["data", "check", *data, "--lang", "en,de,ja"],
        "run --dry-run": ["run", *data, "--dry-run"],
    }
    found = {}
    for name, arguments in runs.items():
        found[name] = timed(arguments, home)
        print(name, found[name], flush=True)
    rows = 52 * sum(max(1, round(count * share)) for count in ROWS.values())
    return {"rows": rows, "archive_mb": round(archive.stat().st_size / 1e6, 1), "runs": found}


def measure_rows(folder: Path, home: Path, rows: int) -> dict[str, Any]:
    """Measure a check of two languages of so many rows together."""
    archive = folder / f"two-languages-{rows}.tar.gz"
    if not archive.exists():
        write_two_languages(archive, rows)
    found = timed(["data", "check", "massive", "--data", str(archive), "--lang", "en,de"], home)
    found |= {"rows": rows, "cpu_microseconds_a_row": round(1e6 * found["cpu_seconds"] / rows, 1)}
    print(found, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="Keep the corpus in this folder; a temporary one unless given.")
    parser.add_argument("--share", type=float, default=1.0, help="This share of the rows, for a quick look.")
    parser.add_argument("--rows", type=int, nargs="*", help="Two languages of so many rows instead of MASSIVE.")
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    share = sum(options.rows) / 859_092 / 4 if options.rows else options.share
    print(f"about {DISK_GB * share:.1f} GB of disk and {MINUTES * share:.0f} minutes of one core", flush=True)
    result = json.loads(options.result.read_text()) if options.result.exists() else {}
    result |= {"python": platform.python_version(), "processor": platform.processor() or platform.machine()}
    made = {"command": command_line(), "load_before": round(os.getloadavg()[0], 2)}
    with tempfile.TemporaryDirectory() as temporary:
        folder, home = options.out or Path(temporary), Path(temporary) / "home"
        folder.mkdir(parents=True, exist_ok=True)
        if options.rows:
            for rows in options.rows:
                sizes = [one for one in result.get("sizes", []) if one["rows"] != rows]
                sizes.append(measure_rows(folder, home, rows) | made)
                result["sizes"] = sorted(sizes, key=lambda one: one["rows"])
                write_json(options.result, result)
        else:
            result["massive"] = measure_massive(folder, home, options.share) | made
    write_json(options.result, result)


if __name__ == "__main__":
    main()
