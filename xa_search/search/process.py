"""The driver's process: its signals and its log. In: nothing. Out: contexts that put back what they, or Ray, change."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def own_signals() -> Iterator[None]:
    """Put back the handlers of SIGTERM and SIGUSR1, which Ray and Tune replace for good, and that of Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM, which `docker stop`, `kill` and a cloud that takes a node back send, interrupt as Ctrl-C does."""
    with own_signals():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        yield


@contextmanager
def quiet_log(name: str) -> Iterator[None]:
    """Keep a library's log lines off the terminal."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
