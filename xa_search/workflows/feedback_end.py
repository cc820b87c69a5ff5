"""The end of a feedback run. In: its trials. Out: the arms tested and compared, and the best one registered.

Test splits are opened here, once every arm has been trained; nothing is chosen by them.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from xa_search.encoding.files import write_whole
from xa_search.encoding.store import encode_split
from xa_search.errors import XaSearchError
from xa_search.feedback.answer import Answer, Tested, answer, answer_table
from xa_search.feedback.arms import ARMS
from xa_search.feedback.judgements import Judgement
from xa_search.records import Plan, SearchRecord, TrialJob, TrialRecord
from xa_search.records.feedback import Arm, FeedbackSettings
from xa_search.records.search import trial_directory
from xa_search.search.feedback_study import best_tuned
from xa_search.tracking.address import tracking_uri
from xa_search.tracking.bundle import trial_answers
from xa_search.tracking.events import FileLogged, SearchEnded, trial_ended
from xa_search.tracking.isolated_process import IsolatedProcess
from xa_search.tracking.registration import KeptScores, Registration, register_winner
from xa_search.tracking.tracker import SyncState, Tracker
from xa_search.training.final_test import keep_scores, known_scores, read_outcomes, score_language, trained_predictor
from xa_search.training.kept import Evidence, measure_kept
from xa_search.training.trial import best_weights
from xa_search.workflows.end_questions import texts_to_compare
from xa_search.workflows.evaluate import FinishedTrial
from xa_search.workflows.feedback_arms import Reference, Simulation, feedback_job
from xa_search.workflows.preflight import check_test_splits

REPORT, TABLE, RESULT = "report", "feedback.md", "feedback.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackRun:
    """What a feedback run is asked for: a search, one of its trials (none: the best), whose judgements, how much.

    Either `data`, feedback files of people, or a simulation.
    """

    search: str
    home: Path
    trial: int | None = None
    data: Path | None = None
    simulation: Simulation | None = None
    arms: tuple[Arm, ...] = ARMS
    tuning: int = 8
    seeds: tuple[int, ...] = (1, 2, 3)
    epochs: int = 3
    loss: str = "preference"
    local: bool = False
    address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackResult:
    """What a feedback run came to; `answer` is none where no seed has been through all arms."""

    search_id: str
    reference: str
    judged_by: str
    settings: dict[str, float]
    trials: tuple[TrialRecord, ...]
    answer: Answer | None
    best: int
    registration: Registration | None
    files: tuple[Path, ...]
    tracking: SyncState


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackWork:
    """What all trials of a feedback run share."""

    asked: FeedbackRun
    found: FinishedTrial
    reference: Reference
    plan: Plan
    judged_by: str
    judgements: Callable[[Arm, int], tuple[Judgement, ...]]


def arm_job(work: FeedbackWork, record: TrialRecord) -> TrialJob:
    """Return the job of a trial of a feedback run; the judgements of its arm are written once."""
    settings = record.settings
    if not isinstance(settings, FeedbackSettings):  # what measures memory asks about a trial like the reference
        return replace(work.reference.job, directory=trial_directory(work.plan.directory, record.number))
    judged = work.plan.directory / "judged" / f"{settings.arm}-{settings.seed}.jsonl"
    directory = trial_directory(work.plan.directory, record.number)
    judgements = () if judged.exists() else work.judgements(settings.arm, settings.seed)
    # What was decided once for the search's trials, such as their precision, holds for the reference here too.
    return feedback_job(work.reference, judgements, settings, judged, directory)


def conclude_feedback(
    work: FeedbackWork, trials: tuple[TrialRecord, ...], tracker: Tracker, study_id: str, note: Callable[[str], None]
) -> FeedbackResult:
    """Test each arm, once all have been trained, and hold them against each other."""
    tuned = best_tuned(trials)
    arms = [trial for trial in trials if trial.role == "arm" and trial.state == "COMPLETE"]
    if tuned is None or not arms:
        raise XaSearchError(f"{work.plan.search_id}: no arm has come to its end; `xa-search status` shows why")
    note("now the test splits, for the reference and each arm")
    reference = _tested(work, work.reference.job, work.reference.weights, note, told=True)
    by_arm: dict[Arm, dict[int, Tested]] = {}
    for trial in arms:
        job = arm_job(work, trial)
        settings = trial.settings
        assert isinstance(settings, FeedbackSettings)
        by_arm.setdefault(settings.arm, {})[settings.seed] = _tested(work, job, best_weights(job.directory), note)
        if best_weights(job.directory).exists():
            scores = known_scores(job, best_weights(job.directory), work.plan.space.tested_languages) or {}
            tracker.record(trial_ended(replace(trial, metrics=trial.metrics | scores)))
    corpus = work.reference.job.corpus
    try:
        found: Answer | None = answer(by_arm, reference, corpus.source, corpus.targets)
    except ValueError as error:
        note(f"no answer: {error}")
        found = None
    files = _write(work, found, tuned)
    for path in files:
        tracker.record(FileLogged(path=str(path), folder=REPORT))
    # The controls are there to be compared with, never to be used.
    usable = [trial for trial in arms if _arm_of(trial) not in ("none", "shuffled")] or arms
    best = max(usable, key=lambda trial: (trial.score or 0.0, -trial.number))
    tracker.record(SearchEnded(status="FINISHED", tags={"state": "finished", "winner": str(best.number)}))
    registration = None if tracker.sync().left else _register(work, trials, best, study_id, note)
    for trial in trials:
        if trial.number != best.number:
            best_weights(trial_directory(work.plan.directory, trial.number)).unlink(missing_ok=True)
    return FeedbackResult(
        search_id=work.plan.search_id,
        reference=work.reference.name,
        judged_by=work.judged_by,
        settings={name: float(value) for name, value in tuned.params.items()},
        trials=trials,
        answer=found,
        best=best.number,
        registration=registration,
        files=files,
        tracking=tracker.sync(),
    )


def _arm_of(trial: TrialRecord) -> str:
    return trial.settings.arm if isinstance(trial.settings, FeedbackSettings) else ""


def _register(
    work: FeedbackWork, trials: tuple[TrialRecord, ...], best: TrialRecord, study_id: str, note: Callable[[str], None]
) -> Registration:
    """Register the best arm's model as a version of the search's, with what it went on from."""
    note(f"registering trial {best.number}, arm {_arm_of(best)}, and loading it back in a fresh process")
    plan, space, job = work.plan, work.plan.space, arm_job(work, best)
    weights = best_weights(job.directory)
    record = SearchRecord(
        search_id=plan.search_id,
        source=space.source,
        targets=space.targets,
        selection=space.selection,
        trials=trials,
        winner=best.number,
        baseline=None,
        test_metrics={best.number: known_scores(job, weights, space.tested_languages) or {}},
        importances={},
        unseen_languages=space.unseen_languages,
        study_id=study_id,
    )
    texts = texts_to_compare(work.found.prepared.corpus, space.targets)
    uri, reference = tracking_uri(plan.home), work.reference
    kept = KeptScores(
        winner=_on_kept_rows(job, weights),
        rivals={"the model that it went on from": _on_kept_rows(reference.job, reference.weights)},
    )
    with IsolatedProcess(uri) as fresh:
        return register_winner(
            record,
            job,
            weights,
            corpus=space.corpus,
            corpus_fingerprint=work.found.prepared.fingerprint,
            texts=texts,
            expected=lambda: trial_answers(job, texts, trained_predictor(job, weights)),
            kept=kept,
            uri=uri,
            fresh=fresh,
        )


def _on_kept_rows(job: TrialJob, weights: Path) -> Evidence:
    """Return what a model gets right of the rows that selected no trial."""
    seed = str(job.settings.seed)
    return Evidence(runs={seed: measure_kept(job, trained_predictor(job, weights))}, registered=seed)


def _tested(
    work: FeedbackWork, job: TrialJob, weights: Path, note: Callable[[str], None], *, told: bool = False
) -> Tested:
    """Return what a model gets right on the test splits; once for the same weights."""
    languages = work.plan.space.tested_languages
    if not weights.exists() and (kept := read_outcomes(job.directory)):  # an arm that was tested, and is not the best
        return kept
    if known_scores(job, weights, languages) is None:
        prepared = work.found.prepared
        if told:
            check_test_splits(work.found.plan, prepared.corpus, note)
        tokenizer = prepared.tokenizers[job.encoder.tokenizer_fingerprint]
        encode_split(job.corpus, prepared.corpus, tokenizer, work.found.plan.max_tokens, "test", languages)
        predictor = trained_predictor(job, weights)
        keep_scores(job, weights, {lang: score_language(job, lang, predictor) for lang in languages})
    return read_outcomes(job.directory)


def _write(work: FeedbackWork, found: Answer | None, tuned: TrialRecord) -> tuple[Path, ...]:
    folder = work.plan.directory / REPORT
    folder.mkdir(parents=True, exist_ok=True)
    title = f"Feedback on {work.reference.name}, judged by {work.judged_by}"
    text = answer_table(found, title) if found is not None else f"### {title}\n\nNo seed has been through all arms.\n"
    content = {
        "reference": work.reference.name,
        "judged_by": work.judged_by,
        "settings": tuned.params,
        "answer": None if found is None else asdict(found),
    }
    table, result = folder / TABLE, folder / RESULT
    write_whole(table, lambda path: path.write_text(text, encoding="utf-8"))
    write_whole(result, lambda path: path.write_text(json.dumps(content, indent=1), encoding="utf-8"))
    return table, result
