"""A trial's share of a GPU. In: a GpuShare. Out: a process that can take no more, begun once that much is free.

Ray only counts shares: it neither limits a process, nor waits until one that it killed has given its memory back.
"""

import time
from collections.abc import Callable

import torch

from xa_search.errors import GpuBusyError
from xa_search.records import GpuShare

LONGEST_WAIT = 120.0
BETWEEN_LOOKS = 0.5

FreeMemory = Callable[[], tuple[int, int]]


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
