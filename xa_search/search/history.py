"""The searches of a home. In: its folder. Out: what each search's own files say of it; nothing is ever changed.

Also whether a search is the one that the user means.

It may be read while the search runs in another process.

A search is what its plan's decisive fields say, on the corpus, tokenizers and code that it began with.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from xa_search import __version__
from xa_search.errors import UsageError
from xa_search.records import KEEP, Plan, Spent, TrialRecord
from xa_search.records.stored import with_new_names
from xa_search.search.driver import driver_of
from xa_search.search.node_check import SHOWN
from xa_search.search.study import DAMAGED, JOURNAL, SCHEMA, STUDY_ID, read_notes, storage_of
from xa_search.search.trial_notes import record_of
from xa_search.search.winner import complete_trials

SEARCHES = "searches"
HASH = re.compile(r"-[0-9a-f]{8}$")
NOT_SET = "not set"
OPTIONS = ("seed", "data", "translations", "deterministic", "repeat")
"""What decides the scores of a search beside its space."""
CODE = "code"
"""What a search notes of the program's files: they may change, and whoever resumes it is told so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchHistory:
    """What is known of one search. `ended` trials are those charged to the `wanted` ones; `keep` is its space's.

    `other_version` began the search, and alone resumes it; empty where this one does.
    `driver` is the process that runs the search, empty when none does. `plan` is missing where an older version began
    the search, and `folders`, what it reads below its home, where nobody noted them. `study_id` is what
    MLflow finds it by; a search that an earlier version began has none, and is found by its name.
    """

    directory: Path
    plan: Plan | None
    trials: tuple[TrialRecord, ...]
    wanted: int
    ended: int
    keep: int
    spent: Spent
    identity: dict[str, str]
    folders: tuple[str, ...] | None
    driver: str
    changed: float
    other_version: str = ""
    study_id: str = ""

    @property
    def search_id(self) -> str:
        """The search's name."""
        return self.directory.name

    @property
    def space_name(self) -> str:
        """The name of its search space."""
        return HASH.sub("", self.search_id)

    @property
    def state(self) -> Literal["running", "over", "resumable", "stopped"]:
        """Whether a process runs it, all its trials have ended, or `xa-search run` resumes it, or could once."""
        if self.driver:
            return "running"
        if self.is_over:
            return "over"
        return "stopped" if self.other_version else "resumable"

    @property
    def is_over(self) -> bool:
        """Tell whether all trials that were asked for have ended, and nobody runs more."""
        open_trials = any(trial.state in ("RUNNING", "PAUSED") for trial in self.trials)
        return not self.driver and not open_trials and self.ended >= self.wanted

    @property
    def best(self) -> TrialRecord | None:
        """The best trial that used its full budget; of equal ones, the earlier."""
        return next(iter(complete_trials(self.trials)), None)

    @property
    def complete(self) -> tuple[TrialRecord, ...]:
        """The trials that used their full budget."""
        return tuple(trial for trial in self.trials if trial.state == "COMPLETE" and trial.score is not None)

    def trial(self, number: int) -> TrialRecord:
        """Return a trial. Raises UsageError where it never began."""
        for trial in self.trials:
            if trial.number == number:
                return trial
        known = ", ".join(str(trial.number) for trial in self.trials) or "none yet"
        raise UsageError(f"trial {number} of search {self.search_id} is unknown; type one of its numbers: {known}")


def searches_in(home: Path) -> tuple[SearchHistory, ...]:
    """Return the searches of a home, the one that moved last first; a journal without trials is no search yet."""
    found = [search for folder in _folders(home) if (search := read_search(folder)) is not None]
    return tuple(sorted(found, key=lambda search: -search.changed))


def other_folders(home: Path, searches: Iterable[SearchHistory]) -> tuple[Path, ...]:
    """Return the folders that are none of these searches: they have no trial yet, or their journal is damaged."""
    return tuple(sorted(set(_folders(home)) - {search.directory for search in searches}))


