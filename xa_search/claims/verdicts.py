"""The verdict on each claim. In: claims, evidence, published scores. Out: rulings; none without a measurement.

A claim holds where the whole 95% interval lies above its floor and reaches into the range that it states; it fails
where the interval lies outside that range. Else the interval leaves it undecided.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal

from xa_search.claims.comparing import difference
from xa_search.claims.evidence import Evidence
from xa_search.claims.finding import find_tests
from xa_search.claims.literature import Published, find_published
from xa_search.claims.statements import LANGUAGES, Claim
from xa_search.claims.wording import deviations, named, systems_line
from xa_search.training.intervals import Interval

Verdict = Literal["holds", "fails", "undecided", "not measured"]


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
