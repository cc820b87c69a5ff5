"""The machine under measurement. In: a device. Out: what it is, how fast it multiplies, how full its memory got."""

import os
import platform
import resource
import time
from pathlib import Path
from typing import Any

import psutil
import torch

CPU_INFO, OWN_STATUS = Path("/proc/cpuinfo"), Path("/proc/self/status")
"""What Linux alone has: psutil knows neither what a processor can do nor a process's peak."""
FLAGS_OF_NOTE = ("avx2", "avx512f", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16")
MATRIX_SIDES = {"cpu": (1024, 2048), "cuda": (4096, 8192)}
MATRIX_REPEATS = 5


def describe_machine(device: torch.device, threads: int) -> dict[str, Any]:
    """Return what decides how fast this machine is, and how busy it was before."""
    return {
        **_processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "torch": torch.__version__,
        "load_before": round(os.getloadavg()[0], 2),
    }


def _processor() -> dict[str, Any]:
    if not CPU_INFO.exists():
        return {"processor": platform.processor() or platform.machine(), "flags": f"not told by {platform.system()}"}
    cpu = dict(line.split(":", 1) for line in CPU_INFO.read_text().splitlines() if ":" in line)
    fields = {name.strip(): value.strip() for name, value in cpu.items()}
    flags = fields.get("flags", "").split()
    return {
        "processor": fields.get("model name", "unknown"),
        "flags": [flag for flag in FLAGS_OF_NOTE if flag in flags],
    }


def matrix_rate(device: torch.device, precision: str) -> float:
    """Return the operations a second of the fastest of some products of two large square matrices."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    return max(_square_product_rate(side, dtype, device) for side in MATRIX_SIDES[device.type])


def _square_product_rate(side: int, dtype: torch.dtype, device: torch.device) -> float:
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    torch.mm(left, right)
    seconds = []
    for _ in range(MATRIX_REPEATS):
        start = clock(device)
        torch.mm(left, right)
        seconds.append(clock(device) - start)
    return 2 * side**3 / min(seconds)


def clock(device: torch.device) -> float:
    """Return the time in seconds once the device has done all it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def peak_memory(device: torch.device) -> float:
    """Return the most memory that this process held so far, in GB: the GPU's where there is one, else resident.

    On Linux not `ru_maxrss`: there that begins with the size of the process that started this one.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    if not OWN_STATUS.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e9  # bytes on macOS
    lines = OWN_STATUS.read_text(encoding="utf-8").splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1e9


def anonymous_memory() -> float:
    """Return the memory in GB that is this process's own; the pages of mapped files, which can be dropped, are not."""
    process = psutil.Process()
    memory = process.memory_info()
    own = memory.rss - memory.shared if hasattr(memory, "shared") else process.memory_full_info().uss
    return float(own) / 1e9
