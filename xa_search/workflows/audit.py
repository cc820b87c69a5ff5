"""The audit of selection rules. In: a search whose winner is chosen. Out: what each rule would have picked, tested.

Nothing here chooses: it begins when the winner's test splits have been opened. Models are asked where trials run.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import stdev

from xa_search.claims.audit import Candidate, SelectionAudit, audit, picks
from xa_search.claims.audit_report import PooledAudit, pool, read_audit
from xa_search.records import Plan, SearchRecord, TrialRecord
from xa_search.records.search import trial_directory
from xa_search.search.end_tasks import EndTasks
from xa_search.search.history import SearchHistory
from xa_search.search.winner import complete_trials, is_aligned
from xa_search.training.estimates import ESTIMATES, measure_estimates, read_estimates, write_estimates
from xa_search.training.final_test import ask_model, read_outcomes
from xa_search.training.kept import of_weights
from xa_search.training.registry import SELECTION_RULES
from xa_search.training.selection import ROWS
from xa_search.training.trial import all_weights, best_weights, jobs_per_target, mean_metrics
from xa_search.workflows.end_questions import ask_trials
from xa_search.workflows.preflight import Prepared
from xa_search.workflows.trials import trained_job

REPORT = "report"
RULES_OF_METRICS = ("label_free", "source_dev", "guarded")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Estimated:
    """What waits for the estimates of a trial's models."""

    trial: TrialRecord
    waiting: tuple[Callable[[], dict[str, float]], ...]


def audit_selection(
    plan: Plan, prepared: Prepared, record: SearchRecord, tasks: EndTasks, note: Callable[[str], None]
) -> SelectionAudit | None:
    """Let the rules pick among the complete trials, and hold the picks against tests; none where the space wants none.

    `picks` tests what some rule picks, `all` every complete trial. What was tested or estimated before is known.
    """
    wanted = plan.space.audit
    if wanted == "none":
        return None
    complete = complete_trials(record.trials)
    there = [trial for trial in complete if _can_be_asked(plan, trial)]
    if not any(is_aligned(trial) for trial in there):
        note("no audit: the weights of the aligned trials are gone, and their test scores were never taken")
        return None
    asked = [_ask_estimates(plan, prepared, trial, tasks) for trial in there]
    candidates = [_candidate(plan, prepared, one) for one in asked]
    chosen = {*picks(candidates).values(), *picks([one for one in candidates if one.is_aligned]).values()}
    tested = [trial for trial in there if wanted == "all" or trial.number in chosen]
    untested = [trial for trial in tested if not read_outcomes(trial_directory(plan.directory, trial.number))]
    note(f"audit of the selection rules: {len(tested)} of {len(complete)} complete trials are tested")
    for one in ask_trials(plan, prepared, untested, (), (), tasks).values() if untested else ():
        one.scores()
    outcomes = {trial.number: read_outcomes(trial_directory(plan.directory, trial.number)) for trial in tested}
    found = [
        Candidate(
            number=one.number,
            is_aligned=one.is_aligned,
            scores=one.scores,
            rows=one.rows,
            outcomes=outcomes.get(one.number) or None,
        )
        for one in candidates
    ]
    left_out, soups = len(complete) - len(there), {}
    if record.soup is not None and not record.soup.refused:
        soups = {"soup": read_outcomes(trial_directory(plan.directory, record.soup.number))}
    noise = _noise(record)
    return audit(
        record.search_id, record.selection, found, record.targets, left_out=left_out, noise=noise, others=soups
    )


def pooled_audit(searches: Sequence[SearchHistory]) -> PooledAudit:
    """Return the audits of finished searches as one. Raises UsageError where one has none."""
    return pool([read_audit(search.directory / REPORT, search.search_id) for search in searches])


def _can_be_asked(plan: Plan, trial: TrialRecord) -> bool:
    folder = trial_directory(plan.directory, trial.number)
    return bool(all_weights(folder)) or (any(folder.rglob(ESTIMATES)) and bool(read_outcomes(folder)))


def _ask_estimates(plan: Plan, prepared: Prepared, trial: TrialRecord, tasks: EndTasks) -> _Estimated:
    waiting: list[Callable[[], dict[str, float]]] = []
    for job in jobs_per_target(trained_job(plan, prepared, trial)):
        weights, path = best_weights(job.directory), job.directory / ESTIMATES
        known = read_estimates(path, of_weights(weights))
        if known is not None:
            waiting.append(partial(dict, known))
        else:
            question = partial(measure_estimates, job)
            answer = tasks.submit(job.settings.model_size, ask_model, job, weights, [question])
            waiting.append(partial(_kept_estimates, answer, path, weights))
    return _Estimated(trial=trial, waiting=tuple(waiting))


def _kept_estimates(answer: Callable[[], list[dict[str, float]]], path: Path, weights: Path) -> dict[str, float]:
    (found,) = answer()
    write_estimates(found, path, of_weights(weights))
    return found


def _candidate(plan: Plan, prepared: Prepared, asked: _Estimated) -> Candidate:
    trial = asked.trial
    corpus = trained_job(plan, prepared, trial).corpus
    scores = {rule: SELECTION_RULES[rule].score(trial.metrics, corpus) for rule in RULES_OF_METRICS}
    estimates = mean_metrics([waiting() for waiting in asked.waiting])
    return Candidate(
        number=trial.number,
        is_aligned=is_aligned(trial),
        scores={**scores, **estimates},
        rows=trial.metrics.get(ROWS, 0.0),
    )


def _noise(record: SearchRecord) -> float | None:
    """Return the standard deviation, in points, of a confirmed winner's mean test score over fresh seeds."""
    if record.confirmation is None or len(record.confirmation.winner.numbers) < 2:
        return None
    from_runs = [_mean_score(record.test_metrics[number]) for number in record.confirmation.winner.numbers]
    return 100 * stdev(from_runs)


def _mean_score(metrics: Mapping[str, float]) -> float:
    names = [name for name in ("test_intent_acc_mean", "test_slot_f1_mean", "test_accuracy_mean") if name in metrics]
    return sum(metrics[name] for name in names) / len(names)
