"""Feedback files: one judgement a line. In: `feedback.LANG.jsonl`. Out: judgements, and one line for each fault.

A fault names its file, its line and the key; the other lines are read all the same.
"""

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from xa_search.encoding.files import write_whole
from xa_search.errors import DataError
from xa_search.feedback.judgements import Judgement

PATTERN = "feedback.*.jsonl"
NAMED = re.compile(r"feedback\.([\w-]+)\.jsonl")
UNKNOWN_LANGUAGE = "und"
"""What stands for a language that nobody has told (ISO 639-2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackLine:
    """A judgement, and where it stands: `feedback.de.jsonl:7`."""

    where: str
    judgement: Judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackLines:
    """What feedback files hold: the judgements of all lines that can be read, and the faults of the others."""

    files: tuple[str, ...]
    lines: tuple[FeedbackLine, ...]
    faults: tuple[str, ...]


def feedback_files(data: Path) -> tuple[Path, ...]:
    """Return the feedback files of a folder, or the one file. Raises DataError where there is none."""
    if data.is_file():
        return (data,)
    found = tuple(sorted(data.glob(PATTERN))) if data.is_dir() else ()
    if not found:
        raise DataError(
            f"{data}: no feedback there; write feedback.LANG.jsonl, which `xa-search predict --log FILE` begins"
        )
    return found


def read_feedback(data: Path) -> FeedbackLines:
    """Read a feedback file, or those of a folder. Raises DataError where there is none, or it is no text."""
    lines: list[FeedbackLine] = []
    faults: list[str] = []
    files = feedback_files(data)
    for path in files:
        for number, line in enumerate(_lines(path), start=1):
            if not line.strip():
                continue
            found = _read_line(line)
            if isinstance(found, str):
                faults.append(f"{path.name}:{number}: {found}")
            else:
                lines.append(FeedbackLine(where=f"{path.name}:{number}", judgement=found))
    return FeedbackLines(files=tuple(path.name for path in files), lines=tuple(lines), faults=tuple(faults))


def read_judgements(path: Path) -> tuple[Judgement, ...]:
    """Return the judgements of a file that this program wrote. Raises DataError for any fault."""
    found = read_feedback(path)
    if found.faults:
        raise DataError(found.faults[0])
    return tuple(line.judgement for line in found.lines)


def write_judgements(path: Path, judgements: Sequence[Judgement]) -> None:
    """Write a feedback file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(map(line_of, judgements))
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def log_answers(path: Path, judgements: Sequence[Judgement]) -> None:
    """Add what a model said to a log, to be judged; a file feedback.LANG.jsonl tells its language.

    Raises DataError where it cannot be written.
    """
    named = NAMED.fullmatch(path.name)
    lang = named[1] if named else UNKNOWN_LANGUAGE
    append_judgements(path, [one.model_copy(update={"lang": lang}) for one in judgements])


def append_judgements(path: Path, judgements: Iterable[Judgement]) -> None:
    """Add lines at the end of a log, in one write: several processes may log into one file.

    Raises DataError where it cannot be written.
    """
    text = "".join(map(line_of, judgements)).encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(log, text)
        finally:
            os.close(log)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror}); give a log that can") from error


def line_of(judgement: Judgement) -> str:
    """Return a judgement as a line; the verdict stands there when it is empty, to be filled in."""
    values = judgement.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    return json.dumps({**values, "verdict": judgement.verdict, "part": judgement.part}, ensure_ascii=False) + "\n"


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 at byte {error.start + 1}; save it as UTF-8") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check its name and permissions") from None


def _read_line(line: str) -> Judgement | str:
    try:
        return Judgement.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        return f"{f'{where}: ' if where else ''}{first['msg'].lower()}; correct this line"
