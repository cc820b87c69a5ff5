"""Whether trials can run where they should. In: an address, what the driver has. Out: in seconds the error that
takes Ray minutes; how a node differs from the driver, in words.

A trial may go on elsewhere than where it began: all nodes run the driver's code, and see and may change its folder.
"""

import hashlib
import os
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from xa_search.config.shipped import IN_A_WHEEL, PACKAGE
from xa_search.errors import InfeasibleError, UsageError

TIMEOUT_SECONDS = 5.0
PROBE = "probe-"
SHOWN = 12


def check_address(address: str) -> None:
    """Raise UsageError for an address of another form than HOST:PORT or auto, InfeasibleError when nobody answers."""
    if address == "auto":
        return
    if address.startswith("ray://"):
        raise UsageError(
            f"--address {address}: Ray's client cannot hold a search; type --cluster FILE from here, "
            "or --address auto on a node of the cluster"
        )
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdigit():
        raise UsageError(f"--address {address}: not of the form HOST:PORT; give the head node's, or auto on that node")
    try:
        socket.create_connection((host, int(port)), timeout=TIMEOUT_SECONDS).close()
    except OSError as error:
        raise InfeasibleError(
            f"--address {address}: no Ray answers ({error.strerror or error}); "
            "start it there with `ray start --head`, or leave --address out to use this machine"
        ) from None


def remedy_of_refusal(reason: str) -> str:
    """Return what to do where somebody listens but Ray does not let this process in: mostly it is about the token."""
    if "version mismatch" in reason.lower():
        return "use the cluster's own Python, to the patch version, and Ray"
    place = os.environ.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token"
    if os.environ.get("RAY_AUTH_MODE", "").lower() != "token":
        return f"where it asks for a token, have that in {place} and type RAY_AUTH_MODE=token before the command"
    found = os.environ.get("RAY_AUTH_TOKEN") or Path(place).expanduser().is_file()
    return f"the token in {place} is not this cluster's: copy it" if found else f"copy the cluster's token to {place}"


def is_reachable(address: str) -> bool:
    """Tell whether somebody listens at HOST:PORT."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=TIMEOUT_SECONDS).close()
    except OSError:
        return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The driver's code, and a file that it wrote into the folder of its search."""

    code: str
    probe: Path


@contextmanager
def expected_of_nodes(directory: Path) -> Iterator[Expected]:
    """Write the probe, whose name says what is in it, and take it away in the end."""
    directory.mkdir(parents=True, exist_ok=True)
    for left in directory.glob(f"{PROBE}*"):
        left.unlink(missing_ok=True)
    probe = directory / f"{PROBE}{uuid.uuid4().hex}"
    probe.write_text(probe.name, encoding="utf-8")
    try:
        yield Expected(code=code_hash(), probe=probe)
    finally:
        probe.unlink(missing_ok=True)


@cache
def code_hash() -> str:
    """Return a hash of this program's files, as they are where it runs: from a wheel or from a checkout."""
    found = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*")):
        place = path.relative_to(PACKAGE)
        if path.is_file() and "__pycache__" not in place.parts and place.parts[0] != IN_A_WHEEL:
            found.update(f"{place.as_posix()}\0{path.stat().st_size}\0".encode())
            found.update(path.read_bytes())
    return found.hexdigest()


def fault_here(expected: Expected) -> str:
    """Return what this node lacks, with its name; empty when it lacks nothing."""
    fault = _code_fault(expected) or storage_fault(expected)
    return f"node {socket.gethostname()}: {fault}" if fault else ""


def _code_fault(expected: Expected) -> str:
    if (code := code_hash()) == expected.code:
        return ""
    return (
        f"its xa_search is {code[:SHOWN]}, the driver's {expected.code[:SHOWN]}; "
        "install the same wheel there, or type --cluster FILE, with which the code travels"
    )


def storage_fault(expected: Expected) -> str:
    """Return why this node cannot use the folder of the driver's probe; empty when it can."""
    folder = expected.probe.parent
    fix = "give a --home (or XA_SEARCH_HOME) that every node mounts and may write to"
    try:
        if expected.probe.read_text(encoding="utf-8") != expected.probe.name:
            return f"{folder} is not the driver's; {fix}"
        own = folder / f"{expected.probe.name}-{socket.gethostname()}-{os.getpid()}"
        own.write_text(own.name, encoding="utf-8")
        own.unlink()
    except OSError as error:
        return f"{folder} is not shared with it ({error.strerror or error}); {fix}"
    return ""
