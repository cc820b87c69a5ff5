"""The winner. In: the records of a search. Out: the best trial that used its full budget, and which keep their weights.

Only the selection score counts; a trial that was stopped early or failed cannot win.
"""

from collections.abc import Iterable

from xa_search.errors import XaSearchError
from xa_search.records import TrialRecord


def choose_winner(trials: Iterable[TrialRecord]) -> TrialRecord:
    """Return the complete trial with the best score; of equal ones, the earlier."""
    complete = _complete(trials)
    if not complete:
        raise XaSearchError("no trial used its full budget, so there is no winner; run more with --trials")
    return complete[0]


def best_of_each_kind(trials: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Return the best complete trial of each method and model size, the winner first."""
    best: dict[tuple[str, str], TrialRecord] = {}
    for trial in _complete(trials):
        best.setdefault((trial.settings.method, trial.settings.model_size), trial)
    return list(best.values())


def without_weights(trials: Iterable[TrialRecord], keep: int) -> list[TrialRecord]:
    """Return the ended trials whose weights nobody needs: all but the `keep` best, the first of them the winner.

    The baseline's stay too. The order of what has ended never changes, so that more trials call none of them back.
    """
    complete = _complete(trials := tuple(trials))
    kept = {trial.number for trial in (*complete[:keep], *(one for one in complete if one.role == "baseline"))}
    return [trial for trial in trials if trial.state in ("COMPLETE", "PRUNED", "FAIL") and trial.number not in kept]


def _complete(trials: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Return the trials that used their full budget, the best first."""
    complete = [trial for trial in trials if trial.state == "COMPLETE" and trial.score is not None]
    return sorted(complete, key=_rank)


def _rank(trial: TrialRecord) -> tuple[float, int]:
    return -(trial.score if trial.score is not None else float("-inf")), trial.number
