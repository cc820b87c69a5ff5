"""The end of a search. In: a Plan and its study. Out: the winner, tested, reported and registered."""

from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

from xa_search.corpora import Corpus
from xa_search.corpora.checks import check_as_markdown
from xa_search.corpora.corpus import find_translations
from xa_search.corpora.lost_rows import told_losses
from xa_search.errors import DataError, TrackerAwayError
from xa_search.records import Plan, SearchRecord, TrialRecord
from xa_search.records.search import trial_directory
from xa_search.search.study import SearchStudy
from xa_search.search.winner import best_of_each_kind, choose_winner
from xa_search.tracking.address import tracking_uri
from xa_search.tracking.datasets import tests_read
from xa_search.tracking.events import DatasetsLogged, FileLogged, SearchEnded
from xa_search.tracking.events import trial_ended as trial_ended_event
from xa_search.tracking.inspection_report import inspection_summary, write_inspection
from xa_search.tracking.plots import write_plots
from xa_search.tracking.reconcile import reconcile
from xa_search.tracking.registration import IsolatedProcess, Registration, register_winner
from xa_search.tracking.report import language_rows, language_table, write_report
from xa_search.tracking.tracker import SyncState, Tracker
from xa_search.training.final_test import trained_predictor
from xa_search.training.inspection import FINDINGS
from xa_search.training.registry import one_model_a_target
from xa_search.training.trial import all_weights, best_weights, jobs_per_target
from xa_search.workflows.inspection import inspect_model, trial_inspection
from xa_search.workflows.preflight import Prepared, check_test_splits, told_data
from xa_search.workflows.trials import CostMeter, ProgressReporter, make_trial_job, score_trial_on_test

CHECKED_TEXTS_A_LANGUAGE = 50
TEST_CHECK = "data_check_test.md"
"""The file in a search's folder, and in MLflow, that says what was dropped and repaired of the test splits."""


def finalize_search(
    plan: Plan, prepared: Prepared, study: "SearchStudy", tracker: Tracker, reporter: ProgressReporter, meter: CostMeter
) -> tuple[SearchRecord, tuple[Registration, ...]]:
    """Choose, test, report and register the winner; no registrations when MLflow is away."""
    with IsolatedProcess(tracking_uri(plan.home)) as fresh:
        with meter.stage("evaluation"):
            record, tested_on = _conclude(plan, prepared, study, reporter)
            findings = {number: _look_inside(plan, prepared, record, number, reporter) for number in _inspected(record)}
        with meter.stage("tracking"):
            tracker.record(tested_on)
            tracker.record(FileLogged(path=str(plan.directory / TEST_CHECK)))
            for number, paths in findings.items():
                for path in paths:
                    tracker.record(FileLogged(path=str(path), folder="inspection", number=number))
            if _publish(plan, record, tracker).left:
                return record, ()
            try:
                return record, _register(plan, prepared, record, reporter, fresh)
            except TrackerAwayError as error:
                reporter.note(f"not registered: {error}")
                return record, ()


def _conclude(
    plan: Plan,
    prepared: Prepared,
    study: SearchStudy,
    reporter: ProgressReporter,
) -> tuple[SearchRecord, DatasetsLogged]:
    """Choose the winner; only then open the test splits, for it and for what it is compared with."""
    trials = study.trials()
    winner = choose_winner(trials)
    baseline = next((trial for trial in trials if trial.role == "baseline" and trial.state == "COMPLETE"), winner)
    others = _others_to_test(plan, trials, {winner.number, baseline.number})
    names = ", ".join(f"{trial.number} ({trial.settings.method}, {trial.settings.model_size})" for trial in others)
    also = f", and for the best of other methods and sizes: {names}" if others else ""
    reporter.note(f"winner: trial {winner.number}; now the test splits, for it and for the zero-shot trial{also}")
    check = check_test_splits(plan, prepared.corpus, reporter.note)
    plan.directory.joinpath(TEST_CHECK).write_text(check_as_markdown(check), encoding="utf-8")
    tested = {
        trial.number: score_trial_on_test(plan, prepared, make_trial_job(plan, prepared, trial.settings, trial.number))
        for trial in {trial.number: trial for trial in (winner, baseline, *others)}.values()
    }
    record = SearchRecord(
        search_id=plan.search_id,
        source=plan.space.source,
        targets=plan.space.targets,
        selection=plan.space.selection,
        trials=trials,
        winner=winner.number,
        baseline=baseline.number,
        test_metrics=tested,
        importances=study.importances(),
        study_id=study.study_id,
        recipe=plan.space.recipe,
        unseen_languages=plan.space.unseen_languages,
        data=(*told_data(prepared.check, plan), *told_losses(check)),
    )
    return record, tests_read(prepared.corpus, check, plan.space.tested_languages)


