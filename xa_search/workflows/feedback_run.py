"""A feedback run. In: a finished search, feedback or a simulation. Out: its arms trained, tested and told apart.

The search's winner is the reference. The learning rate and beta are searched on the English arm; then each arm is
trained with each seed; only then are the test splits opened. Trials, tracking and resumption are those of any search.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

from xa_search.errors import DataError
from xa_search.feedback.check import check_feedback
from xa_search.feedback.files import read_feedback
from xa_search.feedback.given import given_arm
from xa_search.feedback.judgements import Judgement
from xa_search.feedback.stage import train_on_feedback
from xa_search.records.feedback import PEOPLE, Arm, FeedbackSettings
from xa_search.records.scheduler import Scheduler
from xa_search.records.search import Parameter, trial_directory
from xa_search.search.driver import only_driver
from xa_search.search.feedback_study import FeedbackStudy, Stage
from xa_search.search.runner import run_trials
from xa_search.search.study import open_study
from xa_search.tracking.address import tracking_uri
from xa_search.tracking.events import SearchEnded, SearchStarted, search_tags
from xa_search.tracking.reconcile import reconcile
from xa_search.tracking.spool import SPOOL, Spool
from xa_search.tracking.tracker import Tracker
from xa_search.workflows.evaluate import FinishedTrial, finished_trial
from xa_search.workflows.feedback_arms import (
    Reference,
    ask_pool,
    feedback_settings,
    judge_asked,
    of_whole_corpus,
    simulated_arm,
    supervision_of,
)
from xa_search.workflows.feedback_end import FeedbackResult, FeedbackRun, FeedbackWork, arm_job, conclude_feedback
from xa_search.workflows.preflight import identity_of
from xa_search.workflows.trials import CostMeter, ProgressReporter, TrackingCallback

RATES = (0.03, 1.0)
"""The learning rates that are searched, as shares of the one that the reference was trained with."""
BETAS = (0.03, 1.0)


def run_feedback(asked: FeedbackRun, reporter: ProgressReporter) -> FeedbackResult:
    """Train, test and compare the arms, or go on with that. Raises XaSearchError, StoppedEarly when resumable."""
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
        make_job = partial(arm_job, work)
        try:
            for wanted in (stage.tuning, stage.trials):
                part = plan.model_copy(update={"space": plan.space.model_copy(update={"trials": wanted})})
                run_trials(part, study, make_job, callback, train_on_feedback)
        except BaseException:
            tracker.record(SearchEnded(status="KILLED", tags={"state": "stopped early"}))
            raise
        return conclude_feedback(work, study.trials(), tracker, study.study_id, reporter.note)


def _prepare(asked: FeedbackRun, note: Callable[[str], None]) -> FeedbackWork:
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
            "baseline_trials": 1,
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
    return FeedbackWork(
        asked=asked, found=found, reference=reference, plan=plan, judged_by=judged_by, judgements=judgements
    )


def _simulated(
    asked: FeedbackRun, found: FinishedTrial, reference: Reference
) -> Callable[[Arm, int], tuple[Judgement, ...]]:
    simulation = asked.simulation
    assert simulation is not None
    folder = found.plan.directory / "feedback" / f"{found.number}-{simulation.gold.partition(':')[2]}"
    pool = ask_pool(of_whole_corpus(reference, found.prepared, found.plan, simulation.gold), simulation.gold, folder)
    if simulation.count > len(pool.pool.ids):
        raise DataError(
            f"--simulate {simulation.count}: {len(pool.pool.ids)} utterances trained nothing and can be judged; "
            f"ask for fewer, or search with a lower fixed.train_limit"
        )

    judged = cache(partial(judge_asked, reference, pool, simulation))

    def judgements(arm: Arm, seed: int) -> tuple[Judgement, ...]:
        return simulated_arm(reference, judged(seed), arm, seed)

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


def _stage(work: FeedbackWork) -> Stage:
    asked = work.asked
    arms = [arm for arm in asked.arms if arm == "none" or work.judgements(arm, asked.seeds[0])]
    tuning_arm: Arm = "english" if work.judgements("english", 0) else arms[-1]

    def settings(arm: Arm, seed: int, values: Mapping[str, Any]) -> FeedbackSettings:
        judgements = work.judgements(arm, seed)
        changed = {"seed": seed, "epochs": asked.epochs, "loss": asked.loss, **values}
        told = {"reference": work.reference.name, "judged_by": work.judged_by}
        # A verdict that was copied to translations counts once; only the ceiling has one in each language.
        languages = len({one.lang for one in judgements}) if arm == "multilingual_full" else 1
        given = languages * len({one.source_id or one.id for one in judgements})
        return feedback_settings(work.reference, arm, judgements, given, **changed, **told)

    return Stage(
        tuning=max(2, asked.tuning),
        tuning_arm=tuning_arm,
        cells=tuple((arm, seed) for seed in asked.seeds for arm in arms),
        settings=settings,
    )


def _started(work: FeedbackWork) -> SearchStarted:
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
