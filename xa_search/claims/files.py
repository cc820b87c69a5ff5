"""Rulings as a table. In: rulings. Out: cells, and files: Markdown to read, JSON to go on with."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Any

from xa_search.claims.verdicts import Ruling
from xa_search.claims.wording import FOOTNOTES

COLUMNS = ("claim", "needs", "paper", "ours [95%]", "verdict")


def claim_cells(ruling: Ruling) -> list[str]:
    """Return the cells of a ruling under COLUMNS."""
    claim = ruling.claim
    verdict = f"{ruling.verdict}: {ruling.why}"
    return [f"{claim.name} {claim.text}", claim.condition, claim.paper, _value(ruling), verdict]


def claim_details(ruling: Ruling) -> list[str]:
    """Return in lines what a ruling was measured on."""
    notes = f" ({'; '.join(ruling.notes)})" if ruling.notes else ""
    return [f"{ruling.claim.name}: {line}{notes}" for line in ruling.measured]


def claims_record(rulings: Sequence[Ruling], remarks: Sequence[str]) -> dict[str, Any]:
    """Return everything that is known of the rulings, ready for JSON."""
    rows = []
    for ruling in rulings:
        claim = ruling.claim
        least, most = claim.reaches
        rows.append(
            {"claim": claim.name, "text": claim.text, "source": claim.source, "corpora": claim.corpora}
            | {"condition": claim.condition, "metric": claim.metric, "paper": claim.paper, "floor": claim.floor}
            | {"at_least": least, "at_most": most if isfinite(most) else None}
            | {"value": None if ruling.value is None else asdict(ruling.value), "verdict": ruling.verdict}
            | {"why": ruling.why, "measured": ruling.measured, "notes": ruling.notes}
        )
    return {"claims": rows, "remarks": [*FOOTNOTES, *remarks]}


def write_claims(rulings: Sequence[Ruling], remarks: Sequence[str], directory: Path) -> tuple[Path, ...]:
    """Write claims.md and claims.json, and return their paths."""
    table = [COLUMNS, ["---"] * len(COLUMNS), *map(claim_cells, rulings)]
    lines = ["# The paper's claims", "", *(f"| {' | '.join(cells)} |" for cells in table), ""]
    lines += [f"- {line}" for ruling in rulings for line in claim_details(ruling)]
    lines += ["", *(f"{line}\n" for line in (*FOOTNOTES, *remarks))]
    record = json.dumps(claims_record(rulings, remarks), indent=2, ensure_ascii=False)
    directory.mkdir(parents=True, exist_ok=True)
    paths = directory / "claims.md", directory / "claims.json"
    for path, text in zip(paths, ("\n".join(lines), record + "\n"), strict=True):
        path.write_text(text, encoding="utf-8")
    return paths


def _value(ruling: Ruling) -> str:
    if ruling.value is None:
        return "-"
    value, digits = ruling.value, 3 if ruling.claim.metric == "closeness" else 1
    return f"{value.value:+.{digits}f} [{value.low:+.{digits}f}, {value.high:+.{digits}f}]"
