"""The steps of a rehearsal, as they are told. In: a step's name and what happens in it. Out: one line a step."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from xa_search.errors import XaSearchError

WIDTH = 15


class Steps:
    """Tells of each step how it ended and how long it took."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._errors: list[XaSearchError] = []

    @contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        """Time a step; what it adds to the list is told with it. Its error ends the rehearsal."""
        found: list[str] = []
        begin = time.perf_counter()
        try:
            yield found
        except XaSearchError:
            self._tell(f"{name:<{WIDTH}} wrong ({time.perf_counter() - begin:.1f} s)")
            raise
        self._tell(f"{name:<{WIDTH}} ok ({time.perf_counter() - begin:.1f} s): {', '.join(found)}")

    @contextmanager
    def check(self, name: str) -> Iterator[list[str]]:
        """Time a step whose error waits for those of the other checks."""
        try:
            with self.step(name) as found:
                yield found
        except XaSearchError as error:
            self._errors.append(error)

    def raise_all(self) -> None:
        """Raise the errors of all checks at once, as the first one's kind."""
        if self._errors:
            raise type(self._errors[0])("\n".join(str(error) for error in self._errors))
