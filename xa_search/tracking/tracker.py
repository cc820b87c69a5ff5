"""The driver's one way to MLflow. In: tracking events. Out: a spool on disk, and an MLflow that gets what is in it.

Each event that has news goes to the spool; a thread of its own drains that. However slow MLflow is, who records an
event waits for the disk alone.
"""

import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock, Thread

from xa_search.records.torn_files import tell_torn
from xa_search.tracking.address import without_password
from xa_search.tracking.events import Event, FileLogged, SearchEnded, SearchStarted
from xa_search.tracking.news import Told, file_digest
from xa_search.tracking.spool import Progress, Spool, SpooledEvent
from xa_search.tracking.store import (
    SHORTEST_TIMEOUT,
    RunStore,
    StoredRun,
    first_line,
    is_permanent,
    refusal,
    timeouts,
)
from xa_search.tracking.writer import SpoolState, Writer

LONGEST_TIMEOUT = 60
LONGEST_PAUSE_SECONDS = 60.0
LAST_WORD_SECONDS = 3.0


def own_events(events: Iterable[SpooledEvent], search_id: str) -> list[SpooledEvent]:
    """Return the events of a search; those that follow the start of another one came with a copied spool."""
    own, is_own = [], True
    for spooled in events:
        if isinstance(spooled.event, SearchStarted):
            is_own = spooled.event.search_id == search_id
        if is_own:
            own.append(spooled)
    return own


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncState:
    """How many events MLflow has, how many still wait, and in one line what is wrong; empty when all is well.

    It got `given` of them from this process.
    """

    applied: int
    left: int
    given: int
    problem: str


