"""What a benchmark writes. In: figures. Out: their spread, the command that made them, a JSON file."""

import json
import os
import sys
from pathlib import Path
from statistics import median, quantiles
from typing import Any


def spread(values: list[float]) -> dict[str, float]:
    """Return median, range and quartiles of some measurements."""
    lower, _, upper = quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    figures = {
        "median": median(values),
        "min": min(values),
        "max": max(values),
        "lower_quartile": lower,
        "upper_quartile": upper,
    }
    return {name: float(f"{value:.4g}") for name, value in figures.items()}


def command_line() -> str:
    """Return the command of this process, without the folders of this machine."""
    words = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:]]
    return " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *words])


def write_json(path: Path, result: dict[str, Any]) -> None:
    """Write a result beside its place, then move it there: a killed benchmark leaves the last whole file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".partial")
    temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, path)
