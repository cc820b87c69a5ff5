"""What the report says of a search's cost. In: a SearchCost. Out: rows, a line, and files made of them."""

import json
from dataclasses import asdict
from pathlib import Path

from xa_search.records import SearchCost
from xa_search.tracking.report_files import as_markdown, write_files

COST_COLUMNS = ("part", "seconds", "percent")


def cost_rows(cost: SearchCost) -> list[list[str]]:
    """Return a row for each part of the wall time: its seconds and its share in percent; the largest first."""
    parts = sorted(cost.parts.items(), key=lambda item: -item[1])
    return [[part, f"{seconds:.1f}", f"{100 * seconds / cost.wall:.1f}"] for part, seconds in parts]


def cost_summary(cost: SearchCost) -> str:
    """Return one line: the wall time, how many trials ran side by side, and how busy the hardware was."""
    gpu = "" if cost.gpu_utilisation is None else f", GPUs {100 * cost.gpu_utilisation:.0f} % while training"
    busy = f"cores {100 * cost.core_utilisation:.0f} % busy{gpu}"
    return f"{cost.wall:.0f} s of wall time, {cost.slots} trials side by side, {busy}"


def write_cost(cost: SearchCost, directory: Path) -> tuple[Path, ...]:
    """Write cost.md and cost.json, and return their paths."""
    table = as_markdown(COST_COLUMNS, cost_rows(cost))
    text = f"# Where the wall time went\n\n{cost_summary(cost)}\n\n{table}"
    return write_files(directory, {"cost.md": text, "cost.json": json.dumps(asdict(cost), indent=2) + "\n"})
