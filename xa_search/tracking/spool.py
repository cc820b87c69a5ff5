"""The spool. In: tracking events. Out: one line of JSON each in an append-only file, numbered and stamped with a time.

A line counts once its end is on disk: a last line without one was torn by a crash and is dropped.
"""

import hashlib
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from xa_search.errors import XaSearchError
from xa_search.records.torn_files import tell_torn
from xa_search.records.whole_files import put_in_place
from xa_search.tracking.address import database_of
from xa_search.tracking.events import (
    DatasetsLogged,
    EpochLogged,
    Event,
    FileLogged,
    SearchEnded,
    SearchStarted,
    TrialEnded,
    TrialStarted,
)

SPOOL = "spool.jsonl"
KINDS: dict[str, type[Event]] = {
    kind.__name__: kind
    for kind in (SearchStarted, TrialStarted, EpochLogged, TrialEnded, FileLogged, DatasetsLogged, SearchEnded)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SpooledEvent:
    """An event with its place in the spool, counted from 1, and its time in milliseconds since 1970."""

    sequence: int
    time: int
    event: Event


class Spool:
    """An append-only file of events; one process writes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        events = self.read()
        text = self.path.read_bytes() if self.path.exists() else b""
        self._end = text.rfind(b"\n") + 1
        if self._end < len(text):
            tell_torn(self.path, "its last line has no end", "that line is left out, and what it told is told again")
        self._sequence = events[-1].sequence if events else 0
        self._time = events[-1].time if events else 0

    def read(self) -> list[SpooledEvent]:
        """Return all whole lines. Raises XaSearchError for a damaged one."""
        if not self.path.exists():
            return []
        whole, _, _ = self.path.read_bytes().rpartition(b"\n")
        lines = whole.split(b"\n") if whole else []
        return [self._parse(number, line) for number, line in enumerate(lines, start=1)]

    @property
    def last(self) -> int:
        """The number of the last event; 0 where there is none."""
        return self._sequence

    def append(self, event: Event) -> SpooledEvent:
        """Write an event through to the disk and return it; no two events share a time."""
        spooled = SpooledEvent(
            sequence=self._sequence + 1, time=max(time.time_ns() // 1_000_000, self._time + 1), event=event
        )
        line = {"sequence": spooled.sequence, "time": spooled.time, "kind": type(event).__name__, **asdict(event)}
        try:
            self._write(json.dumps(line).encode() + b"\n")
        except OSError as error:
            raise XaSearchError(
                f"cannot write {self.path} ({error.strerror}); free some space there, then run the same command again"
            ) from error
        self._sequence, self._time = spooled.sequence, spooled.time
        return spooled

    def _write(self, line: bytes) -> None:
        """Put a line behind the last whole one; what a crash or a full disk left of another is cut off."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.truncate(self._end)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        self._end += len(line)

    def _parse(self, number: int, line: bytes) -> SpooledEvent:
        try:
            values = json.loads(line)
            kind = KINDS[values.pop("kind")]
            sequence, stamp = int(values.pop("sequence")), int(values.pop("time"))
            return SpooledEvent(sequence=sequence, time=stamp, event=kind(**values))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise XaSearchError(
                f"{self.path}:{number}: not a tracking event ({error}); delete this line and run the same command again"
            ) from error


class Progress:
    """How far one MLflow store has got through the spool, in a small file beside it.

    A SQLite file in the home is known by its place there, so that it is known in a home that was moved. Earlier
    versions knew it by its whole address.
    """

    def __init__(self, path: Path, store: str) -> None:
        self._path = path
        database = database_of(store)
        home = path.resolve().parents[2]
        is_inside = database is not None and database.is_relative_to(home)
        place = str(database.relative_to(home)) if database is not None and is_inside else store
        self._key = _key(place)
        self._first_key = _key(store)

    @classmethod
    def beside(cls, spool: Path, store: str) -> "Progress":
        """Return the progress of a store through a spool."""
        return cls(spool.with_suffix(".applied.json"), store)

    def read(self) -> int:
        """Return the last applied sequence number; 0 where the file is lost or damaged, since replaying is safe."""
        known = self._read_all()
        return known.get(self._key, known.get(self._first_key, 0))

    def write(self, sequence: int) -> None:
        """Note the last applied sequence number."""
        temporary = self._path.with_suffix(".partial")
        temporary.write_text(json.dumps(self._read_all() | {self._key: sequence}), encoding="utf-8")
        put_in_place(temporary, self._path)

    def _read_all(self) -> dict[str, int]:
        try:
            values = json.loads(self._path.read_text(encoding="utf-8"))
            return {str(key): int(value) for key, value in values.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            tell_torn(self._path, error, "MLflow is told again what it knows, which changes nothing")
            return {}


def _key(place: str) -> str:
    """Return what a store is known by: an address may hold a password."""
    return hashlib.sha256(place.encode()).hexdigest()[:16]


def waiting_events(directory: Path, uri: str) -> int | None:
    """Return how many events of the search in `directory` this store has not got; none where its spool is damaged."""
    path = directory / SPOOL
    try:
        events = Spool(path).read()
    except XaSearchError:
        return None
    applied = Progress.beside(path, uri).read()
    return sum(event.sequence > applied for event in events)
