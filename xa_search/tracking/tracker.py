"""The driver's one writer to MLflow. In: tracking events. Out: one run a search and one a trial, whatever happens.

Each event goes to the spool first and to MLflow when it answers. Runs are found by tag and steps are written once, so
that the whole spool can be replayed at any time and changes nothing.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from xa_search.tracking.events import (
    EpochLogged,
    Event,
    FileLogged,
    Param,
    SearchEnded,
    SearchStarted,
    TrialEnded,
    TrialStarted,
    trial_tags,
)
from xa_search.tracking.spool import Progress, Spool, SpooledEvent
from xa_search.tracking.store import (
    LONGEST_VALUE,
    RunStore,
    StoredRun,
    first_line,
    is_permanent,
    refusal,
    short_timeouts,
    without_password,
)

LAST_STEP_TAG = "xa.last_step"
TIMEOUT_SECONDS = 3.0
LONGEST_PAUSE_SECONDS = 60.0


@dataclass(slots=True)
class SpoolState:
    """What the applied events have told, as far as the next ones need it."""

    starts: int = 0
    tags: dict[str, str] = field(default_factory=dict)
    last_steps: dict[int, int] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)
    trials: set[int] = field(default_factory=set)

    def listen(self, event: Event, stamp: int) -> None:
        """Take in an applied event. A trial ends when it is first told to, though its test may be told later."""
        if isinstance(event, SearchStarted):
            self.starts += 1
            self.tags = event.tags
        elif isinstance(event, EpochLogged):
            self.last_steps[event.number] = max(event.step, self.last_steps.get(event.number, 0))
        elif isinstance(event, TrialStarted):
            self.trials.add(event.number)
            self.ends.pop(event.number, None)
        elif isinstance(event, TrialEnded):
            self.ends.setdefault(event.number, stamp)


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
    """Writes the events of one search to its spool and to MLflow. An MLflow that is away costs nothing but delay."""

    def __init__(self, spool: Spool, tracking_uri: str, search_id: str) -> None:
        self._spool, self._uri, self._search_id = spool, tracking_uri, search_id
        self._store: RunStore | None = None
        self._pause, self._next_try = 0.0, 0.0
        self._away, self._refused = "", ""
        self._progress = Progress.beside(spool.path, tracking_uri)
        self._applied, self._given, self._spool_state = 0, 0, SpoolState()
        self._pending: list[SpooledEvent] = []
        self._rewind(self._progress.read())

    def note(self, event: Event) -> None:
        """Put an event into the spool; MLflow gets it with the next one that is recorded.

        Raises XaSearchError only when the spool cannot be written.
        """
        self._pending.append(self._spool.append(event))

    def record(self, event: Event) -> None:
        """Put an event into the spool, then give MLflow what waits, for a few seconds at most.

        Raises XaSearchError only when the spool cannot be written.
        """
        self.note(event)
        if time.monotonic() >= self._next_try:
            self._apply_pending(time.monotonic() + TIMEOUT_SECONDS)

    def sync(self) -> SyncState:
        """Give MLflow everything that waits, now, and tell what is left."""
        self._apply_pending(float("inf"))
        return self.state

    def runs(self) -> dict[int | None, StoredRun] | None:
        """Give MLflow everything that waits, then return its runs as they are now; none while it is away."""
        self.sync()
        self._store = None
        self.sync()
        return None if self._store is None or self._pending else self._store.runs

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

    def _apply_pending(self, deadline: float) -> None:
        with short_timeouts():
            try:
                store = self._connected()
                while self._pending and time.monotonic() < deadline:
                    self._apply_next(store)
                self._away, self._pause, self._next_try = "", 0.0, 0.0
            except Exception as error:  # whatever it is, it must not end the search; the spool keeps the events
                where, reason = f"MLflow at {without_password(self._uri)}", refusal(error)
                fails = f"fails ({first_line(error)}); run this command again when it is back"
                self._away = f"{where} {reason}, then run this command again" if reason else f"{where} {fails}"
                self._store = None
                self._pause = min(LONGEST_PAUSE_SECONDS, max(1.0, 2 * self._pause))
                self._next_try = time.monotonic() + self._pause

    def _connected(self) -> RunStore:
        """Return the store; where it knows nothing of this search, the whole spool is due again."""
        if self._store is None:
            self._store = RunStore(self._uri, self._search_id)
            if None not in self._store.runs and self._applied:
                self._rewind(0)
        return self._store

    def _apply_next(self, store: RunStore) -> None:
        spooled = self._pending[0]
        try:
            self._apply(store, spooled.event, spooled.time)
        except Exception as error:
            if not is_permanent(error):
                raise
            kind = type(spooled.event).__name__
            self._refused = f"MLflow refused event {spooled.sequence} ({kind}) for good: {first_line(error)}"
        self._spool_state.listen(spooled.event, spooled.time)
        self._applied = spooled.sequence
        self._given += 1
        self._progress.write(self._applied)
        del self._pending[0]

    def _apply(self, store: RunStore, event: Event, stamp: int) -> None:
        state = self._spool_state
        if isinstance(event, SearchStarted):
            run = self._search_run(store, event.tags, stamp)
            self._describe(store, run, event.params, event.tags, state.starts)
            for name, text in event.texts.items():
                store.log_text(run, text, name)
        elif isinstance(event, TrialStarted):
            tags = trial_tags(state.tags, event.tags)
            run = self._trial_run(store, event.number, tags, stamp)
            self._describe(store, run, event.params, tags, max(0, state.starts - 1))
        elif isinstance(event, EpochLogged):
            self._log_epoch(store, event, stamp)
        elif isinstance(event, TrialEnded):
            run = self._trial_run(store, event.number, state.tags, stamp)
            step = state.last_steps.get(event.number, 0)
            store.log(run, time=stamp, step=step, metrics=event.metrics, tags=event.tags)
            store.end(run, event.status, state.ends.get(event.number, stamp))
        elif isinstance(event, FileLogged):
            number = event.number
            search_run = self._search_run(store, state.tags, stamp)
            run = search_run if number is None else self._trial_run(store, number, state.tags, stamp)
            store.log_file(run, Path(event.path), event.folder)
        elif isinstance(event, SearchEnded):
            run = self._search_run(store, state.tags, stamp)
            store.log(run, time=stamp, metrics=event.metrics, tags=event.tags)
            store.end(run, event.status, stamp)

    def _describe(
        self, store: RunStore, run: StoredRun, params: dict[str, Param], tags: dict[str, str], resumes: int
    ) -> None:
        """Write params and tags of a run that goes on. MLflow's params are final: one that changed becomes a tag."""
        texts: dict[str, Param] = {name: str(value)[:LONGEST_VALUE] for name, value in params.items()}
        new = {name: text for name, text in texts.items() if name not in run.params}
        changed = {name: str(text) for name, text in texts.items() if run.params.get(name, text) != text}
        store.log(run, params=new, tags=tags | {f"resume_{resumes}_{name}": text for name, text in changed.items()})
        run.params.update({name: str(text) for name, text in new.items()})
        store.reopen(run)

    def _log_epoch(self, store: RunStore, event: EpochLogged, stamp: int) -> None:
        run = self._trial_run(store, event.number, self._spool_state.tags, stamp)
        if event.step > int(run.tags.get(LAST_STEP_TAG, 0)):
            last_step = {LAST_STEP_TAG: str(event.step)}
            store.log(run, time=stamp, step=event.step, metrics=event.metrics, tags=last_step)
            run.tags.update(last_step)

    def _search_run(self, store: RunStore, tags: dict[str, str], stamp: int) -> StoredRun:
        return store.runs.get(None) or store.create(None, self._search_id, tags, stamp)

    def _trial_run(self, store: RunStore, number: int, tags: dict[str, str], stamp: int) -> StoredRun:
        self._search_run(store, self._spool_state.tags, stamp)
        role = tags.get("role", "searched")
        name = f"trial-{number:03}" + ("" if role == "searched" else f"-{role}")
        return store.runs.get(number) or store.create(number, name, tags, stamp)

    def _rewind(self, applied: int) -> None:
        """Take the events after `applied` as waiting."""
        events = own_events(self._spool.read(), self._search_id)
        self._applied = applied
        self._spool_state = SpoolState()
        for spooled in events:
            if spooled.sequence <= applied:
                self._spool_state.listen(spooled.event, spooled.time)
        self._pending = [spooled for spooled in events if spooled.sequence > applied]
