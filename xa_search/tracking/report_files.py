"""Tables and files of reports. In: titles and cells, or texts by file name. Out: Markdown, CSV, files."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path


def as_markdown(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def as_csv(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as comma-separated values."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([titles, *rows])
    return text.getvalue()


def write_files(directory: Path, texts: dict[str, str]) -> tuple[Path, ...]:
    """Write each text into the file of its name, and return the paths."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in texts.items():
        (directory / name).write_text(content, encoding="utf-8")
    return tuple(directory / name for name in texts)
