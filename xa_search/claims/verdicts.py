"""The verdict on each claim. In: claims, evidence, published scores. Out: rulings, as table cells and files; none
without a measurement.

Direction and size are two verdicts. The direction holds where the whole 95% interval lies above the claim's floor, and
fails where it lies below. The size, where the paper states one, holds where the whole interval lies within its range,
and fails where the interval lies outside. Else each is undecided. An interval that only narrows turns neither.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import inf, isfinite
from pathlib import Path
from typing import Any, Literal

from xa_search.claims.comparing import (
    CorpusTests,
    closer_than,
    difference,
    fair_tests,
    find_tests,
    mean_retrieval,
    scores,
    sizes_of,
)
from xa_search.claims.evidence import Evidence
from xa_search.claims.statements import LANGUAGES, PAPER_SIZE, TRANSLATORS, Claim, Published, find_published
from xa_search.config.plan import BY_CORPUS, EVERYWHERE
from xa_search.training.registry import selection_rule
from xa_search.training.statistics import ENOUGH_SEEDS, Interval

FOOTNOTES = (
    "Intervals: 95%, Student's t over seeds and test utterances; an utterance is its "
    f"id with all its translations, and all systems answer the same ones. With fewer than {ENOUGH_SEEDS} seeds they "
    "reflect the size of the test sets alone, not what another training would give.",
    "What is compared was found in one search, or with equal budgets: training utterances, epochs, trials of its kind "
    "and the rule that ranked them. A score is the mean over the seeds that all systems have.",
    "Slot F1 is conlleval's over IOB2 tags. The direction holds where the whole interval lies above the claim's floor; "
    "the size holds where the whole interval lies within what the paper states, and fails where it lies outside.",
)
Verdict = Literal["holds", "fails", "undecided", "not measured"]
COLUMNS = ("claim", "needs", "paper", "ours [95%]", "direction", "size")


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
    notes += [_epochs(part) for part in parts]
    notes += [f"{part.corpus}: trials tried: {_tried(part)}" for part in parts]
    if any(one.settings.models == "joint" for one in tests):
        notes.append("one model for all targets, the paper has one a target")
    rules = sorted({one.selection for one in tests})
    kept = sorted({one.settings.kept_epoch for one in tests})
    notes.append(f"trials chosen by {', '.join(rules)}, epoch {', '.join(kept)}; the paper's is the last")
    if any(selection_rule(one.selection).reads_target_labels for one in tests):
        notes.append("labelled target data chose the trials")
    notes += [f"{part.corpus}: {_translator(part)}" for part in parts]
    if absent := [corpus for corpus in claim.corpora if corpus not in {part.corpus for part in parts}]:
        notes.append(f"without {', '.join(absent)}")
    seeds = sorted({len(part.seeds) for part in parts})
    few = "" if seeds[0] >= ENOUGH_SEEDS else ": the interval is of the test set alone"
    notes.append(f"one seed{few}" if seeds == [1] else f"{' to '.join(map(str, seeds))} seeds a system{few}")
    return tuple(notes)


def _epochs(part: CorpusTests) -> str:
    """Say how long the systems of a corpus trained, and how long the paper's did."""
    found = sorted({one.settings.epochs for tests in part.systems.values() for one in tests})
    paper = (EVERYWHERE | BY_CORPUS.get(part.corpus, {}))["epochs"]
    return f"{part.corpus}: {', '.join(map(str, found))} epochs, the paper's are {paper}"


def _tried(part: CorpusTests) -> str:
    """Say of how many trials each system is the best, by seed where that differs."""
    return ", ".join(
        f"{system.method} {'/'.join(dict.fromkeys(str(one.tried) for one in tests))}"
        for system, tests in part.systems.items()
    )


