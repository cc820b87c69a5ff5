"""Arguments and options that several commands share. In: the text of an option. Out: their types for the command line,
and what they mean; light to import.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Annotated

import typer

from xa_search.cli.completion import complete_corpora, complete_searches, complete_spaces
from xa_search.cli.plain import echo
from xa_search.errors import StoppedEarly, UsageError

DEFAULT_HOME = Path("~/.xa-search")
"""Looked up only where it is used: a user in a container may have no home folder."""
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
DURATION = re.compile(r"(?:\d+(?:\.\d+)?[smhd])+")
DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


def absolute(path: Path) -> Path:
    """Return a path as the user meant it, from the root on. Raises UsageError where ~ is nobody's."""
    try:
        return path.expanduser().resolve()
    except RuntimeError:
        raise UsageError(f"{path}: this user has no home folder; give --home FOLDER, or set XA_SEARCH_HOME") from None


Home = Annotated[
    Path,
    typer.Option(
        envvar="XA_SEARCH_HOME",
        metavar="FOLDER",
        help="The folder that holds everything.",
        show_default=False,
        callback=absolute,  # before anything is imported that gives a user without a home folder one for MLflow
    ),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, to standard output.")]
Data = Annotated[Path | None, typer.Option(metavar="PATH", help="A folder, zip or tar.gz with the raw corpus.")]

Space = Annotated[
    str,
    typer.Argument(
        metavar="SPACE",
        help="A search space by name (mtop-mini, mtop, mtod, ...) or a YAML file.",
        autocompletion=complete_spaces,
    ),
]
Change = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the space: fixed.epochs=3.")
]
Translations = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="LANG.txt for targets, one line for each row of the English training file."),
]
Seed = Annotated[
    int, typer.Option(min=0, metavar="NUMBER", help="Fixes data order, initialisation, dropout and proposals.")
]

Trial = Annotated[
    int,
    typer.Argument(min=0, metavar="TRIAL", help="The number of a trial, as `xa-search status SEARCH` lists it."),
]
Search = Annotated[
    str | None,
    typer.Argument(
        metavar="SEARCH",
        help="A search by id, or by its space: then its newest one; the newest of all unless given.",
        autocompletion=complete_searches,
    ),
]
AnySearch = Annotated[
    str | None,
    typer.Argument(
        metavar="SEARCH",
        help="A search by id, or by its space: then its newest one; all searches unless given.",
        autocompletion=complete_searches,
    ),
]
FinishedSearches = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SEARCH",
        help="Finished searches, by id or by space; the newest of all unless given.",
        autocompletion=complete_searches,
    ),
]
EarlierSearch = Annotated[str | None, typer.Option("--search", metavar="SEARCH", hidden=True)]
"""How SEARCH was given before it was an argument."""

Corpus = Annotated[
    str | None,
    typer.Option(
        metavar="CORPUS",
        help="mtop-mini, mtop, mtod, multiatis, massive, xsid, pawsx, own, or a search space.",
        autocompletion=complete_corpora,
    ),
]
EarlierCorpus = Annotated[str | None, typer.Argument(metavar="CORPUS", hidden=True)]
"""How CORPUS was given before it was an option."""
Languages = Annotated[
    list[str] | None,
    typer.Option("--lang", metavar="LANG", help="A language; may be given several times, or as de,th."),
]
Columns = Annotated[
    str | None, typer.Option(metavar="text=utt,intent=label", help="What the fields of your own corpus are called.")
]

Trials = Annotated[
    int | None, typer.Option(min=2, metavar="NUMBER", help="Number of trials; more extends a finished search.")
]
TimeBudget = Annotated[str | None, typer.Option(metavar="90s|30m|8h|1d", help="Stop after this long.")]
GpuHours = Annotated[
    float | None, typer.Option(min=0, metavar="HOURS", help="The GPU hours of all runs of this search together.")
]
DiskBudget = Annotated[
    str | None, typer.Option(metavar="500MB|20GB|1.5TB", help="All that this search may take on disk.")
]
Deterministic = Annotated[
    bool, typer.Option("--deterministic", help="The same seed proposes and trains the same trials, bit by bit.")
]
New = Annotated[
    bool, typer.Option("--new", help="Begin another search although one of this space is unfinished, or this one over.")
]
Local = Annotated[bool, typer.Option("--local", help="Run the trials in this process, one after another.")]
Address = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="The Ray that this node belongs to: auto, or host:port.")
]
Cluster = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Run as a job of this file's cluster, and follow it.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")]
to_stderr = partial(echo, err=True)


