"""Options that several commands share. In: the text of an option. Out: their types for the command line; light to
import.
"""

import re
from pathlib import Path
from typing import Annotated

import typer

from xa_search.errors import UsageError

SECONDS = {"s": 1, "m": 60, "h": 3600}
BYTES = {"MB": 10**6, "GB": 10**9, "TB": 10**12}
DEFAULT_HOME = Path.home() / ".xa-search"
Home = Annotated[
    Path, typer.Option(envvar="XA_SEARCH_HOME", help="The folder that holds everything.", show_default=False)
]
Space = Annotated[str, typer.Argument(help="A search space by name (mtop-mini, mtop, mtod, ...) or a YAML file.")]
Change = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the space: fixed.epochs=3.")
]
Data = Annotated[Path | None, typer.Option(help="A folder, zip or tar.gz with the raw corpus.")]
Columns = Annotated[
    str | None, typer.Option(metavar="text=utt,intent=label", help="What the fields of your own corpus are called.")
]
Languages = Annotated[str | None, typer.Option(metavar="en,de", help="These only, the source first.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def parse_duration(text: str) -> float:
    """Return the seconds that a text such as 90s, 30m or 8h means."""
    return _amount("--time-budget", text, SECONDS, "s, m or h, for example 30m")


def parse_size(text: str) -> int:
    """Return the bytes that a text such as 500MB or 20GB means."""
    return int(_amount("--disk-budget", text, BYTES, "MB, GB or TB, for example 20GB"))


def parse_step_seconds(text: str) -> tuple[str, float]:
    """Return the model size and the seconds that a text such as base=0.12 means."""
    size, _, seconds = text.rpartition("=")
    if not size or not re.fullmatch(r"\d*\.?\d+", seconds) or not float(seconds):
        raise UsageError(f"--gpu-step {text!r}: write SIZE=SECONDS, for example base=0.12")
    return size, float(seconds)


def _amount(option: str, text: str, units: dict[str, int], hint: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([A-Za-z]+)", text)
    amount = float(found[1]) * units.get(found[2], 0) if found else 0.0
    if amount <= 0:
        raise UsageError(f"{option} {text!r}: write a number above 0 and {hint}")
    return amount


def parse_columns(text: str | None) -> dict[str, str]:
    """Return our names and the user's that a text such as text=utt,intent=label means."""
    pairs = [pair.partition("=") for pair in text.split(",")] if text else []
    if any(not ours.strip() or not theirs.strip() for ours, _, theirs in pairs):
        raise UsageError(f"--columns {text!r}: write FIELD=COLUMN, with commas between: text=utt,intent=label")
    return {ours.strip(): theirs.strip() for ours, _, theirs in pairs}


def parse_list(text: str | None) -> tuple[str, ...]:
    """Return the words that commas part."""
    return tuple(word.strip() for word in (text or "").split(",") if word.strip())


def absolute(path: Path) -> Path:
    """Return a path as the user meant it, from the root on."""
    return path.expanduser().resolve()
