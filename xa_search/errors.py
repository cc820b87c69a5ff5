"""Every error a user may see. In: what is wrong. Out: one line and an exit code.

An error states what is wrong, which value, where, and what to type next.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class XaSearchError(Exception):
    """The search failed."""

    exit_code = 1


class UsageError(XaSearchError):
    """A wrong command, option or search space."""

    exit_code = 2


class DataError(XaSearchError):
    """A corpus is missing, unreadable or unfit."""

    exit_code = 3


class ModelError(XaSearchError):
    """An encoder or a registered model is missing or unfit."""

    exit_code = 3


class InfeasibleError(XaSearchError):
    """No node can run a trial."""

    exit_code = 4


class StoppedEarly(XaSearchError):  # noqa: N818 (no error: the search can go on)
    """The search was stopped before its end; the same command resumes it."""

    exit_code = 75


class TrackerAwayError(XaSearchError):
    """MLflow does not answer."""


class TrackerRefusedError(XaSearchError):
    """MLflow turns this program away: its user, its password, or the name by which it calls the server."""


class NonFiniteError(XaSearchError):
    """A loss or a metric of a trial is not a finite number."""


class CollapsedError(XaSearchError):
    """A trial's model says the same of every utterance and has nothing left to learn from."""


class LostProcessError(XaSearchError):
    """One of the processes of a trial was killed."""


class GpuBusyError(XaSearchError):
    """A GPU's memory is held by something else than the trials that Ray counts; the trial has not begun."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: Python's, an accelerator's, or the operating system's."""
    text = str(error).lower()
    by_type = isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__
    return by_type or "out of memory" in text or "can't allocate memory" in text


def value_faults(where: str, error: "ValidationError") -> list[str]:
    """Return one line for each value that did not fit its type or its limits."""
    return [
        f"{where}.{'.'.join(map(str, fault['loc']))}: {fault['input']!r}: {fault['msg'].lower()}; correct this value"
        for fault in error.errors()
    ]
