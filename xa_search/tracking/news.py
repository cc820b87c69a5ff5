"""What a search has told already. In: its events, in their order. Out: what of another event is new, if anything is.

So a search that is run again and has nothing to do tells nothing: no point of a curve twice, no time of an end changed.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from xa_search.tracking.events import (
    DatasetsLogged,
    EpochLogged,
    Event,
    FileLogged,
    SearchEnded,
    SearchStarted,
    Status,
    TrialEnded,
    TrialStarted,
)


@dataclass(slots=True)
class Account:
    """What was told of one run; `status` is none while it runs."""

    status: Status | None = None
    last_step: int = 0
    metrics: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    files: dict[tuple[str, str], str] = field(default_factory=dict)


class Told:
    """The accounts of a search's runs; that of its own run is under None."""

    def __init__(self) -> None:
        self.starts = 0
        self._accounts: defaultdict[int | None, Account] = defaultdict(Account)
        self._datasets: list[Mapping[str, Any]] = []

    @property
    def is_finished(self) -> bool:
        """Whether the search itself was told to be finished, and has not begun again."""
        return self._accounts[None].status == "FINISHED"

    def knows(self, number: int) -> bool:
        """Tell whether a trial was told of."""
        return number in self._accounts

    def news(self, event: Event) -> Event | None:
        """Return an event with what is new in it; none where nothing is."""
        if isinstance(event, EpochLogged):
            return event if event.step > self._accounts[event.number].last_step else None
        if isinstance(event, FileLogged):
            known = self._accounts[event.number].files.get(_place(event), "")
            return None if event.digest and known == event.digest else event
        if isinstance(event, DatasetsLogged):
            new = [one for one in event.datasets if one not in self._datasets]
            return replace(event, datasets=new) if new else None
        if isinstance(event, TrialEnded | SearchEnded):
            return self._news_of_end(event)
        return event

    def listen(self, event: Event) -> None:
        """Take in an event that is told."""
        if isinstance(event, SearchStarted):
            self.starts += 1
            self._begin(None, event.tags)
        elif isinstance(event, TrialStarted):
            self._begin(event.number, event.tags)
        elif isinstance(event, EpochLogged):
            account = self._accounts[event.number]
            account.last_step = max(account.last_step, event.step)
        elif isinstance(event, FileLogged):
            self._accounts[event.number].files[_place(event)] = event.digest
        elif isinstance(event, DatasetsLogged):
            self._datasets += event.datasets
        else:
            account = self._accounts[_number(event)]
            account.status = event.status
            account.metrics |= _exact(event.metrics)
            account.tags |= event.tags

    def _begin(self, number: int | None, tags: dict[str, str]) -> None:
        self._accounts[number].status = None
        self._accounts[number].tags |= tags

    def _news_of_end(self, event: TrialEnded | SearchEnded) -> Event | None:
        account = self._accounts[_number(event)]
        exact = _exact(event.metrics)
        metrics = {name: value for name, value in event.metrics.items() if account.metrics.get(name) != exact[name]}
        tags = {name: value for name, value in event.tags.items() if account.tags.get(name) != value}
        is_known = account.status == event.status and not metrics and not tags
        return None if is_known else replace(event, metrics=metrics, tags=tags)


def file_digest(path: Path) -> str:
    """Return a hash of what is in a file; empty where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _number(event: TrialEnded | SearchEnded) -> int | None:
    return event.number if isinstance(event, TrialEnded) else None


def _exact(metrics: Mapping[str, float]) -> dict[str, str]:
    """Return metrics as texts, in which a value that is no number is equal to itself."""
    return {name: repr(float(value)) for name, value in metrics.items()}


def _place(event: FileLogged) -> tuple[str, str]:
    return event.folder, Path(event.path).name
