"""A confirmed winner, in cells of tables and in a section of the page. In: a Confirmation."""

from pathlib import Path

from xa_search.records.confirmation import Confirmation, Repeated
from xa_search.records.report import ReportSection

SECTION = "confirm.json"
"""What the page of a search has of its confirmation."""


def repeated_cells(confirmation: Confirmation) -> tuple[list[str], list[list[str]]]:
    """Return titles and a row for each setting that ran again: its selection scores by seed, and their mean."""
    seeds = sorted({seed for one in confirmation.runs for seed in one.seeds})
    rows = [
        [
            f"{one.name}{' (winner)' if one is confirmation.winner else ''}",
            "-" if one.searched is None else f"{100 * one.searched:.1f}",
            *(_score(one, seed) for seed in seeds),
            one.told,
        ]
        for one in confirmation.runs
    ]
    return ["selection score", "in the search", *(f"seed {seed}" for seed in seeds), "mean, 95% interval"], rows


def gain_cells(confirmation: Confirmation) -> tuple[list[str], list[list[str]]]:
    """Return titles and a row for each gain on the test sets."""
    rows = [
        [gain.lang, gain.metric, gain.over, f"{gain.points:+.1f}", f"[{gain.low:+.1f}, {gain.high:+.1f}]", gain.told_of]
        for gain in confirmation.gains
    ]
    return ["language", "metric", "gain over", "points", "95% interval", "tells of"], rows


def write_section(confirmation: Confirmation, directory: Path) -> Path:
    """Write what the page of a search has of its confirmation, and return the path."""
    columns, rows = repeated_cells(confirmation)
    gains = (f"{row[0]}, {row[1]}: {row[3]} {row[4]} over {row[2]}" for row in gain_cells(confirmation)[1])
    section = ReportSection(
        sentences=(*confirmation.sentences, *gains), columns=tuple(columns), rows=tuple(tuple(row) for row in rows)
    )
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / SECTION
    path.write_text(section.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return path


def _score(one: Repeated, seed: int) -> str:
    return f"{100 * one.scores[one.seeds.index(seed)]:.1f}" if seed in one.seeds else "-"
