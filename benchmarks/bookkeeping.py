"""Do all that keep books of a search say the same? In: its folder, MLflow's address. Out: each difference, in a line.

The books: Optuna's study, the spool, MLflow, the disk. Optuna's is the truth; `tracked.py` reads MLflow's.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import optuna
from tracked import tracked_differences

from xa_search.records import TrialRecord
from xa_search.records.search import trial_directory
from xa_search.search.history import SearchHistory, read_search
from xa_search.search.study import is_charged, storage_of
from xa_search.search.winner import without_weights
from xa_search.tracking.events import EpochLogged
from xa_search.tracking.spool import SPOOL, Spool, SpooledEvent, waiting_events
from xa_search.training.trial import best_weights

Kind = Literal["lost", "duplicated", "left running"]
KINDS: tuple[Kind, ...] = ("lost", "duplicated", "left running")
NAMES_OF_A_TRIAL = {
    "best.safetensors",
    "hung.txt",
    "kept_outcomes.json",
    "test_mistakes.json",
    "test_outcomes.json",
    "test_scores.json",
    "traceback.txt",
}
NAMES_OF_A_SEARCH = {
    "comparisons",
    "data_check_test.md",
    "driver.gate",
    "driver.lock",
    "inspections",
    "report",
    "search.log",
    "spool.applied.json",
    "spool.jsonl",
    "study.journal",
    "trials",
}


State = tuple[TrialRecord, tuple[int, int] | None]
"""An ended trial, with the time and the size of its weights; none where it has no weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What one book has and another has not, or what no book should have."""

    kind: Kind
    text: str


class EndedTrials:
    """Remembers the trials that have ended, and finds those that are not as they were."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._seen: dict[int, State] = {}

    def look(self, directory: Path) -> list[Difference]:
        """Compare with the last look, wherever the search lies now; call it only while nobody runs the search."""
        self._directory = directory
        search = read_search(directory)
        found = {} if search is None else {trial.number: self._state(trial) for trial in search.trials if _ended(trial)}
        lost = [
            Difference(kind="lost", text=f"trial {number} had ended, and has no more")
            for number in self._seen.keys() - found.keys()
        ]
        changed = [
            Difference(kind="duplicated", text=f"trial {number} changed after its end: {seen} became {found[number]}")
            for number, seen in self._seen.items()
            if number in found and not _is_as_before(seen, found[number])
        ]
        self._seen |= found
        return lost + changed

    def _state(self, trial: TrialRecord) -> State:
        weights = best_weights(trial_directory(self._directory, trial.number))
        stat = weights.stat() if weights.exists() else None
        return trial, None if stat is None else (stat.st_mtime_ns, stat.st_size)


def compare(directory: Path, uri: str) -> list[Difference]:
    """Compare the books of a search that has finished."""
    storage = storage_of(directory)
    trials = optuna.load_study(study_name=directory.name, storage=storage).get_trials(deepcopy=False)
    events = Spool(directory / SPOOL).read()
    search = read_search(directory)
    assert search is not None
    found: list[tuple[Kind, str]] = [
        *_study_differences(trials, search.wanted),
        *_spool_differences(events, trials, waiting_events(directory, uri)),
        *tracked_differences(uri, directory.name, trials, events),
        *_disk_differences(search),
    ]
    return [Difference(kind=kind, text=text) for kind, text in found]


def _is_as_before(before: State, now: State) -> bool:
    """Compare; weights may go, but neither come nor change."""
    return before[0] == now[0] and now[1] in (None, before[1])


def _ended(trial: TrialRecord) -> bool:
    return trial.state in ("COMPLETE", "PRUNED", "FAIL")


def _study_differences(trials: list[Any], wanted: int) -> Iterator[tuple[Kind, str]]:
    charged = sum(map(is_charged, trials))
    if charged != wanted:
        yield ("lost" if charged < wanted else "duplicated"), f"study: {charged} trials of {wanted}"
    for trial in trials:
        if not trial.state.is_finished():
            yield "left running", f"study: trial {trial.number} is {trial.state.name}"
        epochs = sorted(trial.intermediate_values)
        if epochs != list(range(1, len(epochs) + 1)):
            yield "lost", f"study: trial {trial.number} has the epochs {epochs}"
    asked = Counter(
        (trial.user_attrs.get("role"), *sorted(trial.params.items()))
        for trial in trials
        if "repeats" not in trial.user_attrs
    )
    for settings, count in asked.items():
        if count > 1:
            yield "duplicated", f"study: {count} trials of {settings}"


def _spool_differences(
    events: list[SpooledEvent], trials: list[Any], waiting: int | None
) -> Iterator[tuple[Kind, str]]:
    if waiting != 0:
        yield "lost", f"spool: {waiting} events wait"
    numbers = [spooled.sequence for spooled in events]
    if numbers != list(range(1, len(events) + 1)):
        yield "lost", f"spool: the numbers of its {len(events)} events have gaps"
    told = [spooled.event for spooled in events if isinstance(spooled.event, EpochLogged)]
    for (number, step), count in Counter((epoch.number, epoch.step) for epoch in told).items():
        if count > 1:
            yield "duplicated", f"spool: {count} times epoch {step} of trial {number}"
    scores = {(epoch.number, epoch.step): epoch.metrics["selection_score"] for epoch in told}
    known = {(trial.number, step): score for trial in trials for step, score in trial.intermediate_values.items()}
    for number, step in sorted(scores.keys() | known.keys()):
        if (here := scores.get((number, step))) != (there := known.get((number, step))):
            yield "lost", f"spool: epoch {step} of trial {number} scored {here}, in the study {there}"


def _disk_differences(search: SearchHistory) -> Iterator[tuple[Kind, str]]:
    unneeded = {trial.number for trial in without_weights(search.trials, search.keep)}
    for trial in search.trials:
        has_weights = best_weights(trial_directory(search.directory, trial.number)).exists()
        if has_weights and trial.number in unneeded:
            yield "left running", f"disk: nobody needs the weights of trial {trial.number}"
        elif not has_weights and trial.number not in unneeded:
            yield "lost", f"disk: trial {trial.number} has no weights"
    folders = {trial_directory(search.directory, trial.number) for trial in search.trials}
    for folder in search.directory.glob("trials/*"):
        if folder not in folders:
            yield "duplicated", f"disk: {folder.name} is the folder of no trial"
        for path in folder.iterdir():
            if path.name not in NAMES_OF_A_TRIAL:
                yield "left running", f"disk: trials/{folder.name}/{path.name} is left over"
    for path in search.directory.iterdir():
        if path.name not in NAMES_OF_A_SEARCH and not path.name.startswith(("precision-", "floor-")):
            yield "left running", f"disk: {path.name} is left over"
