"""A registered model kept ready over HTTP. In: a home, a model's name, a port. Out: it answers until it is stopped.

It listens on this machine's loopback address alone. What it loaded stays: when an alias moves, start it anew.
"""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import uvicorn

from xa_search import __version__
from xa_search.errors import UsageError
from xa_search.tracking.batching import Limits
from xa_search.tracking.service import scoring_app
from xa_search.workflows.models import named_bundle

LOOPBACK = "127.0.0.1"
SECONDS_TO_END = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeRequest:
    """What is to be served: `model` as for `predict`, port 0 for any that is free, `threads` 0 for torch's choice."""

    home: Path
    model: str | None
    port: int
    threads: int
    threshold: float
    limits: Limits


def serve(request: ServeRequest, ready: Callable[[str], None], note: Callable[[str], None]) -> None:
    """Load the model, then answer until a signal ends this process; `ready` hears the address once it can be asked.

    Raises UsageError where the port is taken, and what `named_bundle` raises.
    """
    with listening_socket(request.port) as listening:
        if request.threads:
            torch.set_num_threads(request.threads)
        bundle = named_bundle(request.home, request.model, note)
        version = {"xa_search": __version__, "model": request.model, "provenance": bundle.provenance}
        app = scoring_app(lambda values: bundle.answer(values, request.threshold), version, request.limits)
        bundle.predict(["warm up"])
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, timeout_graceful_shutdown=SECONDS_TO_END, lifespan="on"
        )
        ready(f"http://{LOOPBACK}:{listening.getsockname()[1]}")
        uvicorn.Server(config).run(sockets=[listening])


def listening_socket(port: int) -> socket.socket:
    """Return a socket that listens already: whoever asks while the model is loading waits for it.

    Its protocol is named: asyncio sends small answers at once on sockets that say TCP, and 40 ms later on others.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOOPBACK, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise UsageError(
            f"port {port} of {LOOPBACK} cannot be had ({error.strerror}); choose another: --port"
        ) from error
    return listening
