"""When a search has no hope. In: how its trials failed. Out: one line that says so, or nothing."""

from collections import Counter
from collections.abc import Sequence

from xa_search.records import TrialRecord
from xa_search.search.failures import Failure

SAME_ERROR_LIMIT = 3
LOST_TRIALS_LIMIT = 3


def hopeless(failures: Sequence[Failure | None]) -> str:
    """Say why to give up: the first trials of this run all died of one code error, or workers keep dying."""
    codes = [one for one in failures[:SAME_ERROR_LIMIT] if one is not None and one.failure == "code"]
    if len(codes) == SAME_ERROR_LIMIT and len({one.frame for one in codes}) == 1:
        return f"the first {SAME_ERROR_LIMIT} trials all failed: {codes[-1].text}; correct this code"
    lost = [one for one in failures if one is not None and one.failure == "lost_worker"]
    if len(lost) >= LOST_TRIALS_LIMIT:
        return f"{len(lost)} trials lost their workers for good: {lost[-1].text}; check the nodes"
    return ""


def all_failed(trials: Sequence[TrialRecord]) -> str:
    """Return the line for a search whose every trial failed: the causes, counted, and the last one's words."""
    counts = Counter(str(trial.failure) for trial in trials)
    listed = ", ".join(f"{count} {failure}" for failure, count in counts.most_common())
    last = trials[-1]
    return (
        f"all {len(trials)} trials failed ({listed}); trial {last.number}: {last.failure_text}; "
        f"remove the cause and run more with --trials {len(trials) + 4}"
    )
