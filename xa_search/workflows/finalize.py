"""The end of a search. In: a Plan and its study. Out: the winner, tested, reported and registered.

What is asked of models is worked on where trials run; this process waits for it and writes it down.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from xa_search.claims.audit import SelectionAudit
from xa_search.claims.audit_report import write_audit
from xa_search.corpora.checks import check_as_markdown
from xa_search.corpora.lost_rows import told_losses
from xa_search.errors import TrackerAwayError
from xa_search.records import FairBaseline, Plan, SearchRecord, TrialRecord
from xa_search.records.search import trial_directory
from xa_search.search.end_tasks import EndTasks
from xa_search.search.study import SearchStudy
from xa_search.search.winner import best_of_each_kind, best_zero_shot, choose_winner
from xa_search.tracking.address import tracking_uri
from xa_search.tracking.champion import shown_over
from xa_search.tracking.confirmation_report import write_section
from xa_search.tracking.datasets import tests_read
from xa_search.tracking.events import DatasetsLogged, FileLogged, SearchEnded
from xa_search.tracking.events import trial_ended as trial_ended_event
from xa_search.tracking.inspection_report import inspection_summary, write_inspection
from xa_search.tracking.isolated_process import IsolatedProcess, LoadsBack
from xa_search.tracking.plots import write_plots
from xa_search.tracking.reconcile import reconcile
from xa_search.tracking.registration import KeptScores, LoadedBackOnNode, Registration, register_winner
from xa_search.tracking.registration_report import write_registrations
from xa_search.tracking.report import language_rows, language_table, write_report
from xa_search.tracking.tracker import SyncState, Tracker
from xa_search.training.registry import one_model_a_target
from xa_search.training.trial import all_weights
from xa_search.workflows.audit import audit_selection
from xa_search.workflows.comparisons import Comparisons, ask_comparisons
from xa_search.workflows.confirmation import (
    Confirmed,
    confirm_settings,
    fair_over_seeds,
    kept_scores,
    remove_confirmed_weights,
    with_tests,
)
from xa_search.workflows.end_questions import AskedTrial, answers_of, ask_trials, texts_to_compare
from xa_search.workflows.inspection import trial_inspection
from xa_search.workflows.preflight import Prepared, check_test_splits, told_data
from xa_search.workflows.soup import Cooked, cook
from xa_search.workflows.trials import CostMeter, ProgressReporter

LOADED_BACK = "loaded-back.partial"
"""The folder, which all nodes see, for the copy that a node loads; `gc` knows what is partial."""
TEST_CHECK = "data_check_test.md"
"""The file in a search's folder, and in MLflow, that says what was dropped and repaired of the test splits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndOf:
    """A search whose trials have ended, and where what its end asks of their models is worked on.

    `budget` says which one ended it before all its trials; empty for none.
    """

    plan: Plan
    prepared: Prepared
    study: SearchStudy
    tasks: EndTasks
    budget: str


