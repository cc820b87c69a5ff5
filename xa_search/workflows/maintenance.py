"""MLflow brought up to date, and what a home no longer needs. In: searches. Out: what MLflow got and what still waits;
what nobody will read again, removed unless it is a rehearsal.

Only searches that are over are cleaned, and each is locked meanwhile, so that no driver begins on it.
"""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from xa_search.encoding.private_folders import abandoned_folders, remove_abandoned
from xa_search.errors import XaSearchError
from xa_search.records import Plan, TrialRecord
from xa_search.records.search import RAY, trial_directory
from xa_search.search.driver import only_driver
from xa_search.search.history import SearchHistory, read_search
from xa_search.search.winner import without_weights
from xa_search.tracking.copied_home import check_no_copy
from xa_search.tracking.events import FileLogged, SearchStarted, search_tags
from xa_search.tracking.reconcile import deleted_runs, end_abandoned_runs, reconcile, remove_for_good
from xa_search.tracking.spool import SPOOL, Spool
from xa_search.tracking.tracker import SyncState, Tracker
from xa_search.training.progress import PROGRESS, STATES
from xa_search.training.trial import all_weights
from xa_search.workflows.replay import REPLAYS

PARTIAL = "*.partial"
SHARED = ("encoded", "encoders")


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """How MLflow stands now; `caught_up` trials, and whether the search's own run, were not as the study knows them."""

    state: SyncState
    caught_up: int
    was_abandoned: bool


def sync_search(search: SearchHistory, uri: str) -> Synced:
    """Give MLflow what it has not got of a search. Raises XaSearchError for one that runs, or is a copy."""
    check_no_copy(search.directory, uri)
    with only_driver(search.directory):
        spool = Spool(search.directory / SPOOL)
        is_lost = not spool.read()
        tracker = Tracker(spool, uri, search.search_id, search.study_id)
        if is_lost and search.plan is not None:
            tracker.record(_started(search.plan))
        caught_up = reconcile(tracker, search.trials, partial(trial_directory, search.directory))
        was_abandoned = end_abandoned_runs(tracker)
        return Synced(state=tracker.sync(), caught_up=caught_up, was_abandoned=was_abandoned)


def log_files(search: SearchHistory, uri: str, paths: Iterable[Path], folder: str) -> SyncState:
    """Keep files with the search's own run; a search that was begun but is not in MLflow yet is synced first."""
    if not Spool(search.directory / SPOOL).read():
        sync_search(search, uri)
    with only_driver(search.directory):
        tracker = Tracker(Spool(search.directory / SPOOL), uri, search.search_id, search.study_id)
        for path in paths:
            tracker.record(FileLogged(path=str(path), folder=folder))
        return tracker.sync()


def _started(plan: Plan) -> SearchStarted:
    return SearchStarted(search_id=plan.search_id, tags=search_tags(plan.space))


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage:
    """A file or a folder that nobody will read again."""

    path: Path
    kind: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """What was removed, or would be, from `place`, or why nothing was."""

    place: str
    garbage: tuple[Garbage, ...] = ()
    kept_because: str = ""


def remove_weights(directory: Path, trials: Iterable[TrialRecord], keep: int) -> None:
    """Remove the weights of the ended trials of a search but for the `keep` best and the baseline."""
    for trial in without_weights(trials, keep):
        for path in all_weights(trial_directory(directory, trial.number)):
            path.unlink()


def clean_search(search: SearchHistory, keep: int | None, *, rehearse: bool) -> Cleaned:
    """Remove what a search that is over needs no more; the weights of the `keep` best trials and the baseline stay.

    Without `keep`, as many as the search itself was told to keep.
    """
    if not search.is_over:
        reason = f"process {search.driver} runs it" if search.driver else "it is not over, and can be resumed"
        return Cleaned(place=search.search_id, kept_because=reason)
    try:
        with nullcontext() if rehearse else only_driver(search.directory):
            current = search if rehearse else read_search(search.directory)
            if current is None or current.changed != search.changed:
                return Cleaned(place=search.search_id, kept_because="it has just moved on")
            garbage = tuple(_garbage_of(search, keep or search.keep))
            _remove(() if rehearse else garbage)
    except XaSearchError as error:
        return Cleaned(place=search.search_id, kept_because=str(error))
    return Cleaned(place=search.search_id, garbage=garbage)


def clean_shared(home: Path, searches: Sequence[SearchHistory], *, rehearse: bool) -> Cleaned:
    """Remove encoded corpora and encoders that no search refers to; only when it is known what each refers to."""
    for search in searches:
        if search.driver:
            return Cleaned(place=str(home), kept_because=f"process {search.driver} runs {search.search_id}")
        if search.folders is None:
            return Cleaned(place=str(home), kept_because=f"what {search.search_id} reads was not recorded")
    used = {home / folder for search in searches for folder in search.folders or ()}
    folders = [folder for kind in SHARED for folder in sorted((home / kind).glob("*")) if folder not in used]
    garbage = tuple(_garbage(folder, f"unused {folder.parent.name}") for folder in folders)
    _remove(() if rehearse else garbage)
    return Cleaned(place=str(home), garbage=garbage)


def clean_deleted_runs(search: SearchHistory, uri: str, *, rehearse: bool) -> Cleaned:
    """Remove the search's runs that a person deleted in the UI, with their artifacts; on a local store only."""
    garbage = []
    for run in deleted_runs(uri, search.search_id, search.study_id) if search.is_over else ():
        garbage.append(_garbage(run.artifacts, "deleted run"))
        if not rehearse:
            remove_for_good(uri, run)
    return Cleaned(place=search.search_id, garbage=tuple(garbage))


def clean_left_behind(*, rehearse: bool) -> Cleaned:
    """Remove what killed processes left among this machine's temporary files."""
    found = abandoned_folders()
    garbage = tuple(_garbage(one.path, "folder of a killed process") for one in found)
    for one in () if rehearse else found:
        remove_abandoned(one)
    return Cleaned(place="temporary files", garbage=garbage)


def folders_read(home: Path, folders: Iterable[Path]) -> list[str]:
    """Return the shared folders among these by their names below the home, as a search notes what it reads."""
    return sorted({str(folder.relative_to(home)) for folder in folders if folder.is_relative_to(home)})


def _garbage_of(search: SearchHistory, keep: int) -> Iterator[Garbage]:
    for trial in without_weights(search.trials, keep):
        weights = all_weights(trial_directory(search.directory, trial.number))
        yield from (_garbage(path, "weights") for path in weights)
    for trial in search.trials:
        folder = trial_directory(search.directory, trial.number)
        yield from (_garbage(path, "progress") for path in (*folder.rglob(PROGRESS), *folder.rglob(STATES)))
    whole = [search.directory / name for name in (RAY, REPLAYS)]
    yield from (_garbage(folder, f"{folder.name} folder") for folder in whole if folder.exists())
    for path in search.directory.rglob(PARTIAL):
        if not any(path.is_relative_to(folder) for folder in whole):
            yield _garbage(path, "half-written")


def _garbage(path: Path, kind: str) -> Garbage:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return Garbage(path=path, kind=kind, size=sum(file.lstat().st_size for file in files))


def _remove(garbage: Iterable[Garbage]) -> None:
    for one in garbage:
        if one.path.is_dir() and not one.path.is_symlink():
            shutil.rmtree(one.path)
        else:
            one.path.unlink(missing_ok=True)
