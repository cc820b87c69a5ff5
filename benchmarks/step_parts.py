"""Where our time goes. In: a trainer. Out: seconds of the parts of its steps, and of what an epoch costs beside."""

import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from machine import clock
from results_file import spread

from xa_search.encoding.table import EncodedRow
from xa_search.records import EpochReport, Plan
from xa_search.search.study import open_study
from xa_search.tracking.address import tracking_uri
from xa_search.tracking.events import SearchStarted, epoch_logged, trial_started
from xa_search.tracking.spool import Spool
from xa_search.tracking.tracker import Tracker
from xa_search.training.checkpoint import save_checkpoint
from xa_search.training.data import TrialData, split_rows
from xa_search.training.epoch import EpochTotals
from xa_search.training.evaluation import labelled_metrics
from xa_search.training.objective import compute_losses
from xa_search.training.progress import save_progress
from xa_search.training.steps import step_batches
from xa_search.training.trainer import Trainer
from xa_search.training.trial import best_weights

REPORTED_EPOCHS = 10


def time_step_parts(trainer: Trainer, data: TrialData, epoch: int) -> dict[str, float]:
    """Take one pass over `data` in the pieces of `Trainer.take_step`. Return the seconds of each."""
    predictor, settings, device = trainer.predictor, trainer.job.settings, trainer.predictor.device
    seconds: dict[str, float] = defaultdict(float)
    trainer.model.train()
    last = clock(device)

    def note(part: str) -> None:
        nonlocal last
        now = clock(device)
        seconds[part] += now - last
        last = now

    for step in step_batches(data, trainer.collator, settings, epoch):
        moved = step.to(device)
        note("data")
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=predictor.precision == "bf16"):
            losses = compute_losses(trainer.model, moved, settings, trainer.micro_batches.weights.factors())
        note("forward")
        trainer.optimizer.zero_grad(set_to_none=True)
        losses.total.backward()  # type: ignore[no-untyped-call]
        note("backward")
        torch.nn.utils.clip_grad_norm_(trainer.model.parameters(), settings.clip_norm)
        trainer.optimizer.step()
        trainer.schedule.step()
        note("optimiser")
    return dict(seconds)


def time_epoch_costs(trainer: Trainer, plan: Plan, rounds: int) -> dict[str, Any]:
    """Time what a trial and its search do after the steps of an epoch: evaluate, save, report."""
    rows = split_rows(trainer.job.corpus, "dev", trainer.job.corpus.source, trainer.job.settings.dev_limit)
    seconds: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            report = _time_epoch_end(trainer, rows, Path(folder), seconds)
    _time_reports(plan, report, seconds)
    speeds = [len(rows) / each for each in seconds["evaluate"]]
    costs = {f"{part}_seconds": spread(each) for part, each in seconds.items()}
    return {"evaluated_utterances": len(rows), "utterances_a_second": spread(speeds), **costs}


def _time_epoch_end(
    trainer: Trainer, rows: list[EncodedRow], folder: Path, seconds: dict[str, list[float]]
) -> EpochReport:
    """Score the rows, write the best weights and the state to go on from; add the seconds of each."""
    job = replace(trainer.job, directory=folder)
    times = [clock(trainer.predictor.device)]
    metrics = labelled_metrics(rows, trainer.predictor.predict(rows), "dev", job.corpus.source)
    times.append(clock(trainer.predictor.device))
    save_checkpoint(trainer.model, trainer.kept_ids, best_weights(folder))
    times.append(clock(trainer.predictor.device))
    report = EpochReport(epoch=1, score=0.5, best_score=0.5, best_epoch=1, final=False, metrics=metrics)
    save_progress(replace(trainer, job=job), report, EpochTotals())
    times.append(clock(trainer.predictor.device))
    for part, (start, end) in zip(("evaluate", "save_weights", "save_progress"), pairwise(times), strict=True):
        seconds[part].append(end - start)
    return report


def _time_reports(plan: Plan, report: EpochReport, seconds: dict[str, list[float]]) -> None:
    """Report epochs to a new study and to a new MLflow store in one SQLite file; add the seconds of each."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = plan.model_copy(update={"home": Path(folder)})
        study = open_study(scratch)
        trial = study.propose()
        tracker = Tracker(Spool(scratch.directory / "spool.jsonl"), tracking_uri(scratch.home), plan.search_id)
        for event in (SearchStarted(search_id=plan.search_id), trial_started(trial)):
            tracker.record(event)
        tracker.sync()
        for epoch in range(1, REPORTED_EPOCHS + 1):
            one = replace(report, epoch=epoch)
            times = [time.perf_counter()]
            study.report(trial.number, one)
            times.append(time.perf_counter())
            tracker.record(epoch_logged(trial.number, one))
            tracker.sync()
            times.append(time.perf_counter())
            for part, (start, end) in zip(("report_to_study", "report_to_mlflow"), pairwise(times), strict=True):
                seconds[part].append(end - start)
