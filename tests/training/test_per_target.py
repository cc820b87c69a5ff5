"""One model a target: each is the model that a trial of its own would train, whatever interrupts the trial."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from xa_search.records import EpochReport, TrialJob
from xa_search.training.progress import remove_progress
from xa_search.training.trial import all_weights, best_weights, jobs_per_target, train_trial

MakeJob = Callable[..., TrialJob]
CLOCKS = "seconds"


def without_clocks(report: EpochReport) -> EpochReport:
    return replace(report, metrics={k: v for k, v in report.metrics.items() if not k.endswith(CLOCKS)})


def same_weights(one: Path, other: Path) -> bool:
    mine, theirs = load_file(best_weights(one)), load_file(best_weights(other))
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_each_model_is_that_of_a_trial_with_one_target(make_job: MakeJob) -> None:
    job = make_job(models="each", dropout=0.1, epochs=3)
    reports = list(train_trial(job))
    assert [report.final for report in reports] == [False, False, True]
    lone = {}
    for lang in job.corpus.targets:
        alone = replace(make_job(name=f"alone-{lang}", epochs=3), corpus=replace(job.corpus, targets=(lang,)))
        lone[lang] = list(train_trial(alone))
        assert same_weights(job.directory / lang, alone.directory)
        for report, single in zip(reports, lone[lang], strict=True):
            name = f"held_out_intent_acc_{lang}"
            assert report.metrics[name] == next(
                one.metrics[name] for one in lone[lang] if one.epoch == single.best_epoch
            )
    for epoch, report in enumerate(reports):
        singles = [found[epoch] for found in lone.values()]
        assert report.score == pytest.approx(sum(single.best_score for single in singles) / len(singles))
        assert report.metrics["train_steps"] == sum(single.metrics["train_steps"] for single in singles)


def test_an_interrupted_trial_goes_on_where_each_of_its_models_is(make_job: MakeJob) -> None:
    whole = make_job(models="each", name="whole")
    undisturbed = [without_clocks(report) for report in train_trial(whole)]
    job = make_job(models="each", name="interrupted")
    first = next(train_trial(job))
    ahead = train_trial(jobs_per_target(job)[0])
    assert [next(ahead).epoch, next(ahead).epoch] == [1, 2]
    ahead.close()  # type: ignore[attr-defined]
    again = [without_clocks(report) for report in train_trial(job)]
    assert again == [without_clocks(first), undisturbed[1]]
    assert all(same_weights(one.directory, whole.directory / one.directory.name) for one in jobs_per_target(job))
    remove_progress(job.directory)
    assert [path for path in job.directory.rglob("*") if path.is_file()] == all_weights(job.directory)


@pytest.mark.parametrize("method", ["zero_shot", "english_only"])
def test_what_no_target_teaches_is_one_model(make_job: MakeJob, method: str) -> None:
    job = make_job(models="each", method=method, epochs=1)
    assert jobs_per_target(job) == (job,)
    list(train_trial(job))
    assert all_weights(job.directory) == [best_weights(job.directory)]
