"""The report of a search, put together. In: what a search's files say, and what its end found. Out: one SearchReport.

Of a search that runs, or was stopped, only its trials are told. What an earlier version did not keep is left out, and
said.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

from pydantic import ValidationError

from xa_search.errors import UsageError
from xa_search.records import SearchCost, SearchRecord, SearchSpace, TrialRecord
from xa_search.records.report import (
    WEAKEST,
    CalibrationErrors,
    CostParts,
    FailedSettings,
    LanguageScores,
    Measured,
    ReportedFloor,
    ReportedParameter,
    ReportedTrial,
    ReportSection,
    SearchReport,
    WeakLanguage,
)
from xa_search.records.search import trial_directory
from xa_search.search.history import SearchHistory
from xa_search.search.registry import chosen_rule
from xa_search.tracking.calibration_report import calibration_rows
from xa_search.tracking.comparison_report import fair_object
from xa_search.tracking.events import search_tags
from xa_search.tracking.failure_regions import failure_regions
from xa_search.tracking.report import HEADINGS, MEAN, METRICS, LanguageRow, cost_summary, language_rows
from xa_search.training.final_test import Outcomes, read_outcomes
from xa_search.training.mistakes import read_mistakes
from xa_search.training.outcome_intervals import EXACT, INTENT, SLOTS, mean_interval
from xa_search.workflows.comparisons import COMPARISONS
from xa_search.workflows.explain import why_ended
from xa_search.workflows.next_commands import RegisteredName, next_commands
from xa_search.workflows.report_sentences import notes_of, sentences_of

REPORT = "report"
"""The folder in a search's folder."""
REPORT_FILE, PAGE_FILE, COST_FILE = "report.json", "index.html", "cost.json"
COUNTED = {"accuracy": INTENT, "intent_accuracy": INTENT, "slot_f1": SLOTS, "exact_match": EXACT}
"""How outcomes tell of a metric; that which merges neighbouring slots is not kept by utterance."""
TRIAL_METRICS = {
    "held_out_intent_acc": "held-out translations: intent accuracy",
    "held_out_slot_type_f1": "held-out translations: slot-type F1",
    "held_out_accuracy": "held-out translations: accuracy",
    "dev_intent_acc": "dev: intent accuracy",
    "dev_slot_f1": "dev: slot F1",
    "dev_exact_match": "dev: exact match",
    "dev_accuracy": "dev: accuracy",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """The winner's test set, utterance by utterance, and that of what it is compared with; empty if missing."""

    winner: Mapping[str, Outcomes]
    zero_shot: Mapping[str, Outcomes]
    fair: Mapping[str, Outcomes]


def report_of(
    search: SearchHistory, record: SearchRecord | None = None, models: Sequence[RegisteredName] = ()
) -> SearchReport:
    """Put together what is known of a search; `record` is what its end found. Raises UsageError without a plan."""
    if search.plan is None:
        raise UsageError(
            f"search {search.search_id} kept no plan, as an earlier version began it; see its trials: "
            f"xa-search status {search.search_id}"
        )
    space = search.plan.space
    folder = search.directory / REPORT
    shown = record.trials if record is not None else search.trials
    languages = (space.source, *space.targets)
    report = SearchReport(
        search_id=search.search_id,
        space=search.space_name,
        corpus=space.corpus,
        source=space.source,
        targets=space.targets,
        unseen_languages=space.unseen_languages,
        methods=space.methods,
        selection=space.selection,
        zero_shot=search_tags(space)["zero_shot"] == "yes",
        recipe=space.recipe,
        state="over" if record is not None else search.state,
        wanted=search.wanted,
        sentences=(),
        trial_languages=languages,
        trial_metrics=_trial_metrics(shown, languages),
        trials=tuple(_trial(search, trial, languages, record) for trial in shown),
        rungs=_rungs(space, shown),
        parameters=_parameters(space),
        failure_regions=tuple(FailedSettings(**asdict(region), text=str(region)) for region in failure_regions(shown)),
        cost=_cost(folder / COST_FILE),
        audit=_section(folder / "audit.json"),
        confirm=_section(folder / "confirm.json"),
        commands=next_commands(search.plan, models),
    )
    if record is not None:
        report = _with_tests(report, search, record)
    return report.model_copy(update={"sentences": sentences_of(report), "notes": notes_of(report)})


def read_report(search: SearchHistory) -> SearchReport | None:
    """Return the report that a search's end left; none where there is none that tells of all its trials."""
    path = search.directory / REPORT / REPORT_FILE
    try:
        stored = SearchReport.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    folder = path.parent
    later = {"audit": _section(folder / "audit.json"), "confirm": _section(folder / "confirm.json")}
    is_of_all = {trial.number for trial in search.trials} == {trial.number for trial in stored.trials}
    return stored.model_copy(update=later) if is_of_all and not search.driver else None


def _with_tests(report: SearchReport, search: SearchHistory, record: SearchRecord) -> SearchReport:
    """Add what the end of the search found."""
    tested = (record.source, *record.targets, *record.unseen_languages)
    winner = trial_directory(search.directory, record.winner)
    is_trial = record.confirmation is None and (record.soup is None or not record.soup.wins)
    compared = Compared(  # means over seeds, and a soup, have their intervals elsewhere
        winner=read_outcomes(winner) if is_trial else {},
        zero_shot={}
        if record.baseline in (None, record.winner)  # it is no gain over itself, and has no interval
        else read_outcomes(trial_directory(search.directory, record.baseline or 0)),
        fair=read_outcomes(search.directory / COMPARISONS / str(record.winner)),
    )
    rows = language_rows(record)
    languages = tuple(_language(row, record.targets, compared) for row in rows)
    metrics = {name: HEADINGS[name] for name in rows[0].winner}
    found = {
        "winner": record.winner,
        "baseline": record.baseline,
        "no_baseline": record.no_baseline,
        "fair_baseline": fair_object(record.fair_baseline),
        "no_fair_baseline": record.no_fair_baseline,
        "floors": tuple(
            ReportedFloor(
                name=floor.name,
                score=100 * floor.score,
                mean={
                    name: 100 * floor.test_metrics[known]
                    for name in metrics
                    if (known := f"test_{METRICS[name]}_{MEAN}") in floor.test_metrics
                },
            )
            for floor in record.floors
        ),
        "at_floor": record.at_floor,
        "metrics": metrics,
        "languages": languages,
        "calibration": tuple(CalibrationErrors(**asdict(row)) for row in calibration_rows(record.winner_tests, tested)),
        "importances": record.importances,
        "weakest": _weakest(languages, (*record.targets, *record.unseen_languages), winner),
        "data": record.data,
    }
    return report.model_copy(update=found)


def _language(row: LanguageRow, targets: Sequence[str], compared: Compared) -> LanguageScores:
    languages = tuple(targets) if row.lang == MEAN else (row.lang,)
    return LanguageScores(
        lang=row.lang,
        unseen=row.unseen,
        zero_shot=dict(row.zero_shot),
        fair=dict(row.fair),
        winner=_measured(row.winner, compared.winner, None, languages),
        gain=_measured(row.gain, compared.winner, compared.zero_shot, languages),
        fair_gain=_measured(row.fair_gain, compared.winner, compared.fair, languages),
    )


def _measured(
    values: Mapping[str, float],
    system: Mapping[str, Outcomes],
    less: Mapping[str, Outcomes] | None,
    languages: Sequence[str],
) -> dict[str, Measured]:
    """Give scores or gains their intervals, as far as their utterances were kept."""
    found = {}
    for name, value in values.items():
        known = mean_interval(system, less, COUNTED[name], languages) if name in COUNTED else None
        lowest = 0.0 if less is None else -100.0
        ends = {} if known is None else {"low": max(lowest, 100 * known.low), "high": min(100.0, 100 * known.high)}
        found[name] = Measured(value=value, **ends)
    return found


def _weakest(languages: Sequence[LanguageScores], among: Sequence[str], winner: Path) -> tuple[WeakLanguage, ...]:
    """Return the languages with the lowest mean of the winner's metrics, and what went wrong there."""
    mistakes = read_mistakes(winner)
    scores = {row.lang: fmean(one.value for one in row.winner.values()) for row in languages if row.lang in among}
    weakest = sorted(scores, key=lambda lang: (scores[lang], lang))[:WEAKEST]
    return tuple(
        WeakLanguage(lang=lang, score=scores[lang], mistakes=mistakes[lang]) for lang in weakest if lang in mistakes
    )


def _trial(
    search: SearchHistory, trial: TrialRecord, languages: Sequence[str], record: SearchRecord | None
) -> ReportedTrial:
    return ReportedTrial(
        number=trial.number,
        role=trial.role,
        state=trial.state,
        method=trial.settings.method,
        model_size=trial.settings.model_size,
        params=trial.params,
        score=None if trial.score is None else 100 * trial.score,
        scores=tuple(100 * score for score in trial.scores),
        best_epoch=trial.best_epoch,
        epochs=len(trial.scores),
        budget=trial.settings.epochs,
        seconds=trial.seconds,
        failure=trial.failure,
        stopped_at=trial.stopped_at,
        ending="; ".join(why_ended(search, trial)),
        is_winner=record is not None and trial.number == record.winner,
        at_floor=trial.at_floor,
        by_language=_by_language(trial, languages),
    )


def _by_language(trial: TrialRecord, languages: Sequence[str]) -> dict[str, tuple[float | None, ...]]:
    """Return each metric of the best epoch in each language, rounded so that many trials and languages stay small."""
    found = {}
    for kind in TRIAL_METRICS:
        values = [trial.metrics.get(f"{kind}_{lang}", math.nan) for lang in languages]
        if any(map(math.isfinite, values)):
            found[kind] = tuple(round(100 * value, 2) if math.isfinite(value) else None for value in values)
    return found


def _trial_metrics(trials: Sequence[TrialRecord], languages: Sequence[str]) -> dict[str, str]:
    known = {name for trial in trials for name in trial.metrics}
    return {
        kind: heading for kind, heading in TRIAL_METRICS.items() if any(f"{kind}_{lang}" in known for lang in languages)
    }


def _parameters(space: SearchSpace) -> dict[str, ReportedParameter]:
    return {
        name: ReportedParameter(low=one.low, high=one.high, log=one.log, choices=one.choices)
        for name, one in space.params.items()
    }


def _rungs(space: SearchSpace, trials: Sequence[TrialRecord]) -> tuple[int, ...]:
    rule = chosen_rule(space.scheduler)
    longest = max((trial.settings.epochs for trial in trials), default=1)
    return () if rule is None else tuple(rule.rungs(longest))


def _cost(path: Path) -> CostParts | None:
    """Return what the last run of the search took; none before its end."""
    if not path.exists():
        return None
    cost = SearchCost(**json.loads(path.read_text(encoding="utf-8")))
    return CostParts(wall=cost.wall, parts=cost.parts, summary=cost_summary(cost))


def _section(path: Path) -> ReportSection | None:
    if not path.exists():
        return None
    try:
        return ReportSection.model_validate_json(path.read_bytes())
    except ValidationError:
        raise UsageError(
            f"{path}: no section of a report; remove it, and type the command that wrote it again"
        ) from None
