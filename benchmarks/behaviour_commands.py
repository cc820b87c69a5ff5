"""Commands of the program, run as a user runs them. In: words. Out: what they printed and ended with, normalised."""

import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from behaviour_text import normal_lines

CASES = Path(__file__).with_name("behaviour_cases.txt")
HELP = "--help"
TYPED = "wake me at seven\n\nสวัสดี\n"
PATIENCE = 600
NOWHERE = "http://127.0.0.1:9"
"""A proxy that is not there: what would fetch something fails in the same way on every machine."""
SETTINGS = {
    "COLUMNS": "200",
    "NO_COLOR": "1",
    "TERM": "dumb",
    "TZ": "UTC",
    "HF_HUB_OFFLINE": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
    "CUDA_VISIBLE_DEVICES": "",
    "OMP_NUM_THREADS": "1",
    "HTTPS_PROXY": NOWHERE,
    "https_proxy": NOWHERE,
}
TINY = (
    *("--set", "params.model_size.choices=[tiny]", "--set", "baseline=null", "--set", "published=null"),
    *("--set", "cpus_per_trial=1"),
)


@dataclass(frozen=True)
class Case:
    """A command as it stands in the list."""

    line: str

    def words(self, inputs: Path, search_id: str = "") -> tuple[str, ...]:
        """Return the words of the command, for these input files and this search."""
        words: list[str] = []
        for word in shlex.split(self.line):
            if word == "TINY":
                words += TINY
            elif word == "FOLDER":
                words.append(tempfile.mkdtemp(dir=inputs.parent))
            else:
                words.append(word.replace("INPUTS", str(inputs)).replace("SEARCH", search_id))
        return tuple(words)


class Program:
    """The installed program; it works in a folder."""

    def __init__(self, python: Path, folder: Path) -> None:
        self._python = python
        self._folder = folder
        self.places = {str(folder): "<folder>", str(python): "<python>", str(python.parent.parent): "<environment>"}

    def empty_home(self) -> Path:
        """Return a place for a home that is not there yet."""
        return Path(tempfile.mkdtemp(dir=self._folder)) / "home"

    def answer(self, words: tuple[str, ...], home: Path) -> str:
        """Return what a command prints, as it is."""
        return self._run(words, home).stdout

    def run(self, words: tuple[str, ...], home: Path) -> dict[str, Any]:
        """Return a command's exit code and what it printed."""
        done = self._run(words, home)
        places = {**self.places, str(home): "<home>"}
        return {
            "exit code": done.returncode,
            "printed": _steady(normal_lines(done.stdout, places)),
            "errors": _steady(normal_lines(done.stderr, places)),
        }

    def run_in_empty_home(self, words: tuple[str, ...]) -> dict[str, Any]:
        """Do the same in a home that is not there yet; return also what the command left there."""
        home = self.empty_home()
        seen = self.run(words, home)
        left = sorted(path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file())
        return {
            **seen,
            "left": [re.sub(r"[0-9a-f]{32}|(?<=encoder-|ken-ids-)[0-9a-f]{16}", "<id>", name) for name in left],
        }

    def _run(self, words: tuple[str, ...], home: Path) -> "subprocess.CompletedProcess[str]":
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "RAY_"))}
        return subprocess.run(
            [str(self._python), "-m", "xa_search", *words],
            input=TYPED,
            capture_output=True,
            text=True,
            cwd=self._folder,
            env={**environment, **SETTINGS, "XA_SEARCH_HOME": str(home)},
            timeout=PATIENCE,
            check=False,
        )


def read_cases() -> dict[str, list[Case]]:
    """Return the commands of the list, by section."""
    sections: dict[str, list[Case]] = {}
    name = ""
    for line in CASES.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            name = line.strip("[]")
            sections[name] = []
        elif line and not line.startswith("#"):
            sections[name].append(Case(line))
    return sections


def changes(values: Mapping[str, str]) -> tuple[str, ...]:
    """Return the options that change a search space."""
    return tuple(word for key, value in values.items() for word in ("--set", f"{key}={value}"))


def commands_in(printed: list[str]) -> Iterator[str]:
    """Return the names of the commands that a help text lists."""
    below = printed[printed.index("Commands:") + 1 :] if "Commands:" in printed else []
    for line in below:
        if found := re.match(r"  (\S+)(?:\s|$)", line):
            yield found[1]


def _steady(lines: list[str]) -> list[str]:
    """Leave out what libraries say once a while, such as that a font cache is built."""
    return [line for line in lines if "font cache" not in line]
