"""A share of a GPU: freed memory is waited for, the largest step is measured, and a limit holds."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from xa_search.errors import GpuBusyError
from xa_search.records import GpuShare, TrialJob
from xa_search.search.memory_profile import largest_step, measure_memory
from xa_search.search.trial_events import trial_events
from xa_search.training import device as gpu_share
from xa_search.training.device import take_share, wait_for_memory
from xa_search.training.steps import step_batches
from xa_search.training.trainer import build_trainer
from xa_search.training.trial import train_trial

MakeJob = Callable[..., TrialJob]
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def readings(*free: int) -> Callable[[], tuple[int, int]]:
    values: Iterator[int] = iter(free)
    return lambda: (next(values), 100)


def test_memory_is_waited_for_until_it_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_share, "BETWEEN_LOOKS", 0.0)
    reader = readings(10, 20, 49, 50, 99)
    wait_for_memory(0.5, reader, longest=60)
    assert reader() == (99, 100)


def test_memory_that_never_comes_free_is_no_fault_of_the_trial(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(GpuBusyError, match=r"20% of the GPU's memory came free in 0 s, the trial needs 50%"):
        wait_for_memory(0.5, readings(20), longest=0)

    def busy(job: TrialJob) -> Any:
        wait_for_memory(0.5, readings(20), longest=0)
        yield

    with pytest.raises(GpuBusyError):
        next(trial_events(make_job(), busy))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"pairing": "independent"},
        {"method": "english_only"},
        {"method": "cross_aligner"},
        {"method": "translate_train"},
        {"method": "target_english", "batch_size": 200},
        {"method": "zero_shot"},
    ],
)
def test_no_step_is_larger_than_the_measured_one(make_job: MakeJob, settings: dict[str, Any]) -> None:
    trainer = build_trainer(make_job(**settings))
    largest = largest_step(trainer)
    for step in step_batches(trainer.data, trainer.collator, trainer.job.settings, 0):
        assert len(step.batch.lengths) <= len(largest.batch.lengths)
        assert len(step.batch.input_ids) <= len(largest.batch.input_ids)
        assert step.batch.lengths.max() <= largest.batch.lengths.max()
    trainer.model.train()
    trainer.take_step(largest)


def test_without_a_gpu_nothing_is_measured_limited_or_waited_for(make_job: MakeJob) -> None:
    if torch.cuda.is_available():
        pytest.skip("has a GPU")
    assert measure_memory(make_job()) is None
    take_share(GpuShare(limit=0.0, needed=1.0))


@needs_gpu
def test_a_step_beyond_the_limit_is_halved(make_job: MakeJob) -> None:
    settings = {"batch_size": 48, "max_tokens": 64, "padding": "attended", "dropout": 0.0, "epochs": 1}
    probe = measure_memory(make_job(**settings))
    assert probe is not None
    assert 0 < probe.overhead < probe.peak < probe.total
    torch.cuda.empty_cache()
    tensors = probe.peak - probe.overhead
    share = GpuShare(limit=0.6 * tensors / probe.total, needed=0.0)
    try:
        torch.cuda.reset_peak_memory_stats()
        report = next(train_trial(replace(make_job(name="limited", **settings), share=share)))
        assert report.metrics["oom_halvings"] >= 1
        assert torch.cuda.max_memory_reserved() <= 0.6 * tensors
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
