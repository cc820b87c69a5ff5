"""One trial. In: a TrialJob. Out: an EpochReport after each epoch and at each rung, and the best epoch's weights.

Where each target has a model of its own, the trial's reports are made of theirs.

The models take turns epoch by epoch, so that a trial can be compared with any other after each epoch, and stopped. A
turn goes on from the model's own files, as an interrupted trial does: one model at a time is in memory.

A trial is a generator: whoever runs it (this process, a Ray worker) decides after each report whether to go on.
"""

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean

from xa_search.records import EpochReport, TrialJob
from xa_search.records.torn_files import take_torn
from xa_search.training.averaging import counts_in_average
from xa_search.training.checkpoint import save_checkpoint
from xa_search.training.collapse import CollapseWatch
from xa_search.training.data import source_dev_rows
from xa_search.training.dev_fit import fit_reading
from xa_search.training.device import take_share
from xa_search.training.distributed import leader_first, own_part, take_leaders_weights, train_in_processes
from xa_search.training.epoch import EpochTotals, Stretch, train_on
from xa_search.training.epoch_scores import epoch_metrics, rung_metrics
from xa_search.training.floors import known_floor
from xa_search.training.progress import (
    BEST_WEIGHTS,
    load_progress,
    load_report,
    restore_progress,
    save_progress,
    save_report,
)
from xa_search.training.registry import one_model_a_target, selection_rule
from xa_search.training.selection import GATE
from xa_search.training.trainer import Trainer, build_trainer

Train = Callable[[TrialJob], Iterator[EpochReport]]
BuildTrainer = Callable[[TrialJob], Trainer]
SUMS = ("seconds", "train_steps", "oom_halvings")


def jobs_per_target(job: TrialJob) -> tuple[TrialJob, ...]:
    """Return the job of each model of a trial: the trial's own, or one for each target in a folder of its own."""
    if not one_model_a_target(job.settings):
        return (job,)
    settings = job.settings.model_copy(update={"models": "joint"})
    return tuple(
        replace(job, settings=settings, corpus=replace(job.corpus, targets=(lang,)), directory=job.directory / lang)
        for lang in job.corpus.targets
    )


def train_per_target(job: TrialJob, train: Train) -> Iterator[EpochReport]:
    """Train a model for each target. A trial that was interrupted goes on as one with a single model does.

    Each model keeps its own best epoch: the score after an epoch is the mean of the models' best scores so far.
    """
    report = load_report(job.directory)
    if report is not None:
        yield report
    for epoch in range(1 if report is None else report.epoch + 1, job.settings.epochs + 1):
        found = {one.corpus.targets[0]: _report_of(train(one), epoch) for one in jobs_per_target(job)}
        report = _joined(found, report)
        report = replace(report, torn=(*report.torn, *take_torn()))
        save_report(job.directory, report)
        yield report


def mean_metrics(parts: list[dict[str, float]]) -> dict[str, float]:
    """Return the metrics of several models as one: what more than one of them has, as the mean."""
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: fmean(part[name] for part in parts if name in part) for name in names}


def _report_of(reports: Iterator[EpochReport], epoch: int) -> EpochReport:
    """Let a model learn until it has reported this epoch, which it may have done before."""
    with closing(reports):  # type: ignore[type-var]
        return next(report for report in reports if report.epoch == epoch)


def _joined(reports: Mapping[str, EpochReport], before: EpochReport | None) -> EpochReport:
    metrics = mean_metrics([report.metrics for report in reports.values()])
    for name in metrics:
        if name.endswith(SUMS):
            metrics[name] = sum(report.metrics.get(name, 0.0) for report in reports.values())
    improved = [lang for lang, report in reports.items() if report.best_epoch == report.epoch]
    if before is not None:
        # What the report says of a target is what the weights that are kept for it reach.
        kept = tuple(f"_{lang}" for lang in reports if lang not in improved)
        metrics |= {name: value for name, value in before.metrics.items() if name.endswith(kept)}
    one = next(iter(reports.values()))
    score = fmean(report.best_score for report in reports.values())
    return EpochReport(
        epoch=one.epoch,
        score=score,
        best_score=score,
        best_epoch=one.epoch if improved or before is None else before.best_epoch,
        final=one.final,
        metrics=metrics,
        torn=tuple(line for report in reports.values() for line in report.torn),
    )


def train_trial(job: TrialJob, build: BuildTrainer = build_trainer) -> Iterator[EpochReport]:
    """Train a trial's model, or its model for each target, for the settings' epochs.

    `build` makes what learns; of a trial in several processes each makes the usual one.
    The weights of the best epoch under the selection rule, of the last one, or the mean of those of the second half's
    epochs are kept, for each model its own.
    A trial that was interrupted goes on after its last epoch, whose report is given once more. Raises NonFiniteError
    soon after a loss or a gradient is not finite, CollapsedError when the model no longer tells utterances apart.
    """
    train = partial(train_in_processes, train=_train) if job.processes > 1 else partial(_train, build=build)
    return train_per_target(job, train) if one_model_a_target(job.settings) else train(job)


