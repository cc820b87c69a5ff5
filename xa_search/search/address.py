"""The address of a cluster. In: what `--address` gave. Out: nothing, or in seconds the error that takes Ray minutes."""

import os
import socket
from pathlib import Path

from xa_search.errors import InfeasibleError, UsageError

PATIENCE = 5.0


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
        socket.create_connection((host, int(port)), timeout=PATIENCE).close()
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


def answers(address: str) -> bool:
    """Tell whether somebody listens at HOST:PORT."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=PATIENCE).close()
    except OSError:
        return False
    return True