class Tracker:
    """Writes the events of one search to its spool and to MLflow. An MLflow that is away costs nothing but delay.

    Runs are found by `study_id`, the random id that was made with the study; a search of an earlier version has none.
    """

    def __init__(self, spool: Spool, tracking_uri: str, search_id: str, study_id: str = "") -> None:
        self._spool, self._uri, self._search_id, self._study_id = spool, tracking_uri, search_id, study_id
        self._directory = spool.path.absolute().parent
        self._progress = Progress.beside(spool.path, tracking_uri)
        self._recording, self._writing = Lock(), Lock()
        self._thread: Thread | None = None
        self._writer: Writer | None = None
        self._timeout = SHORTEST_TIMEOUT
        self._pause, self._next_try = 0.0, 0.0
        self._away, self._refused = "", ""
        self._may_have_twins = False
        self._applied, self._given, self._spool_state = 0, 0, SpoolState()
        self._pending: deque[SpooledEvent] = deque()
        self._told = Told()
        self._resumption: SearchStarted | None = None
        self.has_news = False
        """Whether this process told anything new."""
        applied = self._progress.read()
        if applied > spool.last:
            tell_torn(spool.path, f"it ends with event {spool.last}", f"MLflow has {applied}, and is told all again")
            applied = 0
        for spooled in self._rewind(applied):
            self._told.listen(spooled.event)

    def note(self, event: Event) -> None:
        """Put an event into the spool, if it has news; MLflow gets it with the next one that is recorded.

        That a search resumes is told with the first news of it. Raises XaSearchError where the spool cannot be written.
        """
        if isinstance(event, FileLogged):
            event = self._as_told(event)
        with self._recording:
            if isinstance(event, SearchStarted) and self._told.starts:
                self._resumption = event
                return
            news = self._told.news(event)
            if news is not None and not (self._resumption and self._told.is_finished and _is_no_finish(news)):
                self._tell(news)

    def record(self, event: Event) -> None:
        """Put an event into the spool, if it has news, and let MLflow have what waits; do not wait for that.

        The end of a search may be the last word of this process: for it, MLflow has a few seconds. Raises XaSearchError
        only when the spool cannot be written.
        """
        self.note(event)
        self._begin_to_drain()
        if isinstance(event, SearchEnded) and (thread := self._thread) is not None:
            thread.join(LAST_WORD_SECONDS)

    def repair(self, event: Event) -> None:
        """Tell again what MLflow was told, but has not got."""
        with self._recording:
            self._tell(event)
        self._begin_to_drain()

    def knows(self, number: int) -> bool:
        """Tell whether the spool tells anything of a trial."""
        return self._told.knows(number)

    def sync(self) -> SyncState:
        """Give MLflow everything that waits, now, and tell what is left."""
        with self._writing:
            self._drain()
            if self._may_have_twins and not self._pending and self._writer is not None:
                with suppress(Exception):  # what MLflow has got is whole; the next to look tries again
                    self._writer.store.remove_twins()
                    self._may_have_twins = False
        return self.state

    def runs(self) -> dict[int | None, StoredRun] | None:
        """Give MLflow everything that waits, then return its runs as they are now; none while it is away."""
        self.sync()
        with self._writing:
            self._writer = None
            self._may_have_twins = True
            self._drain()
        self.sync()
        return None if self._writer is None or self._pending else self._writer.store.runs

    @property
    def reported(self) -> SpoolState:
        """What the events that MLflow has got add up to."""
        return self._spool_state

    @property
    def state(self) -> SyncState:
        """What MLflow has and what waits."""
        return SyncState(
            applied=self._applied,
            left=len(self._pending),
            given=self._given,
            problem=self._away or self._refused,
        )

    def _as_told(self, event: FileLogged) -> FileLogged:
        """Return an event of a file with its place in the search's folder and the hash of what is in it."""
        path = Path(event.path)
        inside = path.relative_to(self._directory) if path.is_relative_to(self._directory) else path
        return replace(event, path=str(inside), digest=file_digest(self._directory / path))

    def _tell(self, event: Event) -> None:
        """Put an event into the spool, after the search's resumption. Whoever calls it has the lock for recording."""
        resumption, self._resumption = self._resumption, None
        for one in (event,) if resumption is None else (resumption, event):
            self._pending.append(self._spool.append(one))
            self._told.listen(one)
        self.has_news = True

    def _begin_to_drain(self) -> None:
        with self._recording:
            if self._thread is None and self._pending and time.monotonic() >= self._next_try:
                self._thread = Thread(target=self._drain_beside, name="MLflow", daemon=True)
                self._thread.start()

    def _drain_beside(self) -> None:
        """Drain the spool in a thread of its own; whoever records an event when it has ended begins another."""
        while True:
            with self._writing:
                self._drain()
            with self._recording:
                if not self._pending or self._away:
                    self._thread = None
                    return

    def _drain(self) -> None:
        """Apply what waits. Whoever calls it has the lock for writing."""
        try:
            writer = self._connected()
            while self._pending:
                self._apply_next(writer)
            self._away, self._pause, self._next_try = "", 0.0, 0.0
        except Exception as error:  # whatever it is, it must not end the search; the spool keeps the events
            where, reason = f"MLflow at {without_password(self._uri)}", refusal(error)
            fails = f"fails ({first_line(error)}); run this command again when it is back"
            self._away = f"{where} {reason}, then run this command again" if reason else f"{where} {fails}"
            self._writer = None
            self._may_have_twins = True
            self._timeout = min(LONGEST_TIMEOUT, 2 * self._timeout)
            self._pause = min(LONGEST_PAUSE_SECONDS, max(1.0, 2 * self._pause))
            self._next_try = time.monotonic() + self._pause

    def _connected(self) -> Writer:
        """Return the writer; where its store knows nothing of this search, the whole spool is due again."""
        if self._writer is None:
            with timeouts(self._timeout):
                store = RunStore(self._uri, self._search_id, self._study_id)
            self._writer = Writer(store, self._search_id, self._directory)
            if None not in store.runs and self._applied:
                self._rewind(0)
        return self._writer

    def _apply_next(self, writer: Writer) -> None:
        spooled = self._pending[0]
        try:
            with timeouts(self._timeout):
                writer.apply(spooled.event, spooled.time, self._spool_state)
        except Exception as error:
            if not is_permanent(error):
                raise
            kind = type(spooled.event).__name__
            self._refused = f"MLflow refused event {spooled.sequence} ({kind}) for good: {first_line(error)}"
        self._spool_state.listen(spooled.event, spooled.time)
        self._applied = spooled.sequence
        self._given += 1
        self._progress.write(self._applied)
        self._pending.popleft()

    def _rewind(self, applied: int) -> list[SpooledEvent]:
        """Take the events after `applied` as waiting; return all."""
        with self._recording:
            events = own_events(self._spool.read(), self._search_id)
            self._applied = applied
            self._spool_state = SpoolState()
            for spooled in events:
                if spooled.sequence <= applied:
                    self._spool_state.listen(spooled.event, spooled.time)
            self._pending = deque(spooled for spooled in events if spooled.sequence > applied)
            return events


def _is_no_finish(event: Event) -> bool:
    """Tell whether an event says that the search was stopped, or failed."""
    return isinstance(event, SearchEnded) and event.status != "FINISHED"
