"""A report in words. In: a SearchReport. Out: what was asked, found and gained in three sentences, and notes on it."""

from collections import Counter
from collections.abc import Iterable

from xa_search.records import TrialState
from xa_search.records.report import LanguageScores, Measured, ReportedTrial, SearchReport
from xa_search.tracking.report import MEAN
from xa_search.training.methods import ZERO_SHOT

ENDS: dict[TrialState, str] = {
    "COMPLETE": "used the full budget",
    "PRUNED": "stopped early",
    "FAIL": "failed",
    "RUNNING": "running",
    "PAUSED": "waiting",
}


def sentences_of(report: SearchReport) -> tuple[str, ...]:
    """Return what was asked, what was found, and what it gained, in a sentence each."""
    return _asked(report), _found(report), _gained(report)


def notes_of(report: SearchReport) -> tuple[str, ...]:
    """Return what a reader must know before the numbers."""
    notes = []
    if report.winner is None and report.state == "over":
        return ("Its tests are not here, as an earlier version ended it: the same `xa-search run` adds them.",)
    if report.winner is None:
        return (
            "Nothing here was tested: the test splits are opened once all trials have ended and a winner is chosen.",
        )
    if report.at_floor:
        notes.append(f"No champion: {report.at_floor}.")
    if not report.zero_shot:
        notes.append("Not zero-shot: labelled target data was read.")
    if report.unseen_languages:
        notes.append(f"Unseen languages, neither aligned nor selected on: {', '.join(report.unseen_languages)}.")
    if report.winner == report.baseline:
        notes.append("The zero-shot trial itself scored best: in this search, no other setting was better.")
    without = [report.metrics[name] for name, one in _mean(report).winner.items() if one.low is None]
    if without:
        notes.append(f"No interval is told of {', '.join(without)}: it was not kept by utterance.")
    if not report.weakest:
        notes.append("What was mistaken for what was not kept: an earlier version tested the winner.")
    notes.append("Intervals are 95%, of the test utterances alone: each model was trained with one seed.")
    return tuple(notes)


def _asked(report: SearchReport) -> str:
    searched = _listed(report.parameters)
    counts = Counter(trial.state for trial in report.trials)
    ends = ", ".join(f"{counts[state]} {words}" for state, words in ENDS.items() if counts[state])
    return (
        f"Asked: which {searched} make a model that learns from labelled {report.source} of {report.corpus} "
        f"({', '.join(report.methods)}) best in {', '.join(report.targets)}, chosen by {report.selection}; of "
        f"{report.wanted} trials wanted, {ends or 'none began'}."
    )


def _found(report: SearchReport) -> str:
    if report.winner is None:
        best = max(
            (trial for trial in report.trials if trial.state == "COMPLETE" and trial.score is not None),
            key=lambda trial: trial.score or 0.0,
            default=None,
        )
        if best is None:
            return "Found: no trial has used its full budget yet."
        return (
            f"Found so far: trial {best.number} ({_settings(best)}) leads with a selection score of {best.score:.1f}."
        )
    winner = next(trial for trial in report.trials if trial.number == report.winner)
    scores = [f"{report.metrics[name]} {_with_interval(one)}" for name, one in _mean(report).winner.items()]
    return (
        f"Found: trial {winner.number} ({_settings(winner)}) won, with a mean over the targets' test sets of "
        f"{'; '.join(scores)} percent."
    )


def _gained(report: SearchReport) -> str:
    if report.winner is None:
        return "Gained: not known before the test."
    mean = _mean(report)
    parts = []
    if report.winner == report.baseline:
        parts.append("over the zero-shot trial nothing, as it won itself")
    elif mean.gain:
        parts.append(f"over the zero-shot trial {_gains(report, mean.gain)}")
    elif report.no_baseline:
        parts.append(f"over zero-shot nothing can be told ({report.no_baseline})")
    if mean.fair_gain:
        parts.append(f"over its own settings without alignment {_gains(report, mean.fair_gain)}")
    elif report.no_fair_baseline:
        parts.append(f"what alignment itself gained cannot be told ({report.no_fair_baseline})")
    return f"Gained, in points: {'; '.join(parts)}."


def _gains(report: SearchReport, gains: dict[str, Measured]) -> str:
    return ", ".join(f"{report.metrics[name]} {_with_interval(one, '+.1f')}" for name, one in gains.items())


def _with_interval(one: Measured, shape: str = ".1f") -> str:
    interval = "" if one.low is None else f" [{one.low:{shape}}, {one.high:{shape}}]"
    return f"{one.value:{shape}}{interval}"


def _settings(trial: ReportedTrial) -> str:
    unused = {name for name in trial.params if name.endswith("_weight")} if trial.method == ZERO_SHOT.name else set()
    values = [f"{name} {_short(value)}" for name, value in trial.params.items() if name not in unused]
    return ", ".join([trial.method, *values])


def _short(value: float | int | str | bool) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _mean(report: SearchReport) -> LanguageScores:
    return next(row for row in report.languages if row.lang == MEAN)


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