def finalize_search(
    end: EndOf, tracker: Tracker, reporter: ProgressReporter, meter: CostMeter
) -> tuple[SearchRecord, tuple[Registration, ...]]:
    """Choose, test, report and register the winner; no registrations when MLflow is away."""
    plan, uri = end.plan, tracking_uri(end.plan.home)
    with ExitStack() as stack:
        here = plan.address is None
        first = stack.enter_context(IsolatedProcess(uri)) if here else None
        with meter.stage("evaluation"):
            found = _conclude(end, reporter)
            record = found.record
            findings = {number: _look_inside(plan, one, reporter) for number, one in found.asked.items()}
        with meter.stage("tracking"):
            reconcile(tracker, found.runs, partial(trial_directory, plan.directory))
            tracker.record(found.tests)
            tracker.record(FileLogged(path=str(plan.directory / TEST_CHECK)))
            if found.audit is not None:
                for path in write_audit(found.audit, plan.directory / "report"):
                    tracker.record(FileLogged(path=str(path), folder="report"))
            for number, paths in findings.items():
                for path in paths:
                    tracker.record(FileLogged(path=str(path), folder="inspection", number=number))
            if _publish(end, record, found.runs, tracker).left:
                return record, ()
            try:
                registrations = _register(end, found, reporter, first)
                for path in write_registrations(registrations, plan.directory / "report"):
                    tracker.record(FileLogged(path=str(path), folder="report"))
                if found.confirmed is not None:
                    remove_confirmed_weights(plan, found.confirmed)
                return record, registrations
            except TrackerAwayError as error:
                reporter.note(f"not registered: {error}")
                return record, ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What the models of a search were found to be worth: `asked` by trial, `tests` the test splits that were read."""

    record: SearchRecord
    asked: Mapping[int, AskedTrial]
    kept: KeptScores
    tests: DatasetsLogged
    confirmed: Confirmed | None
    cooked: Cooked | None
    audit: SelectionAudit | None

    @property
    def runs(self) -> tuple[TrialRecord, ...]:
        """What was trained or made besides the trials."""
        if self.confirmed is not None:
            return tuple(self.confirmed.runs.values())
        return () if self.cooked is None or self.cooked.soup.refused else (self.cooked.run,)

    @property
    def registered(self) -> tuple[SearchRecord, AskedTrial]:
        """The record as the registry has it, and its model: a confirmed run or a soup where it is one of these."""
        record = self.record
        if self.confirmed is not None:
            run = self.confirmed.registered
        elif self.cooked is not None and self.cooked.soup.wins:
            run = self.cooked.run
        else:
            return record, self.asked[record.winner]
        return replace(record, winner=run.number, trials=(*record.trials, run)), self.asked[run.number]


def _conclude(end: EndOf, reporter: ProgressReporter) -> Conclusion:
    """Choose the winner; only then open the test splits, for it and for what it is compared with."""
    plan, trials = end.plan, end.study.trials()
    confirmed, cooked = None, None
    winner = choose_winner(trials)
    if plan.space.confirm is not None:
        confirmed = confirm_settings(plan, end.prepared, trials, end.tasks, reporter.note)
        winner = confirmed.winner
    elif plan.space.soup:
        cooked = cook(plan, end.prepared, trials, winner, end.tasks, reporter.note)
    baseline = best_zero_shot(trials)
    compared = {trial.number: trial for trial in (winner, baseline) if trial is not None}
    others = _others_to_test(plan, trials, set(compared))
    _note_winner(winner, baseline, others, reporter)
    check = check_test_splits(plan, end.prepared.corpus, reporter.note)
    plan.directory.joinpath(TEST_CHECK).write_text(check_as_markdown(check), encoding="utf-8")
    asked, comparisons = _ask(end, confirmed, cooked, [*compared.values(), *others], winner)
    test_metrics = {number: one.scores() for number, one in asked.items()}
    fair, floors = _fair_baseline(confirmed, comparisons, test_metrics, reporter), comparisons.floors()
    record = SearchRecord(
        search_id=plan.search_id,
        source=plan.space.source,
        targets=plan.space.targets,
        selection=plan.space.selection,
        trials=trials,
        winner=winner.number,
        baseline=None if baseline is None else baseline.number,
        test_metrics=test_metrics,
        importances=end.study.importances(),
        study_id=end.study.study_id,
        recipe=plan.space.recipe,
        unseen_languages=plan.space.unseen_languages,
        data=(*told_data(end.prepared.check, plan), *told_losses(check)),
        fair_baseline=None if isinstance(fair, str) else fair,
        no_fair_baseline=fair if isinstance(fair, str) else "",
        floors=tuple(floor for floor, _ in floors),
        confirmation=None if confirmed is None else with_tests(confirmed, plan, test_metrics),
        soup=None if cooked is None else cooked.soup,
    )
    kept = kept_scores(record, asked, {floor.name: outcomes for floor, outcomes in floors})
    record = replace(record, shown=shown_over(kept.winner, kept.rivals))
    tests = tests_read(end.prepared.corpus, check, plan.space.tested_languages)
    audit = audit_selection(plan, end.prepared, record, end.tasks, reporter.note)
    return Conclusion(
        record=record, asked=asked, kept=kept, tests=tests, confirmed=confirmed, cooked=cooked, audit=audit
    )


def _note_winner(
    winner: TrialRecord, baseline: TrialRecord | None, others: Sequence[TrialRecord], reporter: ProgressReporter
) -> None:
    names = ", ".join(f"{trial.number} ({trial.settings.method}, {trial.settings.model_size})" for trial in others)
    also = f", and for the best of other methods and sizes: {names}" if others else ""
    with_zero_shot = "" if baseline is None else " and for the zero-shot trial"
    reporter.note(f"winner: trial {winner.number}; now the test splits, for it{with_zero_shot}{also}")


def _ask(
    end: EndOf,
    confirmed: Confirmed | None,
    cooked: Cooked | None,
    trials: Sequence[TrialRecord],
    winner: TrialRecord,
) -> tuple[dict[int, AskedTrial], Comparisons]:
    """Ask for tests, looks inside and kept rows; first the model that will be registered."""
    plan = end.plan
    there = [trial for trial in trials if all_weights(trial_directory(plan.directory, trial.number))]
    runs = [] if confirmed is None else confirmed.tested_runs()
    on_kept = {trial.number for trial in (runs or there)}
    inspected = _inspected(winner, there)
    tested = [*runs, *there]
    if cooked is not None and not cooked.soup.refused:
        tested.insert(0 if cooked.soup.wins else len(tested), cooked.run)
        on_kept |= {cooked.run.number}
    asked = ask_trials(plan, end.prepared, tested, inspected, on_kept, end.tasks)
    return asked, ask_comparisons(plan, end.prepared, winner, end.tasks, with_fair_baseline=confirmed is None)


def _fair_baseline(
    confirmed: Confirmed | None,
    comparisons: Comparisons,
    test_metrics: Mapping[int, Mapping[str, float]],
    reporter: ProgressReporter,
) -> FairBaseline | str:
    if confirmed is not None:
        return fair_over_seeds(confirmed, test_metrics)
    reporter.note("the winner's settings once more, without alignment: what is gained beyond that, alignment gained")
    return comparisons.fair_baseline()


def _others_to_test(plan: Plan, trials: tuple[TrialRecord, ...], tested: set[int]) -> list[TrialRecord]:
    """Return the best trials of other methods and sizes; those that lost their weights were tested before that."""
    return [
        trial
        for trial in best_of_each_kind(trials)
        if trial.number not in tested and all_weights(trial_directory(plan.directory, trial.number))
    ]


def _inspected(winner: TrialRecord, tested: Sequence[TrialRecord]) -> list[int]:
    """Return the trials to look into: the winner, and what is tested with alignment and without, to compare."""
    compared = [trial.number for trial in tested if trial.settings.method in ("xeroalign", "zero_shot")]
    return list(dict.fromkeys([winner.number, *compared]))


def _look_inside(plan: Plan, asked: AskedTrial, reporter: ProgressReporter) -> tuple[Path, ...]:
    """Write down what a trial's model has inside, beside the encoder that it began with; return the files."""
    inspection = asked.inspection()
    if inspection is None:
        return asked.files
    if isinstance(inspection, str):
        reporter.note(inspection)
        return ()
    for line in inspection_summary(inspection):
        reporter.note(f"inside trial {asked.trial.number}, {line}")
    return write_inspection(inspection, trial_inspection(plan, asked.trial.number))