def parse_duration(text: str, option: str = "--time-budget") -> float:
    """Return the seconds that a text such as 90s, 30m, 8h, 1d or 1h30m means."""
    seconds = 0.0
    if DURATION.fullmatch(text):
        seconds = sum(float(amount) * SECONDS[unit] for amount, unit in DURATION_PART.findall(text))
    if seconds <= 0:
        raise UsageError(f"{option} {text!r}: write a number above 0 and s, m, h or d, for example 30m or 1h30m")
    return seconds


def parse_size(text: str, option: str = "--disk-budget") -> int:
    """Return the bytes that a text such as 500MB, 20GB or 1.5TB means."""
    from pydantic import ByteSize, TypeAdapter, ValidationError

    try:
        size = 0 if text.strip()[-1:].isdigit() else TypeAdapter(ByteSize).validate_python(text)
    except ValidationError:
        size = 0
    if size <= 0:
        raise UsageError(f"{option} {text!r}: write a number above 0 and MB, GB or TB, for example 20GB")
    return int(size)


def parse_step_duration(text: str) -> tuple[str, float]:
    """Return the model size and the seconds that a text such as base=0.12s means; without a unit they are seconds."""
    size, _, duration = text.rpartition("=")
    try:
        if not size:
            raise UsageError("no size")
        return size, parse_duration(f"{duration}s" if duration[-1:].isdigit() else duration)
    except UsageError:
        raise UsageError(f"--gpu-step {text!r}: write SIZE=DURATION, for example base=0.12s") from None


def one_of(given: str | None, earlier: str | None, name: str) -> str | None:
    """Return what was given in the one way or in the earlier one. Raises UsageError where both differ."""
    if given is not None and earlier is not None and given != earlier:
        raise UsageError(f"{name} is given twice, as {given} and as {earlier}; give it once")
    return earlier if given is None else given


def corpus_of(given: str | None, earlier: str | None) -> str:
    """Return the corpus that was given in either way. Raises UsageError where none was."""
    corpus = one_of(given, earlier, "the corpus")
    if corpus is None:
        raise UsageError("--corpus: which corpus is meant? type --corpus mtop-mini, or the name of another one")
    return corpus


def languages_of(given: Iterable[str] | None) -> tuple[str, ...]:
    """Return the languages of an option that may be repeated, and take several with commas between them."""
    parts = (part.strip() for text in given or () for part in text.split(","))
    return tuple(dict.fromkeys(part for part in parts if part))


@contextmanager
def resumable() -> Iterator[None]:
    """Let an interrupted command say that the same command resumes it."""
    try:
        yield
    except KeyboardInterrupt:
        echo("stopped; the same command resumes it", err=True)
        raise typer.Exit(StoppedEarly.exit_code) from None


def absolute_or_none(path: Path | None) -> Path | None:
    """Return the same of an option that may be missing."""
    return None if path is None else absolute(path)


def read_lines(stream: IO[bytes]) -> list[str]:
    """Return the lines of a stream without their ends; a byte that is not UTF-8 is a lone surrogate in them."""
    return [line.decode("utf-8", "surrogateescape").removesuffix("\n").removesuffix("\r") for line in stream]


def parse_columns(text: str | None) -> dict[str, str]:
    """Return our names and the user's that a text such as text=utt,intent=label means."""
    pairs = [pair.partition("=") for pair in text.split(",")] if text else []
    if any(not ours.strip() or not theirs.strip() for ours, _, theirs in pairs):
        raise UsageError(f"--columns {text!r}: write FIELD=COLUMN, with commas between: text=utt,intent=label")
    return {ours.strip(): theirs.strip() for ours, _, theirs in pairs}


def is_default_home(home: Path) -> bool:
    """Tell whether a home is the one that is meant where none is given."""
    try:
        return home == DEFAULT_HOME.expanduser().resolve()
    except RuntimeError:
        return False
