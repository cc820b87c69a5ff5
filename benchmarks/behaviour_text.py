"""What a program printed, without what differs from run to run. In: text. Out: its lines, and how two texts differ.

Paths, seconds, sizes, dates, ids, process ids, ports and places in the code are replaced. A printed table becomes one
line a row, cells joined by ` | `, so that the widths of its columns do not count; columns of times are blanked.
"""

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

CODE = "<code>"
BLANKED_COLUMNS = {
    *("seconds", "percent", "last change", "xa_search", "disk free", "memory free", "python", "ray", "torch"),
}
PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"(?:/[\w.+@-]+)+/(search_spaces|label_maps|cluster|constraints\.txt)\b", r"<checkout>/\1"),
        (r"<folder>/tmp\w+", "<folder>/<new>"),
        (r"[\w./<>-]+\.py:\d+(?: in [\w.<>]+)?", CODE),
        (r"\b[0-9a-f]{64}\b", "<sha256>"),
        (r"\b[0-9a-f]{32}\b", "<id>"),
        (r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "<id>"),
        (r"^\[\d+(?::\d\d)+\]", "[<clock>]"),
        (r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?:\+\d\d:\d\d|Z)?", "<date>"),
        (r"\b\d{4}-\d\d-\d\d\b", "<date>"),
        (r"\b\d+(?:\.\d+)? (s|ms|h|min|seconds)\b", r"<number> \1"),
        (r"\b((?:cpu|evaluate|save|start|train|seconds)_seconds) \d+\.\d+", r"\1 <number>"),
        (r"\b\d+(?:\.\d+)? (?:k|M|G|T)?B\b", "<size>"),
        (r"\bcores \d+ % busy\b", "cores <number> % busy"),
        (r"\b(process|pid) \d+\b", r"\1 <number>"),
        (r"\b(127\.0\.0\.1|localhost):\d+", r"\1:<port>"),
    )
)


def normal_lines(text: str, places: Mapping[str, str]) -> list[str]:
    """Return the lines of a text, normalised; `places` are folders and the words that stand for them."""
    return [normal_text(line, places) for line in _without_tables(text.splitlines())]


def normal_text(text: str, places: Mapping[str, str]) -> str:
    """Return one line, normalised; the longest path is replaced first."""
    for place in sorted(places, key=len, reverse=True):
        text = text.replace(place, places[place])
    for pattern, replacement in PATTERNS:
        text = pattern.sub(replacement, text)
    return text.rstrip()


def normal_json(value: Any, places: Mapping[str, str]) -> Any:
    """Return a JSON value whose texts are normalised and whose numbers have six digits."""
    if isinstance(value, dict):
        return {key: normal_json(inner, places) for key, inner in value.items()}
    if isinstance(value, list):
        return [normal_json(inner, places) for inner in value]
    if isinstance(value, float):
        return float(f"{value:.6g}")
    return normal_text(value, places) if isinstance(value, str) else value


def shape(value: Any) -> Any:
    """Return a JSON value with the types of its values in their place; of a list the different shapes only."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return sorted({json.dumps(shape(inner), sort_keys=True) for inner in value})
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def differences(before: Any, after: Any, place: str = "") -> Iterator[str]:
    """Return every difference of two records, with its place; lists of lines are compared as texts."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({*before, *after}, key=str):
            where = f"{place} > {key}" if place else str(key)
            if key not in after:
                yield f"{where}: gone, was {_short(before[key])}"
            elif key not in before:
                yield f"{where}: new, is {_short(after[key])}"
            else:
                yield from differences(before[key], after[key], where)
    elif _is_text(before) and _is_text(after):
        changes = list(difflib.unified_diff(before, after, lineterm="", n=0))[2:]
        if changes:
            yield "\n    ".join([f"{place}:", *(line for line in changes if not line.startswith("@@"))])
    elif before != after:
        yield f"{place}: was {_short(before)}, is {_short(after)}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 400 else text[:400] + " ..."


def _is_text(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(line, str) for line in value)


def _without_tables(lines: Sequence[str]) -> Iterator[str]:
    """Return the lines, with each table that was printed in a frame or as Markdown as one line a row."""
    table: list[list[str]] = []
    for line in lines:
        if line.startswith(("┏", "┡", "└", "| ---")):
            continue
        if line.startswith(("┃", "│")):
            cells = [cell.strip() for cell in re.split("[┃│]", line)[1:-1]]
            if table and not all(cells):  # all but the first line of a folded row have an empty cell
                table[-1] = [f"{cell} {more}".strip() for cell, more in zip(table[-1], cells, strict=True)]
            else:
                table.append(cells)
        elif line.startswith("| "):
            table.append([cell.strip() for cell in line.split("|")[1:-1]])
        else:
            yield from _table_lines(table)
            table = []
            yield line
    yield from _table_lines(table)


def _table_lines(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Return a line a row, without what columns of times and sizes hold."""
    if not rows:
        return
    header, *others = rows
    blanked = {index for index, name in enumerate(header) if name.lower() in BLANKED_COLUMNS}
    shown = [["<...>" if index in blanked else cell for index, cell in enumerate(row)] for row in others]
    if header[0] == "part":  # the parts of the wall time stand by their seconds
        shown.sort()
    yield from (" | ".join(row) for row in [header, *shown])
