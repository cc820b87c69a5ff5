"""Ray, joined or started. In: the address of a cluster, or none. Out: this process is a driver while a context lasts.

What this machine's own Ray opens is for this process and its children: it listens on the loopback address alone
(`RAY_LOOPBACK`), asks for a random token that is nowhere on disk, and has its sockets and logs in a folder that no
other user may enter. Ray's own place for them, /tmp/ray, is open to all.
"""

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, chdir, contextmanager
from pathlib import Path
from typing import Any

import ray

from xa_search.encoding.private_folders import OF_RAY, PLACE, place_of_ray, private_folder
from xa_search.errors import InfeasibleError
from xa_search.search.driver import own_signals
from xa_search.search.node_check import check_address, remedy_of_refusal
from xa_search.search.resources import cpus_here

TOKEN = "RAY_AUTH_TOKEN"
TOKEN_BYTES = 32
STANDS_IN = "empty"


@contextmanager
def connected(address: str | None, **more: Any) -> Iterator[None]:
    """Join the cluster at `address`, or start Ray on this machine; leave as it was found. `more` goes to `ray.init`.

    Raises InfeasibleError where there is no Ray, or one that does not let this process in.
    """
    if ray.is_initialized():
        yield
        return
    if address is not None:
        check_address(address)
    with ExitStack() as stack:
        place = stack.enter_context(_private_folder(keep=address is not None))
        options: dict[str, Any] = {"address": address, **more}
        if address is None:
            options = {"num_cpus": cpus_here(), **options, "address": "local", "include_dashboard": False}
            # Ray turns its tokens on by itself, unless RAY_AUTH_MODE says otherwise, and knows one for its whole life.
            os.environ.setdefault(TOKEN, secrets.token_hex(TOKEN_BYTES))
        _start(options, place)
        try:
            yield
        finally:
            ray.shutdown()


@contextmanager
def _private_folder(*, keep: bool) -> Iterator[Path]:
    """Give a folder for this user alone; unless Ray's own is to be kept, Ray's files are in it, and go with it."""
    before = os.environ.get(PLACE)
    with private_folder(OF_RAY, place_of_ray()) as folder:
        (folder / STANDS_IN).mkdir()
        if not keep:
            os.environ[PLACE] = str(folder)
        try:
            yield folder
        finally:
            if before is None:
                os.environ.pop(PLACE, None)
            else:
                os.environ[PLACE] = before


def _start(options: dict[str, Any], place: Path) -> None:
    try:
        # Ray puts the folder that its driver stands in before all others on the path of its workers.
        with own_signals(), chdir(place / STANDS_IN):
            ray.init(log_to_driver=False, logging_level=logging.CRITICAL, **options)
    except SystemExit:  # Ray's own answer to SIGTERM while it starts
        raise KeyboardInterrupt from None
    except Exception as error:  # among them a bare one, where its processes start too slowly
        is_own = options["address"] == "local"
        where, reason = "this machine" if is_own else options["address"], " ".join(str(error).split())[:200]
        remedy = "type the same command again" if is_own else remedy_of_refusal(reason)
        raise InfeasibleError(f"no Ray on {where} ({reason}); {remedy}, or run the trials here with --local") from None
