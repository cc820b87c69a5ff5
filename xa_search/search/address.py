"""The address of a cluster. In: what `--address` gave. Out: nothing, or in seconds the error that takes Ray minutes."""

import socket

from xa_search.errors import InfeasibleError, UsageError

PATIENCE = 5.0


def check_address(address: str) -> None:
    """Raise UsageError for an address of another form than HOST:PORT or auto, InfeasibleError when nobody answers."""
    if address == "auto":
        return
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


def answers(address: str) -> bool:
    """Tell whether somebody listens at HOST:PORT."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=PATIENCE).close()
    except OSError:
        return False
    return True
