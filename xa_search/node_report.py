"""What a node has for the trials of a search. In: what it is asked for. Out: a NodeReport, made on that node.

It runs in a worker's process there, and needs nothing of the driver's but the folder that both should see.
"""

import platform
import shutil
import socket
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pynvml
from packaging.requirements import Requirement

from xa_search.errors import XaSearchError
from xa_search.search.node_check import Expected, code_hash, storage_fault

PACKAGES = ("ray", "torch", "transformers", "optuna", "mlflow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What every node is asked for: the driver's code and folder, and the tracker it logs to."""

    expected: Expected
    tracker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReport:
    """What a node has; sizes are bytes. `cuda` and `driver` are empty where there is none.

    `storage` and `tracker` are what is wrong with them, empty where nothing is.
    `unmet` are this program's requirements that the node's packages do not meet; `gpus` are those that PyTorch finds.
    """

    name: str
    python: str
    packages: dict[str, str]
    unmet: tuple[str, ...]
    code: str
    cuda: str
    driver: str
    gpus: int
    free_disk: int
    free_memory: int
    storage: str
    tracker: str


def report_here(asked: Asked) -> NodeReport:
    """Look at the node that this process runs on."""
    import torch

    folder = asked.expected.probe.parent
    return NodeReport(
        name=socket.gethostname(),
        python=platform.python_version(),
        packages={name: _version(name) for name in PACKAGES},
        unmet=unmet_requirements(requires("xa-search") or []),
        code=code_hash(),
        cuda=torch.version.cuda or "",
        driver=_driver(),
        gpus=torch.cuda.device_count(),
        free_disk=shutil.disk_usage(folder if folder.exists() else Path.cwd()).free,
        free_memory=_free_memory(),
        storage=storage_fault(asked.expected),
        tracker=_tracker_fault(asked.tracker),
    )


def unmet_requirements(requirements: list[str]) -> tuple[str, ...]:
    """Return what the installed packages do not meet, each with what is there; extras are not looked at."""
    unmet = []
    for text in requirements:
        wanted = Requirement(text)
        found = _version(wanted.name)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        if not wanted.specifier.contains(found or "0", prereleases=True):
            unmet.append(f"{wanted.name} {found or 'missing'}, not {wanted.specifier}")
    return tuple(unmet)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _driver() -> str:
    """Return the version of NVIDIA's driver; empty where there is none."""
    try:
        pynvml.nvmlInit()
        return str(pynvml.nvmlSystemGetDriverVersion())
    except pynvml.NVMLError:
        return ""


def _free_memory() -> int:
    """Return what processes here can still take, as Linux estimates it."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))


def _tracker_fault(uri: str) -> str:
    from xa_search.tracking.access import check_access

    try:
        return check_access(uri)
    except XaSearchError as error:
        return str(error)
