"""What needs processes of its own. In: an arm and its job. Out: its peak memory, or its speed beside others."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from arms import build_arm, draw_rows, train
from machine import clock, peak_memory

from xa_search.records import TrialJob
from xa_search.training.device import trial_device

STEPS_UNTIL_PEAK = 3
WARM_UP_STEPS = 2


def measure_memory(arm: str, job: TrialJob, pad_length: int) -> dict[str, float]:
    """Return the peak memory in GB of a fresh process that takes some steps, and what it held before it began."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_memory_of_steps, arm, job, pad_length).result()


def train_at_once(count: int, arm: str, job: TrialJob, pad_length: int, examples: int, rounds: int) -> list[float]:
    """Train in `count` processes side by side. Return the examples a second of all together, round by round."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(count, mp_context=context) as pool:
        barrier = manager.Barrier(count)
        running = [pool.submit(_train_beside, arm, job, pad_length, examples, rounds, barrier) for _ in range(count)]
        seconds = [process.result() for process in running]
    return [count * examples / max(each) for each in zip(*seconds, strict=True)]


def _memory_of_steps(arm: str, job: TrialJob, pad_length: int) -> dict[str, float]:
    device = trial_device()
    before = peak_memory(device)
    trainer = build_arm(arm, job, pad_length)
    train(trainer, draw_rows(trainer.data, STEPS_UNTIL_PEAK * job.settings.batch_size, job.settings.seed, 0), 0)
    return {"before_gb": round(before, 3), "peak_gb": round(peak_memory(device), 3)}


def _train_beside(arm: str, job: TrialJob, pad_length: int, examples: int, rounds: int, barrier: Any) -> list[float]:
    """Return the seconds of each round; all processes begin a round together."""
    device, seed = trial_device(), job.settings.seed
    trainer = build_arm(arm, job, pad_length)
    train(trainer, draw_rows(trainer.data, WARM_UP_STEPS * job.settings.batch_size, seed, 0), 0)
    seconds = []
    for turn in range(1, rounds + 1):
        data = draw_rows(trainer.data, examples, seed, turn)
        barrier.wait()
        start = clock(device)
        train(trainer, data, turn)
        seconds.append(clock(device) - start)
    return seconds
