"""The hardware of a trial. In: what this process may use. Out: the device, the faster precision, its share of a GPU.

The choice is kept in the search's folder: whichever node measures first, all trials of one size learn in one precision.

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
from typing import Any

import torch
import torch.utils.deterministic
from torch import nn

from xa_search.errors import GpuBusyError
from xa_search.records import GpuShare, TrialJob
from xa_search.records.torn_files import tell_torn
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


ROWS = 512
PRECISION = "precision"
"""The folder of a home for choices that belong to no search."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedForward:
    """The dimensions of an encoder's feed-forward block, which takes most of its time."""

    hidden: int
    inner: int

    @classmethod
    def of(cls, config: Any) -> "FeedForward":
        """Return those of an encoder's configuration."""
        return cls(hidden=config.hidden_size, inner=getattr(config, "intermediate_size", 4 * config.hidden_size))


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionProbe:
    """Seconds of a forward and backward pass through a feed-forward block in both precisions."""

    precision: str
    fp32_seconds: float
    bf16_seconds: float


def choose_precision(device: torch.device, threads: int, folder: Path, block: FeedForward) -> PrecisionProbe:
    """Return the choice that a folder keeps for such a block, or measure and keep it; the first to keep it wins."""
    path = folder / f"precision-{block.hidden}x{block.inner}.json"
    if (kept := _kept(path)) is None:
        probe = measure_precision(device, threads, block)
        folder.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{platform.node()}-{os.getpid()}")
        temporary.write_text(json.dumps(asdict(probe)), encoding="utf-8")
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            put_in_place(temporary, path)
        temporary.unlink(missing_ok=True)
        kept = _kept(path) or probe
    return kept


def _kept(path: Path) -> PrecisionProbe | None:
    """Return the choice in a file; none where there is none, or one that cannot be read, which is removed."""
    try:
        return PrecisionProbe(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        tell_torn(path, error, "the precision is measured again")
        path.unlink(missing_ok=True)
        return None


def resolve_precision(wanted: str, device: torch.device, threads: int, folder: Path, config: Any) -> str:
    """Return `fp32` or `bf16`: what is wanted, or for `auto` what was measured to be faster with such an encoder."""
    if wanted != "auto":
        return wanted
    return choose_precision(device, threads, folder, FeedForward.of(config)).precision


def trial_precision(job: TrialJob, device: torch.device, config: Any) -> str:
    """Return what a trial computes in, while it learns and when it is tested."""
    return resolve_precision(job.settings.precision, device, job.threads, job.search or job.directory, config)


def set_determinism(*, wanted: bool) -> None:
    """Let this process use only algorithms that give the same bits each time, or any.

    On a GPU, additions whose order is left open (index_add, the backward pass of attention) then have an order. Torch
    raises RuntimeError where it has no such algorithm.
    """
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when the first product is computed
    torch.use_deterministic_algorithms(wanted)
    torch.backends.cudnn.benchmark = False
    # Nothing here reads what it has not written: filling it would only take time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def measure_precision(device: torch.device, threads: int, dimensions: FeedForward) -> PrecisionProbe:
    """Time the same block in both precisions, in alternation, and prefer bf16 only where it is clearly faster.

    Leaves the thread count and the random state as they were: a trial that measures draws as one that does not.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng():
            return _measure(device, dimensions)
    finally:
        torch.set_num_threads(before)


def _measure(device: torch.device, dimensions: FeedForward) -> PrecisionProbe:
    hidden, inner = dimensions.hidden, dimensions.inner
    block = nn.Sequential(nn.Linear(hidden, inner), nn.GELU(), nn.Linear(inner, hidden)).to(device)
    inputs = torch.randn(ROWS, hidden).to(device)  # drawn here: Apple's GPU has a random state that nobody puts back
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