def _others_to_test(plan: Plan, trials: tuple[TrialRecord, ...], tested: set[int]) -> list[TrialRecord]:
    """Return the best trials of other methods and sizes; those that lost their weights were tested before that."""
    return [
        trial
        for trial in best_of_each_kind(trials)
        if trial.number not in tested and all_weights(trial_directory(plan.directory, trial.number))
    ]


def _inspected(record: SearchRecord) -> list[int]:
    """Return the trials to look into: the winner, and what was tested with alignment and without, to compare."""
    compared = ("xeroalign", "zero_shot")
    tested = [number for number in record.test_metrics if record.trial(number).settings.method in compared]
    return list(dict.fromkeys([record.winner, *tested]))


def _look_inside(
    plan: Plan, prepared: Prepared, record: SearchRecord, number: int, reporter: ProgressReporter
) -> tuple[Path, ...]:
    """Compare a trial's model with the encoder that it began with, on held-out training data; return its files."""
    settings = record.trial(number).settings
    if one_model_a_target(settings):
        reporter.note("one model a target: `xa-search inspect` looks inside each of them once it is registered")
        return ()
    job = make_trial_job(plan, prepared, settings, number)
    weights, folder = best_weights(job.directory), trial_inspection(plan, number)
    findings = folder / FINDINGS
    if findings.exists() and findings.stat().st_mtime_ns > weights.stat().st_mtime_ns:
        return tuple(sorted(folder.iterdir()))
    predictor = trained_predictor(job, weights)
    try:
        inspection = inspect_model(plan, prepared, settings, predictor, f"trial {number} of {plan.search_id}")
    except DataError as error:  # too few pairs are no reason to end without a registered model
        reporter.note(str(error))
        return ()
    for line in inspection_summary(inspection):
        reporter.note(f"inside trial {number}, {line}")
    return write_inspection(inspection, folder)


def _publish(plan: Plan, record: SearchRecord, tracker: Tracker) -> SyncState:
    """Log the report and close the runs."""
    reconcile(tracker, record.trials, partial(trial_directory, plan.directory))
    for trial in record.trials:
        if trial.number in record.test_metrics:
            tracker.record(trial_ended_event(replace(trial, metrics=trial.metrics | record.test_metrics[trial.number])))
    folder = plan.directory / "report"
    log_scaled = {name for name, parameter in plan.space.params.items() if parameter.log}
    for path in (*write_report(record, folder), *write_plots(record, log_scaled, folder)):
        tracker.record(FileLogged(path=str(path), folder="report"))
    winner = record.trial(record.winner)
    tracker.record(
        SearchEnded(
            status="FINISHED",
            metrics=record.test_metrics[winner.number] | {"selection_score": winner.score or 0.0},
            tags={
                "state": "finished",
                "winner": str(winner.number),
                "mlflow.note.content": language_table(language_rows(record)),
            },
        )
    )
    return tracker.sync()


def _register(
    plan: Plan, prepared: Prepared, record: SearchRecord, reporter: ProgressReporter, fresh: IsolatedProcess
) -> tuple[Registration, ...]:
    """Register the winner's model, or a model for each target under a name of its own."""
    reporter.note("registering the winner, and loading it back in a fresh process")
    winner, uri = record.trial(record.winner), tracking_uri(plan.home)
    job = make_trial_job(plan, prepared, winner.settings, winner.number)
    registrations: list[Registration] = []
    for one in jobs_per_target(job):
        # The process that was started early answers once.
        with nullcontext(fresh) if not registrations else IsolatedProcess(uri) as process:
            registration = register_winner(
                record,
                one,
                best_weights(one.directory),
                corpus=plan.space.corpus,
                corpus_fingerprint=prepared.fingerprint,
                texts=_texts_to_compare(prepared.corpus, one.corpus.targets),
                uri=uri,
                fresh=process,
                target=None if one is job else one.corpus.targets[0],
            )
        registrations.append(registration)
    return tuple(registrations)


def _texts_to_compare(corpus: Corpus, targets: tuple[str, ...]) -> list[str]:
    """Return raw texts in the model's languages, on which the registered model must answer as the trial's."""
    texts = [" ".join(row.words) for row in islice(corpus.utterances(corpus.source, "dev"), CHECKED_TEXTS_A_LANGUAGE)]
    for lang in (lang for lang in targets if find_translations(corpus, lang) is not None):
        texts += [" ".join(row.words) for row in islice(corpus.translations(lang), CHECKED_TEXTS_A_LANGUAGE)]
    return texts
