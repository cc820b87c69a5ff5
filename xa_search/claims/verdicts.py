"""The verdict on each claim. In: claims, evidence, published scores. Out: rulings, as table cells and files; none
without a measurement.

A claim holds where the whole 95% interval lies above its floor and reaches into the range that it states; it fails
where the interval lies outside that range. Else the interval leaves it undecided.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import inf, isfinite
from pathlib import Path
from typing import Any, Literal

from xa_search.claims.evidence import CorpusTests, Evidence, difference, find_tests, scores
from xa_search.claims.statements import LANGUAGES, PAPER_SIZE, Claim, Published, find_published
from xa_search.training.metrics import RESAMPLES, Interval
from xa_search.training.registry import selection_rule

FOOTNOTES = (
    f"Intervals: 95%, percentile bootstrap over test utterances, {RESAMPLES:,} resamples, fixed seed; the answers of "
    "all systems to an utterance, and utterances of the same id in several languages, are drawn together. Of one seed, "
    "they reflect the size of the test sets, not what another training would give.",
    "Where searches of several seeds are given, a score is the mean over them, and seeds are drawn again like "
    "utterances, the same for all systems; few seeds make that part too small. Of several trials with one seed, the "
    "one counts that selection preferred.",
    "Slot F1 is conlleval's over IOB2 tags. A claim holds where the whole interval lies above its floor and reaches "
    "what the paper states, fails where it does not reach that, and is undecided else.",
)
Verdict = Literal["holds", "fails", "undecided", "not measured"]
COLUMNS = ("claim", "needs", "paper", "ours [95%]", "verdict")


def named(one: Evidence) -> str:
    """Name a trial."""
    return f"trial {one.trial} of {one.search_id}"


def systems_line(part: CorpusTests, metric: str) -> str:
    """Say what each system scored, and where."""
    found = []
    for system, score in scores(part, metric).items():
        tests = part.systems[system]
        size = tests[0].settings.model_size
        found.append(f"{system.method} {size} {score:.1f} ({', '.join(map(named, tests))})")
    utterances = sum(len(ids) for ids in part.utterances.values())
    return f"{part.corpus}, {utterances:,} utterances in {', '.join(part.languages)}: {'; '.join(found)}"


def deviations(claim: Claim, parts: Sequence[CorpusTests]) -> tuple[str, ...]:
    """Say in what the measurement is not the paper's."""
    tests = [one for part in parts for seeds in part.systems.values() for one in seeds]
    notes = []
    shares_size = any(system.size is None for system in claim.compare.needed)
    sizes = {one.settings.model_size for one in tests}
    if shares_size and sizes != {PAPER_SIZE}:
        notes.append(f"size {', '.join(sorted(sizes))}, the paper's is {PAPER_SIZE}")
    if limits := sorted({one.settings.train_limit for one in tests if one.settings.train_limit is not None}):
        notes.append(f"at most {', '.join(map(str, limits))} training utterances")
    if limits := sorted({one.settings.test_limit for one in tests if one.settings.test_limit is not None}):
        notes.append(f"at most {', '.join(map(str, limits))} test utterances a language")
    if any(selection_rule(one.selection).reads_target_labels for one in tests):
        notes.append("labelled target data chose the trials")
    if absent := [corpus for corpus in claim.corpora if corpus not in {part.corpus for part in parts}]:
        notes.append(f"without {', '.join(absent)}")
    seeds = [len(tests) for part in parts for tests in part.systems.values()]
    range_of_seeds = f"{max(seeds)}" if min(seeds) == max(seeds) else f"{min(seeds)} to {max(seeds)}"
    notes.append("one seed" if max(seeds) == 1 else f"{range_of_seeds} seeds a system")
    return tuple(notes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What became of a claim: our value, in points or as a cosine, the verdict and why.

    `measured` says on what, `notes` in what it is not as in the paper.
    """

    claim: Claim
    value: Interval | None
    verdict: Verdict
    why: str
    measured: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def judge(claim: Claim, evidence: Sequence[Evidence], literature: Sequence[Published]) -> Ruling:
    """Measure a claim and rule on it, or say what is missing."""
    if claim.metric == "closeness":
        return _judge_closeness(claim, evidence)
    published, languages = None, LANGUAGES
    if claim.compare.literature is not None:
        published = find_published(literature, claim.compare.literature, claim.corpora[0], claim.metric)
        if published is None:
            system = f"{claim.compare.literature} on {claim.corpora[0]}"
            return _unmeasured(claim, f"the published {claim.metric} score of {system} is not given: --literature FILE")
        languages = {published.corpus: published.languages}
    parts = find_tests(claim, evidence, languages)
    if isinstance(parts, str):
        return _unmeasured(claim, parts)
    value = difference(parts, claim.metric, claim.compare, published.value if published else 0.0)
    measured = [systems_line(part, claim.metric) for part in parts]
    measured += [f"{published.system} {published.value:.1f}: {published.source}"] if published else []
    return _ruled(claim, value, tuple(measured), deviations(claim, parts))


def _judge_closeness(claim: Claim, evidence: Sequence[Evidence]) -> Ruling:
    """Rule by the model that came closer the least."""
    methods = {system.method for system in claim.compare.plus}
    aligned = [one for one in evidence if one.settings.method in methods]
    seen = [(one, one.closer) for one in aligned if one.closer is not None]
    if not seen:
        wanted = ", ".join(f"xa-search inspect {one.search_id} --trial {one.trial}" for one in aligned)
        return _unmeasured(claim, f"not inspected: {wanted}" if aligned else "no search has a tested xeroalign trial")
    least, value = min(seen, key=lambda pair: pair[1].low)
    notes = (f"the one that came closer the least, of {len(seen)}",) if len(seen) > 1 else ()
    where = f"{least.corpus}: last layer, cosine of translations above that of random pairs, {named(least)}"
    return _ruled(claim, value, (where,), notes)


def _ruled(claim: Claim, value: Interval, measured: tuple[str, ...], notes: tuple[str, ...]) -> Ruling:
    verdict, why = verdict_of(claim, value)
    return Ruling(claim=claim, value=value, verdict=verdict, why=why, measured=measured, notes=notes)


def verdict_of(claim: Claim, value: Interval) -> tuple[Verdict, str]:
    """Hold an interval against what a claim states."""
    least, most = claim.reaches
    wanted = f"{least:g} or more" if most == inf else f"{least:g} to {most:g}"
    if value.high < least or value.low > most:
        where = "below" if value.high < least else "above"
        real = ", though above 0" if where == "below" and value.low > 0 else ""
        return "fails", f"the interval lies {where} {wanted}{real}"
    if value.low > claim.floor:
        reach = "" if least == claim.floor else f" and reaches {wanted}"
        return "holds", f"the interval lies above {claim.floor:g}{reach}"
    return "undecided", f"the interval reaches {wanted}, but goes down to {claim.floor:g} or below"


def _unmeasured(claim: Claim, why: str) -> Ruling:
    return Ruling(claim=claim, value=None, verdict="not measured", why=why)


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
