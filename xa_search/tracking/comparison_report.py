"""What a winner is compared with besides trials, in words. In: a SearchRecord. Out: lines, cells of a table, JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from xa_search.records import FairBaseline, FloorScore, SearchRecord


def floor_line(record: SearchRecord) -> str:
    """Say that there is no champion, and why; empty where the winner is above what takes no training."""
    return f"No champion: {record.at_floor}." if record.at_floor else ""


def shown_lines(record: SearchRecord) -> str:
    """Say what the winner is shown to have beyond the zero-shot trial and the floors; empty where nobody looked."""
    if not record.shown:
        return ""
    head = "On the rows that were held out and selected no trial, scored as `label_free` scores, the winner is\n\n"
    return head + "".join(f"- {one.sentence}\n" for one in record.shown)


def fair_line(record: SearchRecord) -> str:
    """Say what the fair baseline is, or why there is none; empty for a search of an earlier version."""
    if record.fair_baseline is None:
        return f"{record.no_fair_baseline[:1].upper()}{record.no_fair_baseline[1:]}." if record.no_fair_baseline else ""
    seeds = record.fair_baseline.seeds
    how = f"trained with the fresh seeds {', '.join(map(str, seeds))}" if seeds else "trained once"
    return (
        f"Fair: the winner's settings, seed and steps without alignment, {how}, no trial of the search; "
        f"selection score {100 * record.fair_baseline.score:.1f}. What is gained over it, alignment gained."
    )


def floor_cells(floors: Sequence[FloorScore], means: Mapping[str, str]) -> tuple[list[str], list[list[str]]]:
    """Return titles and a row for each floor; `means` are names of test metrics by their title."""
    known = {title: name for title, name in means.items() if all(name in floor.test_metrics for floor in floors)}
    rows = [
        [floor.name, f"{100 * floor.score:.1f}", *(f"{100 * floor.test_metrics[name]:.1f}" for name in known.values())]
        for floor in floors
    ]
    return ["without training", "selection score", *known], rows


def fair_object(fair: FairBaseline | None) -> dict[str, Any] | None:
    """Return a fair baseline as report.json has it."""
    if fair is None:
        return None
    return {**asdict(fair), "settings": fair.settings.model_dump(mode="json"), "seeds": list(fair.seeds)}
