"""How far a model's probabilities can be trusted. In: test metrics. Out: rows by language, and their cells.

The error is the expected calibration error in points: by how much probabilities miss the share that is right.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

CALIBRATED = {"intent": "intent_ece", "slot": "slot_ece"}
"""The metrics of the calibration error, by what is predicted; `raw_` before them is without the temperatures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationRow:
    """The calibration errors of a language in points, by what is predicted: before and after the temperatures."""

    lang: str
    before: Mapping[str, float]
    after: Mapping[str, float]


def calibration_rows(metrics: Mapping[str, float], languages: Sequence[str]) -> tuple[CalibrationRow, ...]:
    """Return a row for each language whose calibration was measured; none of a search that an earlier version ended."""
    rows = [
        CalibrationRow(lang=lang, before=_errors(metrics, "raw_", lang), after=_errors(metrics, "", lang))
        for lang in languages
    ]
    return tuple(row for row in rows if row.after)


def calibration_cells(rows: Sequence[CalibrationRow]) -> tuple[list[str], list[list[str]]]:
    """Return the titles and the cells of a table of one row or more."""
    kinds = list(rows[0].after)
    titles = ["language", *(f"{kind}: {part}" for kind in kinds for part in ("before", "after"))]
    return titles, [
        [row.lang, *(f"{part[kind]:.1f}" for kind in kinds for part in (row.before, row.after))] for row in rows
    ]


def _errors(metrics: Mapping[str, float], prefix: str, lang: str) -> dict[str, float]:
    found = {kind: metrics.get(f"test_{prefix}{name}_{lang}") for kind, name in CALIBRATED.items()}
    return {kind: 100 * value for kind, value in found.items() if value is not None}
