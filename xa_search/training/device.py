"""The hardware of a trial. In: what this process may use. Out: the device it trains on, and how busy that is."""

import torch


def trial_device() -> torch.device:
    """Return the GPU that this process is set to, which is its first, or the CPU."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")


def gpu_utilisation(device: torch.device) -> float | None:
    """Return the share of the last moments in which the GPU computed, as its driver counts it; none where it cannot."""
    if device.type != "cuda":
        return None
    try:
        return torch.cuda.utilization(device) / 100
    except Exception:  # each driver's library has errors of its own; a slice of a GPU, for one, reports nothing
        return None
