"""What keeps trials from running, node by node. In: a home, a tracker, a cluster's address. Out: findings, with fixes.

It runs in a worker's process there, and needs nothing of the driver's but the folder that both should see.

Each node makes its own report; the first one is of the machine that the command is typed on, and all others are held
against it.
"""

import platform
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import psutil
import pynvml
import torch
from packaging.requirements import Requirement

from xa_search.errors import InfeasibleError, UsageError, XaSearchError
from xa_search.search.budgets import GB, format_bytes
from xa_search.search.connection import connected
from xa_search.search.node_check import SHOWN, Expected, code_hash, expected_of_nodes, storage_fault
from xa_search.search.ray_nodes import ask_nodes
from xa_search.tracking.address import database_of
from xa_search.tracking.registry import list_models, missing_files
from xa_search.tracking.store import check_access

PACKAGES = ("ray", "torch", "transformers", "optuna", "mlflow")
LEAST_DISK = 10 * GB
"""An encoder with its vocabulary, the encoded corpus, and the weights and checkpoints of a few trials of `base`."""
LEAST_MEMORY = 4 * GB
"""A trial of `base` on a CPU, or what loading one for a GPU takes."""
PROBE_FOLDER = "doctor"
SAME_VERSIONS = "install the same there: pip install -c constraints.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeQuery:
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


def report_here(asked: NodeQuery) -> NodeReport:
    """Look at the node that this process runs on."""
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
        free_memory=psutil.virtual_memory().available,
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


