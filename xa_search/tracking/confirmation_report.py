"""A confirmed winner, in cells of tables and in JSON. In: a Confirmation."""

from dataclasses import asdict
from typing import Any

from xa_search.records.confirmation import Confirmation, Repeated


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


def confirmation_object(confirmation: Confirmation | None) -> dict[str, Any] | None:
    """Return a confirmation as report.json has it."""
    if confirmation is None:
        return None
    return {
        **asdict(confirmation),
        "sentences": confirmation.sentences,
        "luck": confirmation.winner.luck,
        "registered_seed": confirmation.registered_seed,
    }


def _score(one: Repeated, seed: int) -> str:
    return f"{100 * one.scores[one.seeds.index(seed)]:.1f}" if seed in one.seeds else "-"