def _translator(part: CorpusTests) -> str:
    """Say who translated the training utterances."""
    if any(one.given_translations for tests in part.systems.values() for one in tests):
        return "translations given by --translations"
    return f"{TRANSLATORS.get(part.corpus, 'unknown')} translations"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What became of a claim: our value, in points or as a cosine, the verdict on its direction and why.

    `size` is the verdict on how large the paper says it is, with `size_why`; none where it states no size.

    `measured` says on what, `notes` in what it is not as in the paper.
    """

    claim: Claim
    value: Interval | None
    verdict: Verdict
    why: str
    size: Verdict | None = None
    size_why: str = ""
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
    """Rule by the models that came closer than the unaligned ones by the least, of all corpora and sizes."""
    seen = [one for one in evidence if one.inside is not None]
    (aligned,), (plain,) = claim.compare.plus, claim.compare.minus
    found = []
    for corpus in dict.fromkeys(one.corpus for one in seen):
        own = [one for one in seen if one.corpus == corpus]
        for size, targets in dict.fromkeys((size, one.targets) for size in sizes_of(own) for one in own):
            if (tests := fair_tests(claim, corpus, size, own, targets)) is not None:
                found.append((closer_than(tests, aligned, plain), tests))
    if not found:
        return _unmeasured(claim, _not_inspected(claim, evidence))
    value, tests = min(found, key=lambda pair: pair[0].low)
    measured = [f"{tests.corpus}: last layer, cosine of translations above that of random pairs, {_named_all(tests)}"]
    for system in (aligned, plain):
        before, after = mean_retrieval(tests.systems[system])
        measured.append(f"{system.method} finds {after:.1f}% of the translations, {before:.1f}% before it learned")
    notes = deviations(claim, [tests])
    if len(found) > 1:
        notes += (f"the one that came closer the least, of {len(found)}",)
    return _ruled(claim, value, tuple(measured), notes)


def _not_inspected(claim: Claim, evidence: Sequence[Evidence]) -> str:
    methods = [system.method for system in claim.compare.needed]
    missing = [one for one in evidence if one.settings.method in methods and one.inside is None]
    wanted = ", ".join(f"xa-search inspect {one.search_id} --trial {one.trial}" for one in missing)
    return f"not inspected: {wanted}" if wanted else f"no search has tested trials of {' and '.join(methods)}"


def _named_all(tests: CorpusTests) -> str:
    return "; ".join(f"{system.method} {', '.join(map(named, of_seeds))}" for system, of_seeds in tests.systems.items())


def _ruled(claim: Claim, value: Interval, measured: tuple[str, ...], notes: tuple[str, ...]) -> Ruling:
    verdict, why = direction_of(claim, value)
    size, size_why = size_of(claim, value)
    return Ruling(
        claim=claim, value=value, verdict=verdict, why=why, size=size, size_why=size_why, measured=measured, notes=notes
    )


def direction_of(claim: Claim, value: Interval) -> tuple[Verdict, str]:
    """Hold an interval against a claim's floor."""
    if value.low > claim.floor:
        return "holds", f"the interval lies above {claim.floor:g}"
    if value.high < claim.floor:
        return "fails", f"the interval lies below {claim.floor:g}"
    return "undecided", f"the interval has {claim.floor:g} inside"


def size_of(claim: Claim, value: Interval) -> tuple[Verdict | None, str]:
    """Hold an interval against the range that a claim states; none where that says no more than the direction."""
    least, most = claim.reaches
    if (least, most) == (claim.floor, inf):
        return None, ""
    wanted = f"{least:g} or more" if most == inf else f"{least:g} to {most:g}"
    if least <= value.low and value.high <= most:
        return "holds", f"the interval lies within {wanted}"
    if value.high < least or value.low > most:
        return "fails", f"the interval lies {'below' if value.high < least else 'above'} {wanted}"
    return "undecided", f"the interval lies within {wanted} in part"


def _unmeasured(claim: Claim, why: str) -> Ruling:
    return Ruling(claim=claim, value=None, verdict="not measured", why=why)


def claim_cells(ruling: Ruling) -> list[str]:
    """Return the cells of a ruling under COLUMNS."""
    claim = ruling.claim
    size = "-" if ruling.size is None else f"{ruling.size}: {ruling.size_why}"
    return [
        *(f"{claim.name} {claim.text}", claim.condition, claim.paper, _value(ruling)),
        *(f"{ruling.verdict}: {ruling.why}", size),
    ]


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
            | {"why": ruling.why, "size": ruling.size, "size_why": ruling.size_why}
            | {"over": None if ruling.value is None else ruling.value.over}
            | {"measured": ruling.measured, "notes": ruling.notes}
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