def _tracker_fault(uri: str) -> str:
    try:
        return check_access(uri)
    except XaSearchError as error:
        return str(error)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """A node that was asked: its report, or why there is none; `gpus` are those that Ray counts there, if it does."""

    name: str
    gpus: float | None = None
    report: NodeReport | None = None
    silence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is not as it should be on a node, and what to do about it. `delays` says that trials run all the same."""

    node: str
    what: str
    found: str
    wanted: str
    fix: str
    delays: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """Who was asked, this machine first, and what was found."""

    nodes: tuple[NodeStatus, ...]
    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        """0 where all is well, 1 where only the tracker is away or refuses, 4 where trials could not run."""
        if any(not finding.delays for finding in self.findings):
            return InfeasibleError.exit_code
        return XaSearchError.exit_code if self.findings else 0


def examine(home: Path, tracker: str, address: str | None) -> Diagnosis:
    """Ask this machine, and every live node of the cluster at `address`. Raises InfeasibleError if that is closed."""
    folder = home / PROBE_FOLDER
    try:
        with expected_of_nodes(folder) as expected:
            asked = NodeQuery(expected=expected, tracker=tracker)
            here = report_here(asked)
            nodes = [NodeStatus(name="this machine", report=here)]
            if address is not None:
                nodes += _nodes_of(address, asked)
    except OSError as error:
        raise UsageError(f"--home {home}: {error.strerror or error}; give a folder that you may write to") from None
    finally:
        with suppress(OSError):
            folder.rmdir()
    found = [*findings_of(here, nodes), *models_without_files(tracker, here.tracker)]
    return Diagnosis(nodes=tuple(nodes), findings=tuple(found))


def models_without_files(uri: str, fault: str = "") -> Iterator[Finding]:
    """Look whether what the aliases of registered models point at is there; nothing is asked of a faulty tracker."""
    database = database_of(uri)
    if fault or (database is not None and not database.exists()):
        return
    for one in list_models(uri):
        missing = missing_files(uri, one.name, one.version) if one.aliases else ()
        if missing:
            yield Finding(
                node="this machine",
                what="model",
                found=f"{one.name} version {one.version} lacks {', '.join(sorted(missing))}",
                wanted="all its files",
                fix=f"run its search {one.search_id} again, which uploads them",
                delays=True,
            )


def findings_of(here: NodeReport, nodes: Sequence[NodeStatus]) -> Iterator[Finding]:
    """Hold each node against what trials need and against the machine that the command is typed on."""
    for node in nodes:
        report = node.report
        if report is None:
            fix = f"look there; {SAME_VERSIONS}"
            yield Finding(node=node.name, what="answer", found=node.silence, wanted="a report", fix=fix)
            continue
        yield from _differences(node.name, report, here)
        yield from _gpu(node, report)
        yield from _free_space(node.name, report)
        for what, fault, delays in (("storage", report.storage, False), ("tracker", report.tracker, True)):
            if fault:
                found, _, fix = fault.partition("; ")
                wanted = "read and written by all nodes" if what == "storage" else "an answer"
                yield Finding(node=node.name, what=what, found=found, wanted=wanted, fix=fix, delays=delays)


def _differences(name: str, report: NodeReport, here: NodeReport) -> Iterator[Finding]:
    """Compare a node's software with this machine's; of torch, the builds may differ."""
    if report.python != here.python:
        fix = f"use Python {here.python} there, or {report.python} here: Ray lets no other patch version join"
        yield Finding(node=name, what="python", found=report.python, wanted=here.python, fix=fix)
    for package, wanted in here.packages.items():
        found = report.packages.get(package, "")
        if found.partition("+")[0] != wanted.partition("+")[0]:
            yield Finding(
                node=name, what=package, found=found or "missing", wanted=wanted, fix=f"{SAME_VERSIONS} {package}"
            )
    if report.code != here.code:
        fix = "install the same wheel there, or type `run --cluster FILE`, with which the code travels"
        yield Finding(node=name, what="code", found=report.code[:SHOWN], wanted=here.code[:SHOWN], fix=fix)
    for line in report.unmet:
        found, _, wanted = line.partition(", not ")
        fix = "install it as pinned: pip install -c constraints.txt -e ."
        yield Finding(node=name, what="requirement", found=found, wanted=wanted, fix=fix)


def _gpu(node: NodeStatus, report: NodeReport) -> Iterator[Finding]:
    """Hold the GPUs that PyTorch finds against those that Ray counts, or else that a driver is there for."""
    counted = node.gpus if node.gpus is not None else float(bool(report.driver))
    if report.gpus >= counted:
        return
    if not report.driver:
        fix = "take an image with NVIDIA's driver, or start Ray there with --num-gpus 0"
        yield Finding(node=node.name, what="driver", found="none", wanted=f"one for {counted:g} GPUs", fix=fix)
    elif not report.cuda:
        torch = report.packages.get("torch", "")
        fix = "install the CUDA build: pip install -c constraints.txt torch, from PyTorch's own index"
        yield Finding(node=node.name, what="cuda", found=f"torch {torch}", wanted="a build with CUDA", fix=fix)
    else:
        found = f"PyTorch finds {report.gpus}, driver {report.driver}"
        wanted, fix = f"{counted:g}, CUDA {report.cuda}", "take a driver that is new enough for this CUDA"
        yield Finding(node=node.name, what="gpus", found=found, wanted=wanted, fix=fix)


def _free_space(name: str, report: NodeReport) -> Iterator[Finding]:
    if report.free_disk < LEAST_DISK:
        wanted, fix = format_bytes(LEAST_DISK), "free some space there (xa-search gc), or give another --home"
        yield Finding(node=name, what="disk", found=f"{format_bytes(report.free_disk)} free", wanted=wanted, fix=fix)
    if report.free_memory < LEAST_MEMORY:
        wanted, fix = format_bytes(LEAST_MEMORY), "stop what else runs there, or take a larger machine"
        yield Finding(
            node=name, what="memory", found=f"{format_bytes(report.free_memory)} free", wanted=wanted, fix=fix
        )


def _nodes_of(address: str, asked: NodeQuery) -> list[NodeStatus]:
    with connected(address):
        answers = ask_nodes(report_here, asked)
    return [NodeStatus(name=one.name, gpus=one.gpus, report=one.answer, silence=one.silence) for one in answers]
