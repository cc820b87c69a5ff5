"""A feedback run. In: a finished search, feedback or a simulation. Out: its arms trained, tested and told apart.

The search's winner is the reference. The learning rate and beta are searched on the English arm; then each arm is
trained with each seed; only then are the test splits opened. Trials, tracking and resumption are those of any search.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from xa_search.encoding.files import write_whole
from xa_search.encoding.store import encode_split
from xa_search.errors import DataError, XaSearchError
from xa_search.feedback.answer import Answer, Tested, answer, answer_table
from xa_search.feedback.arms import ARMS
from xa_search.feedback.check import check_feedback
from xa_search.feedback.files import read_feedback
from xa_search.feedback.given import given_arm
from xa_search.feedback.judgements import Judgement
from xa_search.feedback.stage import train_on_feedback
from xa_search.records import Plan, SearchRecord, TrialJob, TrialRecord
from xa_search.records.feedback import PEOPLE, Arm, FeedbackJob, FeedbackSettings
from xa_search.records.search import Parameter, Scheduler, trial_directory
from xa_search.search.driver import only_driver
from xa_search.search.feedback_study import FeedbackStudy, Stage, best_tuned
from xa_search.search.runner import run_trials
from xa_search.search.study import open_study
from xa_search.tracking.address import tracking_uri
from xa_search.tracking.events import FileLogged, SearchEnded, SearchStarted, search_tags, trial_ended
from xa_search.tracking.bundle import trial_answers
from xa_search.tracking.isolated_process import IsolatedProcess
from xa_search.tracking.reconcile import reconcile
from xa_search.tracking.registration import Registration, register_winner
from xa_search.tracking.spool import SPOOL, Spool
from xa_search.tracking.tracker import SyncState, Tracker
from xa_search.training.final_test import known_scores, keep_scores, read_outcomes, score_language, trained_predictor
from xa_search.training.trial import best_weights
from xa_search.workflows.end_questions import texts_to_compare
from xa_search.workflows.evaluate import FinishedTrial, finished_trial
from xa_search.workflows.feedback_arms import (
    Reference,
    Simulation,
    ask_pool,
    feedback_job,
    feedback_settings,
    judge_asked,
    simulated_arm,
    supervision_of,
)
from xa_search.workflows.preflight import check_test_splits, identity_of
from xa_search.workflows.trials import CostMeter, ProgressReporter, TrackingCallback

RATES = (0.03, 1.0)
"""The learning rates that are searched, as shares of the one that the reference was trained with."""
BETAS = (0.03, 1.0)
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
class _Work:
    """What all trials of a feedback run share."""

    asked: FeedbackRun
    found: FinishedTrial
    reference: Reference
    plan: Plan
    judged_by: str
    judgements: Callable[[Arm, int], tuple[Judgement, ...]]


def run_feedback(asked: FeedbackRun, reporter: ProgressReporter) -> FeedbackResult:
    """Train, test and compare the arms, or go on with that. Raises XaSearchError; StoppedEarly where it is resumable."""
    work = _prepare(asked, reporter.note)
    plan = work.plan
    meter = CostMeter(trials_run_here=plan.local)
    with only_driver(plan.directory):
        stage = _stage(work)
        make = partial(FeedbackStudy, stage)
        study = open_study(plan, identity_of(work.found.prepared), make)
        tracker = Tracker(Spool(plan.directory / SPOOL), tracking_uri(plan.home), plan.search_id, study.study_id)
        tracker.note(_started(work))
        reconcile(tracker, study.trials(), partial(trial_directory, plan.directory))
        callback = TrackingCallback(plan.directory, tracker, reporter, meter)
        make_job = partial(_job, work)
        try:
            for wanted in (stage.tuning, stage.trials):
                part = plan.model_copy(update={"space": plan.space.model_copy(update={"trials": wanted})})
                run_trials(part, study, make_job, callback, train_on_feedback)
        except BaseException:
            tracker.record(SearchEnded(status="KILLED", tags={"state": "stopped early"}))
            raise
        return _conclude(work, study.trials(), tracker, study.study_id, reporter.note)


def _prepare(asked: FeedbackRun, note: Callable[[str], None]) -> _Work:
    found = finished_trial(asked.home, asked.search, asked.trial, note)
    name = f"{found.plan.search_id}/{found.number}"
    reference = Reference(job=found.job, weights=found.weights, name=name)
    if asked.simulation is not None:
        judgements, judged_by = _simulated(asked, found, reference), str(asked.simulation)
    else:
        judgements, judged_by = _given(asked, reference, note), PEOPLE
    decisive = [name, judged_by, asked.loss, asked.epochs, asked.tuning, asked.seeds, asked.arms]
    decisive += [] if asked.data is None else [[one.id for one in judgements("given", 0)]]
    key = hashlib.sha256(json.dumps(decisive).encode()).hexdigest()[:8]
    rate = found.job.settings.learning_rate
    space = found.plan.space.model_copy(
        update={
            "params": {
                "learning_rate": Parameter(low=RATES[0] * rate, high=RATES[1] * rate, log=True),
                "beta": Parameter(low=BETAS[0], high=BETAS[1], log=True),
            },
            "fixed": found.job.settings.model_dump(exclude={"learning_rate"}) | {"epochs": asked.epochs},
            "method": found.job.settings.method,
            "baseline": {},
            "published": {},
            "recipe": None,
            "scheduler": Scheduler(),
            "trials": max(2, asked.tuning),
        }
    )
    plan = found.plan.model_copy(
        update={
            "name": f"{found.plan.name}-feedback-{key}",
            "space": space,
            "local": asked.local,
            "address": asked.address,
            "time_budget": None,
            "gpu_hours": None,
            "deterministic": False,
            "new": False,
            "repeat": 0,
        }
    )
    return _Work(asked=asked, found=found, reference=reference, plan=plan, judged_by=judged_by, judgements=judgements)


def _simulated(
    asked: FeedbackRun, found: FinishedTrial, reference: Reference
) -> Callable[[Arm, int], tuple[Judgement, ...]]:
    simulation = asked.simulation
    assert simulation is not None
    corpus, prepared = reference.job.corpus, found.prepared
    if simulation.gold == "simulated:target_gold":
        tokenizer = prepared.tokenizers[reference.job.encoder.tokenizer_fingerprint]
        encode_split(corpus, prepared.corpus, tokenizer, found.plan.max_tokens, "train", corpus.targets)
    folder = found.plan.directory / "feedback" / f"{found.number}-{simulation.gold.partition(':')[2]}"
    pool = ask_pool(reference, simulation.gold, folder)
    if simulation.count > len(pool.pool.ids):
        raise DataError(
            f"--simulate {simulation.count}: {len(pool.pool.ids)} utterances trained nothing and can be judged; "
            f"ask for fewer, or search with a lower fixed.train_limit"
        )

    def judgements(arm: Arm, seed: int) -> tuple[Judgement, ...]:
        return simulated_arm(reference, judge_asked(reference, pool, simulation, seed), arm, seed)

    return judgements


def _given(
    asked: FeedbackRun, reference: Reference, note: Callable[[str], None]
) -> Callable[[Arm, int], tuple[Judgement, ...]]:
    corpus = reference.job.corpus
    assert asked.data is not None
    checked = check_feedback(read_feedback(asked.data), (corpus.intents, corpus.slot_tags))
    for line in checked.remarks:
        note(line)
    if not checked.judgements:
        raise DataError(f"{asked.data}: no judgement is left; `xa-search feedback check --data` says why")
    return partial(given_arm, checked.judgements, corpus.source)


def _stage(work: _Work) -> Stage:
    asked = work.asked
    arms = [arm for arm in asked.arms if arm == "none" or work.judgements(arm, asked.seeds[0])]
    tuning_arm: Arm = "english" if work.judgements("english", 0) else arms[-1]

    def settings(arm: Arm, seed: int, values: Mapping[str, Any]) -> FeedbackSettings:
        judgements = work.judgements(arm, seed)
        changed = {"seed": seed, "epochs": asked.epochs, "loss": asked.loss, **values}
        told = {"reference": work.reference.name, "judged_by": work.judged_by}
        given = len({(one.lang, one.source_id or one.id) for one in judgements})
        return feedback_settings(work.reference, arm, judgements, given, **changed, **told)

    return Stage(
        tuning=max(2, asked.tuning),
        tuning_arm=tuning_arm,
        cells=tuple((arm, seed) for seed in asked.seeds for arm in arms),
        settings=settings,
    )


def _job(work: _Work, record: TrialRecord) -> TrialJob:
    settings = record.settings
    assert isinstance(settings, FeedbackSettings)
    judged = work.plan.directory / "judged" / f"{settings.arm}-{settings.seed}.jsonl"
    directory = trial_directory(work.plan.directory, record.number)
    judgements = () if judged.exists() else work.judgements(settings.arm, settings.seed)
    job = feedback_job(work.reference, judgements, settings, judged, directory)
    return replace(job, search=work.plan.directory)


def _started(work: _Work) -> SearchStarted:
    told = {"reference": work.reference.name, "judged_by": work.judged_by, "stage": "feedback"}
    source, seed = work.reference.job.corpus.source, work.asked.seeds[0]
    sees = [arm for arm in work.asked.arms if supervision_of(work.judgements(arm, seed), source) != "none"]
    zero_shot = {"zero_shot": "no"} if sees else {}
    return SearchStarted(
        search_id=work.plan.search_id,
        params={**told, "loss": work.asked.loss, "seeds": len(work.asked.seeds), "arms": ", ".join(work.asked.arms)},
        tags=search_tags(work.plan.space) | told | zero_shot,
        texts={"plan.json": work.plan.model_dump_json(indent=2)},
    )


def _conclude(
    work: _Work, trials: tuple[TrialRecord, ...], tracker: Tracker, study_id: str, note: Callable[[str], None]
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
        job = _job(work, trial)
        settings = trial.settings
        assert isinstance(job, FeedbackJob) and isinstance(settings, FeedbackSettings)
        by_arm.setdefault(settings.arm, {})[settings.seed] = _tested(work, job, best_weights(job.directory), note)
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
    work: _Work, trials: tuple[TrialRecord, ...], best: TrialRecord, study_id: str, note: Callable[[str], None]
) -> Registration:
    """Register the best arm's model as a version of the search's, with what it went on from."""
    note(f"registering trial {best.number}, arm {_arm_of(best)}, and loading it back in a fresh process")
    plan, space, job = work.plan, work.plan.space, _job(work, best)
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
    uri = tracking_uri(plan.home)
    with IsolatedProcess(uri) as fresh:
        return register_winner(
            record,
            job,
            weights,
            corpus=space.corpus,
            corpus_fingerprint=work.found.prepared.fingerprint,
            texts=texts,
            expected=lambda: trial_answers(job, texts, trained_predictor(job, weights)),
            uri=uri,
            fresh=fresh,
        )


def _tested(work: _Work, job: TrialJob, weights: Path, note: Callable[[str], None], *, told: bool = False) -> Tested:
    """Return what a model gets right on the test splits; once for the same weights."""
    languages = work.plan.space.tested_languages
    if known_scores(job, weights, languages) is None:
        prepared = work.found.prepared
        if told:
            check_test_splits(work.found.plan, prepared.corpus, note)
        tokenizer = prepared.tokenizers[job.encoder.tokenizer_fingerprint]
        encode_split(job.corpus, prepared.corpus, tokenizer, work.found.plan.max_tokens, "test", languages)
        predictor = trained_predictor(job, weights)
        keep_scores(job, weights, {lang: score_language(job, lang, predictor) for lang in languages})
    return read_outcomes(job.directory)


def _write(work: _Work, found: Answer | None, tuned: TrialRecord) -> tuple[Path, ...]:
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
