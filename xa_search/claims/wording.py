"""What a measurement was made on, in words. In: tests. Out: lines that name trials, sizes, seeds and deviations."""

from collections.abc import Sequence

from xa_search.claims.comparing import CorpusTests, scores
from xa_search.claims.evidence import Evidence
from xa_search.claims.statements import PAPER_SIZE, Claim
from xa_search.training.intervals import RESAMPLES

FOOTNOTES = (
    f"Intervals: 95%, percentile bootstrap over test utterances, {RESAMPLES:,} resamples, fixed seed; the answers of "
    "all systems to an utterance, and utterances of the same id in several languages, are drawn together. Of one seed, "
    "they tell of the test sets' size, not of another training.",
    "Where searches of several seeds are given, a score is the mean over them, and seeds are drawn again like "
    "utterances, the same for all systems; few seeds make that part too small. Of several trials with one seed, the "
    "one counts that selection preferred.",
    "Slot F1 is conlleval's over IOB2 tags. A claim holds where the whole interval lies above its floor and reaches "
    "what the paper states, fails where it does not reach that, and is undecided else.",
)


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
    if any(one.selection == "target_dev" for one in tests):
        notes.append("labelled target data chose the trials")
    if absent := [corpus for corpus in claim.corpora if corpus not in {part.corpus for part in parts}]:
        notes.append(f"without {', '.join(absent)}")
    seeds = [len(tests) for part in parts for tests in part.systems.values()]
    range_of_seeds = f"{max(seeds)}" if min(seeds) == max(seeds) else f"{min(seeds)} to {max(seeds)}"
    notes.append("one seed" if max(seeds) == 1 else f"{range_of_seeds} seeds a system")
    return tuple(notes)