def find_search(home: Path, name: str | None) -> SearchHistory:
    """Return the search of this id, or the newest one of this space; without a name the newest. Raises UsageError."""
    searches = searches_in(home)
    if name is not None and name in (folder.name for folder in other_folders(home, searches)):
        folder = home / SEARCHES / name
        raise UsageError(
            f"search {name} in {folder} has no trial yet, or its {JOURNAL} is damaged; restore that file, "
            "or remove the folder and begin again: xa-search run"
        )
    if not searches:
        raise UsageError(f"{home} holds no search yet; type `xa-search run mtop-mini`, or name another place: --home")
    for search in searches:
        if name in (None, search.search_id):
            return search
    for search in searches:
        if search.space_name == name:
            return search
    ids = [search.search_id for search in searches]
    close = get_close_matches(str(name), ids, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"type one of {', '.join(ids)}"
    raise UsageError(f"search {name!r} is unknown in {home}; {hint}")


def read_search(directory: Path) -> SearchHistory | None:
    """Return what a search's folder says; none where no trial was begun or its journal is unreadable."""
    notes = read_notes(directory)
    if not notes:
        return None
    try:
        return _read(directory, notes)
    except DAMAGED:
        return None


def _read(directory: Path, notes: Mapping[str, Any]) -> SearchHistory:
    storage = storage_of(directory)
    trials = storage.get_all_trials(storage.get_study_id_from_name(directory.name), deepcopy=False)
    return SearchHistory(
        directory=directory,
        plan=_plan(directory, notes),
        trials=tuple(record for trial in trials if (record := record_of(trial)) is not None),
        wanted=notes.get("wanted", notes["ended"]),
        ended=notes["ended"],
        keep=notes.get("keep", KEEP),
        spent=Spent(**notes.get("spent", {})),
        identity=notes.get("identity", {}),
        folders=tuple(notes["folders"]) if "folders" in notes else None,
        driver=driver_of(directory),
        changed=(directory / JOURNAL).stat().st_mtime,
        other_version=_other_version(notes),
        study_id=notes.get(STUDY_ID, ""),
    )


def _folders(home: Path) -> Iterator[Path]:
    return (journal.parent for journal in (home / SEARCHES).glob(f"*/{JOURNAL}"))


def _plan(directory: Path, notes: Mapping[str, Any]) -> Plan | None:
    """Return the plan that began the search, as far as it decides scores; none where it was not kept."""
    if "decisive" not in notes:
        return None
    space = with_new_names(notes["decisive"])
    options = {key: space.pop(key) for key in OPTIONS if key in space}
    own = notes.get("baseline_trials", 1)
    space |= {"trials": notes["wanted"] - own + 1, "baseline_trials": own}
    space |= {"cpus_per_trial": notes.get("cpus_per_trial", 1)}
    name = HASH.sub("", directory.name)
    try:
        return Plan.model_validate({"name": name, "space": space, "home": directory.parents[1], **options})
    except ValueError:
        return None


def check_same_search(plan: Plan, identity: Mapping[str, str]) -> None:
    """Raise UsageError when the plan goes on with a search that began otherwise, or leaves one of its name unfinished.

    What an older version did not note of a search is taken as it is.
    """
    if (plan.directory / JOURNAL).exists():
        check_resumable(plan)
        _check_identity(plan, identity)
    elif not plan.new:
        _check_others(plan)


def newest_of(plan: Plan) -> Plan:
    """Return the plan of the last search that a plan began; of the next one, if that is over and a new one is wanted.

    A search of an earlier version that is kept otherwise is over for this one.
    """
    newest = plan
    while (following := newest.model_copy(update={"repeat": newest.repeat + 1})).directory.joinpath(JOURNAL).exists():
        newest = following
    if not plan.new:
        return newest
    found = read_search(newest.directory)
    return following if found is not None and (found.is_over or found.other_version) else newest


def changed_code(directory: Path, identity: Mapping[str, str]) -> str:
    """Return a line for who resumes a search with other files of this program than it began with; else nothing."""
    began, now = read_notes(directory).get("identity", {}).get(CODE, ""), identity.get(CODE, "")
    if not began or began == now:
        return ""
    return (
        f"this search began with other code of xa-search ({began[:SHOWN]}, now {now[:SHOWN]}): its later trials may "
        f"not compare with its earlier ones"
    )


def check_resumable(plan: Plan) -> None:
    """Raise UsageError when the plan goes on with a search that a version with other files began."""
    notes = read_notes(plan.directory)
    if notes:
        _check_version(plan.directory, notes, f"--seed {plan.seed + 1} --new")


def _check_version(directory: Path, notes: Mapping[str, Any], remedy: str) -> None:
    if version := _other_version(notes):
        raise UsageError(
            f"search {directory.name} in {directory} was begun by {version}, and xa-search {__version__} cannot "
            f"resume it; type {remedy} to begin another search, or resume it with {version}"
        )


def _other_version(notes: Mapping[str, Any]) -> str:
    """Return the version that keeps searches otherwise and began this one; empty for none."""
    if notes.get("schema") == SCHEMA:
        return ""
    return f"xa-search {notes.get('identity', {}).get('xa-search', 'of an unknown version')}"


def _check_identity(plan: Plan, identity: Mapping[str, str]) -> None:
    began = read_notes(plan.directory).get("identity", {})
    known = {key: value for key, value in identity.items() if key in began and key != CODE}
    if changes := list(_differences({key: began[key] for key in known}, known)):
        raise UsageError(
            f"search {plan.search_id} in {plan.directory} began with {'; '.join(changes)}; "
            f"restore this to resume it, or type --seed {plan.seed + 1} --new to begin another search"
        )


def _check_others(plan: Plan) -> None:
    folders = [journal.parent for journal in (plan.home / "searches").glob(f"{plan.name}-*/{JOURNAL}")]
    same_name = [folder for folder in folders if re.fullmatch(r"[0-9a-f]{8}", folder.name[len(plan.name) + 1 :])]
    for folder in sorted(same_name, key=lambda folder: folder.stat().st_mtime, reverse=True):
        notes = read_notes(folder)
        if "decisive" in notes and notes["ended"] < notes["wanted"]:
            _check_version(folder, notes, "--new")
            changes = "; ".join(_differences(with_new_names(notes["decisive"]), plan.decisive))
            raise UsageError(
                f"search {folder.name} in {folder} is unfinished ({notes['ended']} of {notes['wanted']} trials) "
                f"and has {changes}; type --new to begin another search, or the old value to resume that one"
            )


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    before, after = dict(_fields(old)), dict(_fields(new))
    for name in sorted({*before, *after}):
        was, now = before.get(name, NOT_SET), after.get(name, NOT_SET)
        if was != now:
            yield f"{name} {was}, now {now}"


def _fields(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Return the values of nested mappings under names such as params.learning_rate.high."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _fields(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", NOT_SET if value is None else value
