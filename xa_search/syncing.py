"""Bringing MLflow up to date. In: a search that nobody runs. Out: what MLflow got, and what still waits."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from xa_search.history import SearchHistory
from xa_search.journal import trial_directory
from xa_search.records import Plan
from xa_search.search.locks import only_driver
from xa_search.tracking.catching_up import catch_up, end_abandoned
from xa_search.tracking.events import FileLogged, SearchStarted, search_tags
from xa_search.tracking.runs import SyncState, Tracker
from xa_search.tracking.spool import SPOOL, Spool


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """How MLflow stands now; `caught_up` trials, and whether the search's own run, were not as the study knows them."""

    state: SyncState
    caught_up: int
    was_abandoned: bool


def sync_search(search: SearchHistory, uri: str) -> Synced:
    """Give MLflow what it has not got of a search. Raises XaSearchError while another process runs it."""
    with only_driver(search.directory):
        spool = Spool(search.directory / SPOOL)
        is_lost = not spool.read()
        tracker = Tracker(spool, uri, search.search_id)
        if is_lost and search.plan is not None:
            tracker.record(_started(search.plan))
        caught_up = catch_up(tracker, search.trials, partial(trial_directory, search.directory))
        was_abandoned = end_abandoned(tracker)
        return Synced(state=tracker.sync(), caught_up=caught_up, was_abandoned=was_abandoned)


def log_files(search: SearchHistory, uri: str, paths: Iterable[Path], folder: str) -> SyncState:
    """Keep files with the search's own run; a search that was begun but is not in MLflow yet is synced first."""
    if not Spool(search.directory / SPOOL).read():
        sync_search(search, uri)
    with only_driver(search.directory):
        tracker = Tracker(Spool(search.directory / SPOOL), uri, search.search_id)
        for path in paths:
            tracker.record(FileLogged(path=str(path), folder=folder))
        return tracker.sync()


def _started(plan: Plan) -> SearchStarted:
    return SearchStarted(search_id=plan.search_id, tags=search_tags(plan.space))
