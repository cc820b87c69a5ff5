"""Why a trial failed. In: an exception of the trial. Out: a frozen Failure with its class, one line, and the frame.

The frame is the last one in the user's or this project's code, not in a library's.
"""

import re
import sysconfig
import traceback
from dataclasses import dataclass
from pathlib import Path

from xa_search.errors import CollapsedError, DataError, LostProcessError, NonFiniteError, is_out_of_memory
from xa_search.records import FailureClass

TRACEBACK = "traceback.txt"
"""The file in a trial's folder that says where its code failed."""
LONGEST_LINE = 300
FAULTS_OF_THE_SETTINGS: tuple[FailureClass, ...] = ("non_finite", "collapsed", "oom")
_LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a trial failed; `frame` is empty where no code is to blame."""

    failure: FailureClass
    line: str
    frame: str = ""

    @property
    def text(self) -> str:
        """The line with its frame."""
        return f"{self.line} ({self.frame})" if self.frame else self.line


def failure_of(error: Exception) -> Failure:
    """Classify an exception that ended a trial."""
    text = " ".join(str(error).split())
    line = (f"{type(error).__name__}: {text}" if text else type(error).__name__)[:LONGEST_LINE]
    if isinstance(error, NonFiniteError):
        return Failure(failure="non_finite", line=text)
    if isinstance(error, CollapsedError):
        return Failure(failure="collapsed", line=text)
    if isinstance(error, LostProcessError):
        return Failure(failure="lost_worker", line=text)
    if is_out_of_memory(error):
        return Failure(failure="oom", line=line)
    if isinstance(error, DataError):
        return Failure(failure="data", line=text)
    return Failure(failure="code", line=line, frame=_last_user_frame(error))


def failure_of_lost_worker(reason: str, *, alone: bool) -> Failure:
    """Classify the loss of a trial's process by Ray's words: no such module there, no memory, or any other cause.

    Where memory runs low Ray kills the newest worker, whoever took it: only a trial that was alone there had too little
    by its settings.
    """
    if missing := re.search(r"(ModuleNotFound|Import)Error: .*", reason):
        return Failure(failure="code", line=missing.group(), frame="where the worker imports the trial")
    detail = re.search(r"exit detail: (.*)", reason, re.DOTALL)
    line = " ".join((detail.group(1) if detail else reason).split())[:LONGEST_LINE]
    return Failure(failure="oom" if alone and "running low on memory" in reason else "lost_worker", line=line)


def _last_user_frame(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _is_own(frame.filename)]
    if not frames:
        return ""
    frame = (own or frames)[-1]
    return f"{'/'.join(Path(frame.filename).parts[-2:])}:{frame.lineno} in {frame.name}"


def _is_own(filename: str) -> bool:
    return "xa_search" in Path(filename).parts or not filename.startswith((*_LIBRARIES, "<"))
