"""The winner. In: the records of a search. Out: the best trial that used its full budget, and which keep their weights.

Also why there is none: a search that was to align, and in which no aligned trial used its full budget, says nothing.

Only the selection score counts; a trial that was stopped early or failed cannot win. Where the rule has a gate
(`guarded`), a trial outside it cannot win either while there is one inside.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from xa_search.errors import XaSearchError
from xa_search.records import TrialRecord
from xa_search.records.trial import ZERO_SHOT_ROLES
from xa_search.training.methods import ZERO_SHOT
from xa_search.training.selection import GATE, ROWS

ENDS = {"PRUNED": "stopped early"}
NARROWEST, WIDEST = 0.005, 0.02
"""How far below the best `label_free` score a trial of a gated rule may lie."""


def is_aligned(trial: TrialRecord) -> bool:
    """Whether a trial learned from more than the labelled source utterances."""
    return trial.settings.method != ZERO_SHOT.name


def no_aligned_trial(trials: Sequence[TrialRecord]) -> str:
    """Say why a search has no winner; empty where it has one.

    A zero-shot trial that used its full budget is no winner where trials that align began: then it has beaten nothing.
    """
    wanted = [trial for trial in trials if is_aligned(trial)] or list(trials)
    if complete_trials(wanted):
        return ""
    kind = "that align" if len(wanted) < len(trials) else "of the search"
    counts = Counter(trial.failure or ENDS.get(trial.state, "not ended") for trial in wanted)
    listed = ", ".join(f"{count} {cause}" for cause, count in counts.most_common())
    failed = [trial for trial in wanted if trial.failure is not None]
    last = f"trial {failed[-1].number}: {failed[-1].failure_text}; remove the cause and " if failed else ""
    return (
        f"none of the {len(wanted)} trials {kind} used its full budget ({listed}), so there is no winner; "
        f"{last}run more with --trials {len(trials) + 4}"
    )


def choose_winner(trials: Iterable[TrialRecord]) -> TrialRecord:
    """Return the complete trial with the best score; of equal ones, the earlier. Raises XaSearchError for none."""
    if reason := no_aligned_trial(trials := tuple(trials)):
        raise XaSearchError(reason)
    return complete_trials(trials)[0]


def best_zero_shot(trials: Iterable[TrialRecord]) -> TrialRecord | None:
    """Return what gains are told against: the best of the baseline and of zero-shot's own search; none where no such
    trial is complete.
    """
    return next((trial for trial in complete_trials(trials) if trial.role in ZERO_SHOT_ROLES), None)


def best_of_each_kind(trials: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Return the best complete trial of each method and model size, the winner first."""
    best: dict[tuple[str, str], TrialRecord] = {}
    for trial in complete_trials(trials):
        best.setdefault((trial.settings.method, trial.settings.model_size), trial)
    return list(best.values())


def without_weights(trials: Iterable[TrialRecord], keep: int) -> list[TrialRecord]:
    """Return the ended trials whose weights nobody needs: all but the `keep` best, the first of them the winner.

    The best zero-shot trial's stay too. The order of what has ended never changes, so that more trials call none of
    them back.
    """
    complete = complete_trials(trials := tuple(trials))
    kept = {trial.number for trial in (*complete[:keep], best_zero_shot(trials)) if trial is not None}
    return [trial for trial in trials if trial.state in ("COMPLETE", "PRUNED", "FAIL") and trial.number not in kept]


def complete_trials(trials: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Return the trials that used their full budget, the best first; those outside the rule's gate come last."""
    complete = sorted((one for one in trials if one.state == "COMPLETE" and one.score is not None), key=_rank)
    if not all(GATE in trial.metrics for trial in complete):
        return complete
    inside = in_gate([(trial.metrics[GATE], trial.metrics.get(ROWS, 0.0)) for trial in complete])
    return [complete[place] for place in sorted(range(len(complete)), key=lambda place: not inside[place])]


def in_gate(scores: Sequence[tuple[float, float]]) -> list[bool]:
    """Tell which scores are not told apart from the best one; each comes with the number of rows that it is of.

    They lie within one standard error of the best score, which is at least NARROWEST and at most WIDEST.
    """
    if not scores:
        return []
    best, rows = max(scores)
    error = (best * (1 - best) / rows) ** 0.5 if rows and 0 < best < 1 else WIDEST
    width = min(WIDEST, max(NARROWEST, error))
    return [score >= best - width for score, _ in scores]


def _rank(trial: TrialRecord) -> tuple[float, int]:
    return -(trial.score if trial.score is not None else float("-inf")), trial.number