def _train(job: TrialJob, build: BuildTrainer = build_trainer) -> Iterator[EpochReport]:
    """Train one model. Of several processes, each is here: all take steps, the first alone evaluates and reports."""
    # A worker trains many trials: what the last one left in reference cycles is freed before this one takes memory.
    gc.collect()
    begin = time.perf_counter()
    if job.share is not None:
        take_share(job.share)
    progress = load_progress(job.directory)
    if progress is not None:
        yield progress.report
        if progress.report.final:
            return
    number, _ = own_part()
    floor = known_floor(job) if number == 0 else {}
    with leader_first():
        trainer = build(job)
    watch, totals = CollapseWatch(trainer), EpochTotals()
    if progress is not None:
        totals = restore_progress(trainer, progress)
        trainer.micro_batches.halvings = int(progress.report.metrics.get("oom_halvings", 0))
    take_leaders_weights(trainer.model)
    report = None if progress is None else progress.report
    epoch = 1 if report is None else report.epoch + report.whole
    start_seconds, begin, cpu = time.perf_counter() - begin, time.perf_counter(), time.process_time()
    for stretch in train_on(trainer, watch, epoch, totals):
        if number > 0:
            continue
        _average(trainer, stretch)
        metrics = stretch.metrics | (_evaluate(trainer) if stretch.whole else _evaluate_rung(trainer))
        begin = time.perf_counter()
        report = _judge(job, stretch, metrics, report)
        if report.whole and report.best_epoch == report.epoch:
            save_checkpoint(trainer.model, trainer.kept_ids, best_weights(job.directory))
        save_progress(trainer, report, stretch.totals)
        seconds = {
            "start_seconds": start_seconds,
            "save_seconds": time.perf_counter() - begin,
            "cpu_seconds": time.process_time() - cpu,
        }
        begin = time.perf_counter()
        yield replace(report, metrics=report.metrics | seconds | floor, torn=take_torn())
        start_seconds, cpu = time.perf_counter() - begin, time.process_time()


def _average(trainer: Trainer, stretch: Stretch) -> None:
    """Take the weights of an epoch of the second half into their mean, which is the model after the last one."""
    settings, epoch = trainer.job.settings, stretch.epoch
    if stretch.whole and settings.kept_epoch == "average" and counts_in_average(epoch, settings.epochs):
        trainer.average.add(trainer.model)
        if epoch == settings.epochs:
            trainer.average.put_into(trainer.model)


def _judge(job: TrialJob, stretch: Stretch, metrics: dict[str, float], before: EpochReport | None) -> EpochReport:
    """Return the report of a stretch: its selection score, and which epoch is the best now."""
    rule = selection_rule(job.selection)
    score = rule.score(metrics, job.corpus)
    if rule.gate is not None:
        metrics = metrics | {GATE: rule.gate(metrics, job.corpus)}
    best = None if before is None or before.best_epoch == 0 else before
    is_best = best is None or score > best.best_score or job.settings.kept_epoch != "best"
    if stretch.whole and is_best:
        best_score, best_epoch = score, stretch.epoch
    else:
        best_score, best_epoch = (score, 0) if best is None else (best.best_score, best.best_epoch)
    return EpochReport(
        epoch=stretch.epoch,
        score=score,
        best_score=best_score,
        best_epoch=best_epoch,
        final=stretch.whole and stretch.epoch == job.settings.epochs,
        metrics=metrics,
        rung=stretch.steps if stretch.steps in job.rungs else None,
        whole=stretch.whole,
    )


def best_weights(directory: Path) -> Path:
    """Return the file of the best weights of the model in this folder."""
    return directory / BEST_WEIGHTS


def all_weights(directory: Path) -> list[Path]:
    """Return the weights that lie in a trial's folder: of its one model, or of one a target."""
    return sorted(directory.rglob(BEST_WEIGHTS))


def _evaluate(trainer: Trainer) -> dict[str, float]:
    """Score an epoch; how logits are read is fitted to the source dev split first."""
    start = time.perf_counter()
    job, predictor = trainer.job, trainer.predictor
    dev = source_dev_rows(job.corpus, trainer.data.split, job.settings.dev_limit)
    dev_logits = list(predictor.logits(dev))
    fitted = fit_reading(predictor, dev_logits)
    said = predictor.read(dev, dev_logits)
    metrics = fitted | epoch_metrics(lambda _: predictor.predict, trainer.data.selecting, job, (dev, said))
    return metrics | {"evaluate_seconds": time.perf_counter() - start}


def _evaluate_rung(trainer: Trainer) -> dict[str, float]:
    start = time.perf_counter()
    metrics = rung_metrics(trainer.predictor, trainer.data, trainer.job)
    return metrics | {"evaluate_seconds": time.perf_counter() - start}
