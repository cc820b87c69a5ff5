"""The hardware of a trial. In: what this process may use. Out: the device, the faster precision, its share of a GPU.

The choice is kept on disk, so that one machine always trains in one precision and a seed always gives the same numbers.

Ray only counts shares: it neither limits a process, nor waits until one that it killed has given its memory back.
"""

import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import torch
from torch import nn

from xa_search.errors import GpuBusyError
from xa_search.records import GpuShare
from xa_search.records.whole_files import put_in_place

NEEDED_SPEED_UP = 1.15
REPEATS = 7
LONGEST_WAIT = 120.0
BETWEEN_LOOKS = 0.5
FreeMemory = Callable[[], tuple[int, int]]


def trial_device() -> torch.device:
    """Return the GPU that this process is set to, which is its first; else Apple's GPU, or the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def gpu_utilisation(device: torch.device) -> float | None:
    """Return the share of the last moments in which the GPU computed, as its driver counts it; none where it cannot."""
    if device.type != "cuda":
        return None
    try:
        return torch.cuda.utilization(device) / 100
    except Exception:  # each driver's library has errors of its own; a slice of a GPU, for one, reports nothing
        return None


ROWS, HIDDEN, INNER = 512, 384, 1536


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionProbe:
    """Seconds of a forward and backward pass through a feed-forward block in both precisions."""

    precision: str
    fp32_seconds: float
    bf16_seconds: float


def choose_precision(device: torch.device, threads: int, home: Path) -> PrecisionProbe:
    """Return the stored choice for this machine, or measure and store it."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    key = f"{device.type}-{name}-{platform.node()}-{threads}-{torch.__version__}".replace("/", "_").replace(" ", "_")
    path = home / "precision" / f"{key}.json"
    if path.exists():
        return PrecisionProbe(**json.loads(path.read_text(encoding="utf-8")))
    probe = measure_precision(device, threads)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(asdict(probe)), encoding="utf-8")
    put_in_place(temporary, path)
    return probe


def resolve_precision(wanted: str, device: torch.device, threads: int, home: Path) -> str:
    """Return `fp32` or `bf16`: what is wanted, or for `auto` what was measured to be faster."""
    return choose_precision(device, threads, home).precision if wanted == "auto" else wanted


def measure_precision(device: torch.device, threads: int) -> PrecisionProbe:
    """Time the same block in both precisions, in alternation, and prefer bf16 only where it is clearly faster.

    Leaves the thread count and the random state as they were: a trial that measures draws as one that does not.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng():
            return _measure(device)
    finally:
        torch.set_num_threads(before)


def _measure(device: torch.device) -> PrecisionProbe:
    block = nn.Sequential(nn.Linear(HIDDEN, INNER), nn.GELU(), nn.Linear(INNER, HIDDEN)).to(device)
    inputs = torch.randn(ROWS, HIDDEN).to(device)  # drawn here: Apple's GPU has a random state that nobody puts back
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(REPEATS):
        for bf16 in seconds:
            seconds[bf16].append(_time_step(block, inputs, bf16))
    fp32_seconds, bf16_seconds = median(seconds[False][2:]), median(seconds[True][2:])
    precision = "bf16" if bf16_seconds * NEEDED_SPEED_UP < fp32_seconds else "fp32"
    return PrecisionProbe(precision=precision, fp32_seconds=fp32_seconds, bf16_seconds=bf16_seconds)


def _time_step(block: nn.Module, inputs: torch.Tensor, bf16: bool) -> float:
    start = time.perf_counter()
    with torch.autocast(inputs.device.type, dtype=torch.bfloat16, enabled=bf16):
        output = block(inputs)
    output.float().square().mean().backward()
    if inputs.device.type != "cpu":
        torch.accelerator.synchronize(inputs.device)
    return time.perf_counter() - start


def take_share(share: GpuShare) -> None:
    """Limit this process's tensors, and wait for free memory. Does nothing without a GPU. Raises GpuBusyError."""
    if torch.cuda.is_available():
        if share.limit < 1:
            torch.cuda.set_per_process_memory_fraction(share.limit)
        torch.cuda.empty_cache()
        wait_for_memory(share.needed, _free_memory, LONGEST_WAIT)


def wait_for_memory(needed: float, free_memory: FreeMemory, longest: float) -> None:
    """Wait until this part of a GPU is free; `free_memory` returns free and all bytes. Raises GpuBusyError."""
    deadline = time.monotonic() + longest
    while True:
        free, total = free_memory()
        if free >= needed * total:
            return
        if time.monotonic() >= deadline:
            raise GpuBusyError(
                f"{free / total:.0%} of the GPU's memory came free in {longest:.0f} s, the trial needs {needed:.0%}: "
                "something that Ray does not count holds the rest; `nvidia-smi` there shows what"
            )
        time.sleep(BETWEEN_LOOKS)


def _free_memory() -> tuple[int, int]:
    """Count what this process itself holds, as of a model before, as free."""
    free, total = torch.cuda.mem_get_info()
    return free + torch.cuda.memory_reserved(), total
