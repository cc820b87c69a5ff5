"""Audits of selection rules, in files, and pooled over searches. In: SelectionAudits. Out: cells, JSON, means."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
from pydantic import TypeAdapter, ValidationError
from scipy.stats import t as student

from xa_search.claims.audit import GUARDED, LABEL_FREE, ORACLE, RULES, SOURCE_DEV, AuditRow, SelectionAudit
from xa_search.errors import UsageError
from xa_search.records.report import ReportSection
from xa_search.tracking.report import as_csv, as_markdown, write_files
from xa_search.training.statistics import Interval

AUDIT = "selection_audit.json"
SECTION = "audit.json"
"""What the page of a search has of its audit."""
LEVEL = 0.90
ENOUGH_SEARCHES = 3
_AUDIT = TypeAdapter(SelectionAudit)
FOOTER = "No rule was chosen from this table: the search had its winner before."


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledRow:
    """A rule over several searches: its mean regret in points, and in how many it had the smallest of all rules."""

    rule: str
    searches: int
    regret: float
    wins: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledDifference:
    """By how much more regret one rule has than another, in points, with its 90% interval over searches.

    The interval is none of fewer than three searches. `better` counts those in which the first rule had less.
    """

    rule: str
    other: str
    searches: int
    points: float
    low: float | None
    high: float | None
    better: int
    worse: int

    @property
    def sentence(self) -> str:
        """Say it in one line."""
        if self.low is None or self.high is None:
            told = f"{self.searches} searches, too few for an interval"
        else:
            told = f"90% interval {self.low:+.2f} to {self.high:+.2f} over {self.searches} searches"
        return (
            f"{self.rule} minus {self.other}: {self.points:+.2f} points of regret, {told}; "
            f"less in {self.better}, more in {self.worse}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledAudit:
    """Several searches' audits as one."""

    searches: tuple[str, ...]
    rows: tuple[PooledRow, ...]
    differences: tuple[PooledDifference, ...]

    @property
    def verdict(self) -> str:
        """Say whether `guarded` is shown to be the better default."""
        found = next((one for one in self.differences if (one.rule, one.other) == (GUARDED, SOURCE_DEV)), None)
        if found is None or found.high is None:
            return f"whether {GUARDED} should be the default is not shown: fewer than {ENOUGH_SEARCHES} searches"
        if found.high < 0:
            return f"{GUARDED} has less regret than {SOURCE_DEV}: shown on {found.searches} searches"
        return f"{GUARDED} is not shown to have less regret than {SOURCE_DEV}: the interval holds 0"


def audit_cells(audit: SelectionAudit) -> tuple[list[str], list[list[str]]]:
    """Return titles and a row a rule."""
    titles = ["rule", "pick", "target test", "95%", "regret", "95%", "rank correlation", "95%"]
    return titles, [_cells(row, audit) for row in audit.rows]


def write_audit(audit: SelectionAudit, directory: Path) -> tuple[Path, ...]:
    """Write selection_audit.md, .csv and .json, and what the page has of them; return their paths."""
    titles, cells = audit_cells(audit)
    everyone = ", ".join(f"{rule} trial {number}" for rule, number in audit.with_zero_shot.items())
    noise = (
        "Noise of the seed: not measured; `confirm` does."
        if audit.noise is None
        else f"Noise of the seed: {audit.noise:.1f} points, the standard deviation of the winner's test score over "
        "fresh seeds; a regret below it (marked ~) is none that a rule can be blamed for."
    )
    left_out = f" {audit.left_out} complete trials have no weights left and are not in it." if audit.left_out else ""
    text = f"""# Selection rules, audited: {audit.search_id}

The search chose by `{audit.selection}`. Mean over targets of intent accuracy and slot F1 on the test sets, percent and
points; {audit.tested} of {audit.candidates} aligned trials were tested, one seed each, and intervals are over
utterances.{left_out}
With the zero-shot trial among them the rules pick: {everyone}.

{as_markdown(titles, cells)}
{noise} {FOOTER}
"""
    json_text = _AUDIT.dump_json(audit, indent=2).decode() + "\n"
    section = ReportSection(
        sentences=(f"{audit.tested} of {audit.candidates} aligned trials were tested, one seed each. {FOOTER}",),
        columns=tuple(titles),
        rows=tuple(tuple(row) for row in cells),
    )
    texts = {
        SECTION: section.model_dump_json(indent=1) + "\n",
        "selection_audit.md": text,
        "selection_audit.csv": as_csv(titles, cells),
        AUDIT: json_text,
    }
    return write_files(directory, texts)


