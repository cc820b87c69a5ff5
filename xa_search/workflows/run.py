"""A search from its plan to its report. In: a Plan. Out: records of what was found; each step is one call.

prepare -> open the study -> run the trials -> choose the winner -> test -> register -> report
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from xa_search.corpora.checks import CorpusCheck, check_as_markdown
from xa_search.encoding.private_folders import abandoned_folders, remove_abandoned
from xa_search.errors import StoppedEarly, XaSearchError
from xa_search.model.encoder import load_encoder_config
from xa_search.records import EpochReport, Plan, SearchCost, SearchRecord, TrialJob, TrialRecord, TrialSettings
from xa_search.records.search import trial_directory
from xa_search.records.torn_files import take_torn
from xa_search.search.driver import only_driver
from xa_search.search.end_tasks import TasksHere, TasksOnRay
from xa_search.search.full_disk import is_disk_full, told_full_disk
from xa_search.search.history import changed_code, check_resumable, check_same_search
from xa_search.search.memory_profile import MemoryProfile
from xa_search.search.runner import run_trials
from xa_search.search.study import SearchStudy, open_study, read_notes
from xa_search.tracking.address import tracking_uri
from xa_search.tracking.copied_home import check_no_copy, place_of
from xa_search.tracking.datasets import splits_read
from xa_search.tracking.events import DatasetsLogged, FileLogged, SearchEnded, SearchStarted, cost_logged, search_tags
from xa_search.tracking.reconcile import reconcile
from xa_search.tracking.registration import Registration
from xa_search.tracking.report import write_cost
from xa_search.tracking.spool import SPOOL, Spool
from xa_search.tracking.tracker import SyncState, Tracker
from xa_search.training.device import FeedForward, choose_precision, trial_device
from xa_search.training.progress import remove_progress
from xa_search.training.registry import learn_from_target_labels, selection_rule
from xa_search.training.trial import train_trial
from xa_search.workflows.end_time import EndTime
from xa_search.workflows.finalize import EndOf, finalize_search
from xa_search.workflows.held_out import told_held_out
from xa_search.workflows.maintenance import folders_read, remove_weights
from xa_search.workflows.plan import checked_settings
from xa_search.workflows.preflight import (
    Prepared,
    check_search,
    check_test_splits,
    identity_of,
    prepare_checked,
    prepare_search,
)
from xa_search.workflows.report_page import keep_report
from xa_search.workflows.trials import (
    CostMeter,
    ProgressReporter,
    TrackingCallback,
    make_trial_job,
    remove_leftover_progress,
    score_trial_on_test,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """What a search came to; no registrations when MLflow was away, several where each target has its own model.

    `budget` says which one ended it before all its trials did; empty for none.
    """

    record: SearchRecord
    registrations: tuple[Registration, ...]
    tracking: SyncState
    cost: SearchCost
    budget: str


def run_search(plan: Plan, reporter: ProgressReporter) -> SearchResult:
    """Search, or go on with the search that the same plan began. Raises XaSearchError, StoppedEarly when resumable."""
    meter = CostMeter(trials_run_here=plan.local)
    with meter.stage("data"):
        prepared = _prepare(plan, reporter)
    # One spool has one writer, and what is chosen, tested and registered is no garbage: nobody else touches the search.
    with only_driver(plan.directory):
        study = open_study(plan, identity_of(prepared))
        spool = Spool(plan.directory / SPOOL)
        tracker = Tracker(spool, tracking_uri(plan.home), plan.search_id, study.study_id)
        with _mark_end(tracker, plan.directory):
            _begin(plan, prepared, study, tracker, reporter, meter)
            _tell_torn(reporter)
            budget, record, registrations = _search(plan, prepared, study, tracker, reporter, meter)
            _tell_torn(reporter)
        remove_weights(plan.directory, record.trials, plan.space.keep)
        cost = meter.cost(plan.space.cpus_per_trial)
        if tracker.has_news:  # else this run found the search finished: what it took is no cost of the search
            for path in write_cost(cost, plan.directory / "report"):
                tracker.record(FileLogged(path=str(path), folder="report"))
            tracker.record(cost_logged(cost))
        for path in keep_report(plan, record, registrations):
            tracker.record(FileLogged(path=str(path), folder="report"))
        return SearchResult(
            record=record, registrations=registrations, tracking=tracker.sync(), cost=cost, budget=budget
        )


def _search(
    plan: Plan, prepared: Prepared, study: SearchStudy, tracker: Tracker, reporter: ProgressReporter, meter: CostMeter
) -> tuple[str, SearchRecord, tuple[Registration, ...]]:
    """Run the trials, then conclude what they found; return also the budget that ended them, if one did."""

    def make_job(trial: TrialRecord) -> TrialJob:
        return make_trial_job(plan, prepared, trial.settings, trial.number)

    callback = TrackingCallback(plan.directory, tracker, reporter, meter)
    memory = MemoryProfile(plan, study, make_job, callback)
    end_time = EndTime(plan, prepared, meter.elapsed, reporter.note)
    with TasksHere(plan) if plan.local else TasksOnRay(plan, memory.probes) as tasks:
        with meter.trials():
            if study.remaining(plan.space.trials):
                tasks.join()
            budget = run_trials(plan, study, make_job, callback, reserve=end_time.reserve)
        end = EndOf(plan=plan, prepared=prepared, study=study, tasks=tasks, budget=budget)
        record, registrations = finalize_search(end, tracker, reporter, meter)
        if tasks.gpu_hours:
            spent = study.spent()
            study.note_spent(replace(spent, gpu_hours=spent.gpu_hours + tasks.gpu_hours))
    return budget, record, registrations


def _prepare(plan: Plan, reporter: ProgressReporter) -> Prepared:
    """Check and prepare all that the trials read. Raises XaSearchError when it is another search's."""
    check_resumable(plan)
    check_no_copy(plan.directory, tracking_uri(plan.home))
    to_come = max(0, plan.space.all_trials - read_notes(plan.directory).get("ended", 0))
    sizes = plan.space.model_sizes
    uri = tracking_uri(plan.home)
    checked = check_search(plan, sizes, reporter.note, reporter.download, to_come, reporter.reading, uri=uri)
    prepared = prepare_checked(plan, checked, sizes, reporter.note)
    identity = identity_of(prepared)
    check_same_search(plan, identity)
    if changed := changed_code(plan.directory, identity):
        reporter.note(changed)
    reporter.note(told_held_out(plan, prepared))
    return prepared