def _publish(end: EndOf, record: SearchRecord, runs: Sequence[TrialRecord], tracker: Tracker) -> SyncState:
    """Log the report and close the runs."""
    plan = end.plan
    reconcile(tracker, record.trials, partial(trial_directory, plan.directory))
    for trial in (*record.trials, *runs):
        if trial.number in record.test_metrics:
            tracker.record(trial_ended_event(replace(trial, metrics=trial.metrics | record.test_metrics[trial.number])))
    folder = plan.directory / "report"
    log_scaled = {name for name, parameter in plan.space.params.items() if parameter.log}
    sections = [] if record.confirmation is None else [write_section(record.confirmation, folder)]
    for path in (*write_report(record, folder), *write_plots(record, log_scaled, folder), *sections):
        tracker.record(FileLogged(path=str(path), folder="report"))
    tracker.record(
        SearchEnded(
            status="FINISHED",
            metrics={**record.winner_tests, "selection_score": record.winner_score},
            tags={
                "state": f"concluded early: {end.budget}" if end.budget else "finished",
                "winner": str(record.winner),
                "mlflow.note.content": language_table(language_rows(record)),
            },
        )
    )
    return tracker.sync()


def _register(
    end: EndOf, found: Conclusion, reporter: ProgressReporter, first: IsolatedProcess | None
) -> tuple[Registration, ...]:
    """Register the winner's model, or a model for each target under a name of its own.

    `first`, a process that was started early, answers once; none where trials run on a cluster, and it is loaded there.
    """
    plan, uri = end.plan, tracking_uri(end.plan.home)
    record, asked = found.registered
    where = "in a fresh process" if plan.address is None else "in a fresh process where trials run"
    reporter.note(f"registering the winner, and loading it back {where}")
    registrations: list[Registration] = []
    for model in asked.models:
        targets, size = model.job.corpus.targets, model.job.settings.model_size
        target = targets[0] if one_model_a_target(asked.trial.settings) else None
        kept = found.kept
        if target is not None:
            kept = replace(kept, winner=kept.winner.in_language(target))
        with _loads_back(end, size, first if not registrations else None) as fresh:
            registration = register_winner(
                record,
                model.job,
                model.weights,
                corpus=plan.space.corpus,
                corpus_fingerprint=end.prepared.fingerprint,
                texts=texts_to_compare(end.prepared.corpus, targets),
                expected=partial(answers_of, model, end.prepared, end.tasks),
                kept=kept,
                uri=uri,
                fresh=fresh,
                target=target,
            )
        registrations.append(registration)
    return tuple(registrations)


@contextmanager
def _loads_back(end: EndOf, size: str, started: IsolatedProcess | None) -> Iterator[LoadsBack]:
    """Give what loads a registered model in a fresh process: here, or on a node of the cluster."""
    uri = tracking_uri(end.plan.home)
    if started is not None:
        yield started
    elif end.plan.address is None:
        with IsolatedProcess(uri) as process:
            yield process
    else:
        yield LoadedBackOnNode(uri, end.plan.directory / LOADED_BACK, partial(end.tasks.submit, size))