def read_audit(report: Path, search_id: str) -> SelectionAudit:
    """Return the audit in a search's report folder. Raises UsageError where there is none."""
    try:
        return _AUDIT.validate_json((report / AUDIT).read_bytes())
    except (OSError, ValidationError):
        raise UsageError(
            f"search {search_id} has no audit of its selection rules; type the same `xa-search run` again with "
            "--set audit=all (or audit=picks)"
        ) from None


def pool(audits: Sequence[SelectionAudit]) -> PooledAudit:
    """Return mean regrets, wins and paired differences over searches; a rule counts where it has a row."""
    regrets = [{row.rule: row.regret.value for row in one.rows if row.rule != ORACLE} for one in audits]
    names = dict.fromkeys(name for one in regrets for name in one)
    wins = dict.fromkeys(names, 0.0)
    for one in regrets:
        ruled = {name: value for name, value in one.items() if name in RULES}
        best = [name for name, value in ruled.items() if value <= min(ruled.values()) + 1e-9]
        for name in best:
            wins[name] += 1 / len(best)
    rows = []
    for name in names:
        own = [one[name] for one in regrets if name in one]
        rows.append(PooledRow(rule=name, searches=len(own), regret=fmean(own), wins=wins[name]))
    pairs = [(GUARDED, SOURCE_DEV), (GUARDED, LABEL_FREE), (LABEL_FREE, SOURCE_DEV)]
    pairs += [(GUARDED, name) for name in names if name not in (GUARDED, SOURCE_DEV, LABEL_FREE)]
    differences = [
        paired_difference(rule, other, [one[rule] - one[other] for one in regrets if rule in one and other in one])
        for rule, other in pairs
        if any(rule in one and other in one for one in regrets)
    ]
    searches = tuple(one.search_id for one in audits)
    return PooledAudit(searches=searches, rows=tuple(rows), differences=tuple(differences))


def paired_difference(rule: str, other: str, differences: Sequence[float]) -> PooledDifference:
    """Return the mean of paired differences over searches, with its 90% interval by Student's t."""
    count, middle = len(differences), fmean(differences)
    half = None
    if count >= ENOUGH_SEARCHES:
        half = float(student.ppf((1 + LEVEL) / 2, count - 1) * np.std(differences, ddof=1) / np.sqrt(count))
    return PooledDifference(
        rule=rule,
        other=other,
        searches=count,
        points=middle,
        low=None if half is None else middle - half,
        high=None if half is None else middle + half,
        better=sum(one < 0 for one in differences),
        worse=sum(one > 0 for one in differences),
    )


def write_pooled(pooled: PooledAudit, directory: Path) -> tuple[Path, ...]:
    """Write audit.md and audit.json, and return their paths."""
    lines = "".join(f"- {one.sentence}\n" for one in pooled.differences)
    text = (
        f"# Selection rules over {len(pooled.searches)} searches\n\n{', '.join(pooled.searches)}\n\n"
        f"{as_markdown(*pooled_cells(pooled))}\n{lines}\n{pooled.verdict}.\n"
    )
    content = TypeAdapter(PooledAudit).dump_json(pooled, indent=2).decode() + "\n"
    return write_files(directory, {"audit.md": text, "audit.json": content})


def pooled_cells(pooled: PooledAudit) -> tuple[list[str], list[list[str]]]:
    """Return titles and a row a rule, the least regret first."""
    rows = sorted(pooled.rows, key=lambda row: row.regret)
    cells = [
        [row.rule, str(row.searches), f"{row.regret:.2f}", f"{row.wins:g}" if row.rule in RULES else "-"]
        for row in rows
    ]
    return ["rule", "searches", "mean regret", "wins"], cells


def _cells(row: AuditRow, audit: SelectionAudit) -> list[str]:
    in_noise = audit.noise is not None and row.rule != ORACLE and abs(row.regret.value) < audit.noise
    correlation = row.correlation
    return [
        row.rule,
        "-" if row.pick is None else f"trial {row.pick}",
        f"{row.score.value:.1f}",
        _range(row.score, ".1f"),
        f"{row.regret.value:+.1f}{' ~' if in_noise else ''}",
        "-" if row.rule == ORACLE else _range(row.regret, "+.1f"),
        "-" if correlation is None else f"{correlation.value:+.2f}",
        "-" if correlation is None else _range(correlation, "+.2f"),
    ]


def _range(one: Interval, shape: str) -> str:
    return "-" if one.low == one.high else f"{one.low:{shape}} to {one.high:{shape}}"
