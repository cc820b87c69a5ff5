"""What keeps trials from running, node by node. In: a home, a tracker, a cluster's address. Out: findings, with fixes.

Each node makes its own report; the first one is of the machine that the command is typed on, and all others are held
against it.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from xa_search.errors import InfeasibleError, UsageError, XaSearchError
from xa_search.node_report import Asked, NodeReport, report_here
from xa_search.search.disk import GB, readable
from xa_search.search.node_check import SHOWN, expected_of_nodes

LEAST_DISK = 10 * GB
"""An encoder with its vocabulary, the encoded corpus, and the weights and checkpoints of a few trials of `base`."""
LEAST_MEMORY = 4 * GB
"""A trial of `base` on a CPU, or what loading one for a GPU takes."""
PROBE_FOLDER = "doctor"
SAME_VERSIONS = "install the same there: pip install -c constraints.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
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

    patients: tuple[Patient, ...]
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
            asked = Asked(expected=expected, tracker=tracker)
            here = report_here(asked)
            patients = [Patient(name="this machine", report=here)]
            if address is not None:
                patients += _nodes_of(address, asked)
    except OSError as error:
        raise UsageError(f"--home {home}: {error.strerror or error}; give a folder that you may write to") from None
    finally:
        with suppress(OSError):
            folder.rmdir()
    return Diagnosis(patients=tuple(patients), findings=tuple(findings_of(here, patients)))


def findings_of(here: NodeReport, patients: Sequence[Patient]) -> Iterator[Finding]:
    """Hold each node against what trials need and against the machine that the command is typed on."""
    for patient in patients:
        report = patient.report
        if report is None:
            fix = f"look there; {SAME_VERSIONS}"
            yield Finding(node=patient.name, what="answer", found=patient.silence, wanted="a report", fix=fix)
            continue
        yield from _differences(patient.name, report, here)
        yield from _gpu(patient, report)
        yield from _room(patient.name, report)
        for what, fault, delays in (("storage", report.storage, False), ("tracker", report.tracker, True)):
            if fault:
                found, _, fix = fault.partition("; ")
                wanted = "read and written by all nodes" if what == "storage" else "an answer"
                yield Finding(node=patient.name, what=what, found=found, wanted=wanted, fix=fix, delays=delays)


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


def _gpu(patient: Patient, report: NodeReport) -> Iterator[Finding]:
    """Hold the GPUs that PyTorch finds against those that Ray counts, or else that a driver is there for."""
    counted = patient.gpus if patient.gpus is not None else float(bool(report.driver))
    if report.gpus >= counted:
        return
    if not report.driver:
        fix = "take an image with NVIDIA's driver, or start Ray there with --num-gpus 0"
        yield Finding(node=patient.name, what="driver", found="none", wanted=f"one for {counted:g} GPUs", fix=fix)
    elif not report.cuda:
        torch = report.packages.get("torch", "")
        fix = "install the CUDA build: pip install -c constraints.txt torch, from PyTorch's own index"
        yield Finding(node=patient.name, what="cuda", found=f"torch {torch}", wanted="a build with CUDA", fix=fix)
    else:
        found = f"PyTorch finds {report.gpus}, driver {report.driver}"
        wanted, fix = f"{counted:g}, CUDA {report.cuda}", "take a driver that is new enough for this CUDA"
        yield Finding(node=patient.name, what="gpus", found=found, wanted=wanted, fix=fix)


def _room(name: str, report: NodeReport) -> Iterator[Finding]:
    if report.free_disk < LEAST_DISK:
        wanted, fix = readable(LEAST_DISK), "free some space there (xa-search gc), or give another --home"
        yield Finding(node=name, what="disk", found=f"{readable(report.free_disk)} free", wanted=wanted, fix=fix)
    if report.free_memory < LEAST_MEMORY:
        wanted, fix = readable(LEAST_MEMORY), "stop what else runs there, or take a larger machine"
        yield Finding(node=name, what="memory", found=f"{readable(report.free_memory)} free", wanted=wanted, fix=fix)


def _nodes_of(address: str, asked: Asked) -> list[Patient]:
    from xa_search.search.ray_nodes import ask_nodes
    from xa_search.search.ray_runner import connected

    with connected(address):
        answers = ask_nodes(report_here, asked)
    return [Patient(name=one.name, gpus=one.gpus, report=one.answer, silence=one.silence) for one in answers]
