"""One model a target. In: a TrialJob. Out: a job for each of its models, and their reports as the trial's.

The models take turns epoch by epoch, so that a trial can be compared with any other after each epoch, and stopped. A
turn goes on from the model's own files, as an interrupted trial does: one model at a time is in memory.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from statistics import fmean

from xa_search.records import EpochReport, TrialJob
from xa_search.training.progress import load_report, save_report

Train = Callable[[TrialJob], Iterator[EpochReport]]
SUMS = ("seconds", "train_steps", "oom_halvings")


def models_of(job: TrialJob) -> tuple[TrialJob, ...]:
    """Return the job of each model of a trial: the trial's own, or one for each target in a folder of its own."""
    if not job.settings.one_model_a_target:
        return (job,)
    settings = job.settings.model_copy(update={"models": "joint"})
    return tuple(
        replace(job, settings=settings, corpus=replace(job.corpus, targets=(lang,)), directory=job.directory / lang)
        for lang in job.corpus.targets
    )


def train_models(job: TrialJob, train: Train) -> Iterator[EpochReport]:
    """Train a model for each target. A trial that was interrupted goes on as one with a single model does.

    Each model keeps its own best epoch: the score after an epoch is the mean of the models' best scores so far.
    """
    report = load_report(job.directory)
    if report is not None:
        yield report
    for epoch in range(1 if report is None else report.epoch + 1, job.settings.epochs + 1):
        found = {one.corpus.targets[0]: _report_of(train(one), epoch) for one in models_of(job)}
        report = _joined(found, report)
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
    )
