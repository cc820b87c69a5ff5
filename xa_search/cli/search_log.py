"""The log of a search. In: the lines that it says. Out: a file beside its study, in which they stay with their time.

What happens before the folder of the search is made, and whether it is made at all, is kept until then.
"""

from datetime import datetime
from pathlib import Path

LOG = "search.log"


class SearchLog:
    """Lines that are added to a file; a disk that takes no more of them stops no search."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / LOG
        self._waiting: list[str] = []

    def add(self, text: str) -> None:
        """Add one thing that happened."""
        now = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
        self._waiting.append(f"{now} {text}\n")
        if self._path.parent.is_dir():
            try:
                with self._path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                    file.writelines(self._waiting)
            except OSError:
                return
            self._waiting.clear()
