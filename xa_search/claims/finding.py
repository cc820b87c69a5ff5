"""The tests that a claim is measured on. In: a claim and evidence. Out: the tests by corpus, or what is missing."""

from collections.abc import Mapping, Sequence

from xa_search.claims.comparing import CorpusTests
from xa_search.claims.evidence import Evidence
from xa_search.claims.statements import Claim, System

SIZES = ("large", "base", "small")
"""The paper's size first, then the nearest."""


def find_tests(
    claim: Claim, evidence: Sequence[Evidence], languages: Mapping[str, tuple[str, ...]]
) -> list[CorpusTests] | str:
    """Return the tests of all systems that a claim compares, of one size; else in words what is missing."""
    sizes = _sizes(evidence)
    for size in sizes:
        found = [_tests(claim, corpus, size, evidence, languages[corpus]) for corpus in claim.corpora]
        parts = [one for one in found if one is not None]
        if parts and (len(parts) == len(found) or not claim.every_corpus):
            return parts
    gaps = [_gap(claim, corpus, evidence, languages[corpus]) for corpus in claim.corpora]
    return "; ".join(filter(None, gaps)) or "no size was tested on every corpus"


def _sizes(evidence: Sequence[Evidence]) -> list[str]:
    tested = {one.settings.model_size for one in evidence}
    return [size for size in SIZES if size in tested] + sorted(tested.difference(SIZES))


def _tests(
    claim: Claim, corpus: str, size: str, evidence: Sequence[Evidence], languages: tuple[str, ...]
) -> CorpusTests | None:
    compared = (*claim.compare.needed, *claim.compare.if_tested)
    found = {system: _of(system, corpus, size, evidence, languages) for system in compared}
    if not all(found[system] for system in claim.compare.needed):
        return None
    tests = CorpusTests(
        corpus=corpus,
        languages=languages,
        systems={system: seeds for system, seeds in found.items() if seeds},
    )
    return tests if all(tests.utterances.values()) else None


def _of(
    system: System, corpus: str, size: str, evidence: Sequence[Evidence], languages: tuple[str, ...]
) -> tuple[Evidence, ...]:
    return tuple(
        one
        for one in evidence
        if (one.corpus, one.settings.method) == (corpus, system.method)
        and one.settings.model_size == (system.size or size)
        and all(one.tested_in(lang) for lang in languages)
    )


def _gap(claim: Claim, corpus: str, evidence: Sequence[Evidence], languages: tuple[str, ...]) -> str:
    """Say what a corpus lacks, at the size that lacks the least; nothing where it lacks nothing."""
    own = [one for one in evidence if one.corpus == corpus]
    if not own:
        return f"no finished search on {corpus}"
    gaps = []
    for size in _sizes(own):
        if _tests(claim, corpus, size, own, languages) is not None:
            return ""
        systems = dict.fromkeys(claim.compare.needed)
        lacking = [system for system in systems if not _of(system, corpus, size, own, languages)]
        gaps.append([f"{system.method} {system.size or size}" for system in lacking])
    fewest = min(gaps, key=len)
    if not fewest:
        return f"{corpus}: the systems share no test utterance"
    return f"{corpus}: not tested in {', '.join(languages)}: {', '.join(fewest)}"