def _begin(
    plan: Plan,
    prepared: Prepared,
    study: SearchStudy,
    tracker: Tracker,
    reporter: ProgressReporter,
    meter: CostMeter,
) -> None:
    """Begin or resume the run of a search, and what its study keeps."""
    with meter.stage("start"):
        # A store that is made takes seconds, in which the first trials can start: MLflow hears of both together.
        tracker.note(_search_started(plan, prepared))
        tracker.note(_splits_read(plan, prepared))
        for left in abandoned_folders():
            remove_abandoned(left)
            reporter.note(f"removed {left.path}: {left.owner}, was killed and left it")
        study.note_place(place_of(plan.directory))
        study.keep("cpus_per_trial", plan.space.cpus_per_trial)
        study.keep("folders", folders_read(plan.home, _folders(prepared)))
        reconcile(tracker, study.trials(), partial(trial_directory, plan.directory))
        remove_leftover_progress(plan.directory, study.trials())
        if earlier := study.trials():
            reporter.resumed(earlier)
        _note_precision(plan, prepared, reporter)


def _tell_torn(reporter: ProgressReporter) -> None:
    """Say what this process could not read."""
    for line in take_torn():
        reporter.note(line)


@contextmanager
def _mark_end(tracker: Tracker, directory: Path) -> Iterator[None]:
    """Tell MLflow of a search that is stopped or fails before its end."""
    try:
        yield
    except (StoppedEarly, KeyboardInterrupt):
        with suppress(XaSearchError):  # a spool that cannot be written
            tracker.record(SearchEnded(status="KILLED", tags={"state": "stopped early"}))
        raise
    except Exception as error:
        full = is_disk_full(error, directory)
        with suppress(XaSearchError):
            tracker.record(SearchEnded(status="KILLED" if full else "FAILED"))
        if full:
            raise StoppedEarly(f"{told_full_disk(directory)}, then type the same command again ({error})") from error
        raise


def _folders(prepared: Prepared) -> list[Path]:
    """Return the shared folders that a search reads."""
    encoders = [encoder.directory for encoder in prepared.encoders.values()]
    return encoders + [encoded.directory for encoded in prepared.encoded.values()]


def _note_precision(plan: Plan, prepared: Prepared, reporter: ProgressReporter) -> None:
    """Decide and say what trials of each size compute in; on a cluster the node of the first trial decides."""
    if plan.address is not None or plan.trial_settings({}).precision != "auto":
        return
    for size, files in prepared.encoders.items():
        block = FeedForward.of(load_encoder_config(files))
        probe = choose_precision(trial_device(), plan.space.cpus_per_trial, plan.directory, block)
        took = f"{1000 * probe.fp32_seconds:.1f} ms in fp32, {1000 * probe.bf16_seconds:.1f} ms in bf16"
        reporter.note(f"precision {probe.precision} for {size}: measured {took}")


def _search_started(plan: Plan, prepared: Prepared) -> SearchStarted:
    space = plan.space
    params = {key: value for key, value in space.model_dump(mode="json").items() if not isinstance(value, dict)}
    return SearchStarted(
        search_id=plan.search_id,
        params={key: str(value) for key, value in params.items()} | {"seed": plan.seed},
        tags=search_tags(space),
        texts={
            "plan.json": plan.model_dump_json(indent=2),
        }
        | _check_texts(prepared.check),
    )


def _splits_read(plan: Plan, prepared: Prepared) -> DatasetsLogged:
    return splits_read(
        prepared.corpus,
        prepared.check,
        prepared.fingerprint,
        target_train=learn_from_target_labels(plan.space.methods),
        target_dev=selection_rule(plan.space.selection).reads_target_labels,
    )


def _check_texts(check: CorpusCheck) -> dict[str, str]:
    return {
        "data_check.md": check_as_markdown(check),
        "data_check.json": json.dumps(asdict(check), indent=2, ensure_ascii=False),
    }


def alone(settings: TrialSettings) -> str:
    """Name the folder, among those of trials, of one that is trained alone."""
    return f"alone-{hashlib.sha256(settings.model_dump_json().encode()).hexdigest()[:8]}"


def train_alone(
    plan: Plan,
    params: dict[str, Any],
    on_epoch: Callable[[EpochReport], None],
    *,
    with_test: bool,
    note: Callable[[str], None] = lambda _: None,
) -> dict[str, float]:
    """Train one trial in this process; return the test metrics if asked for, else the selection score.

    A searched setting that `params` leave out has the space's own value, where it gives one, before the default.
    """
    settings = checked_settings(plan, plan.space.given_params | params)
    prepared = prepare_search(plan, (settings.model_size,), note, only=settings)
    note(told_held_out(plan, prepared))
    job = make_trial_job(plan, prepared, settings, alone(settings))
    remove_progress(job.directory)
    best = 0.0
    for report in train_trial(job):
        on_epoch(report)
        best = report.best_score
    if not with_test:
        return {"selection_score": best}
    check_test_splits(plan, prepared.corpus, note)
    return score_trial_on_test(plan, prepared, job)
