"""Events become runs. In: the spooled events of one search, in their order. Out: one run a search and one a trial.

Runs are found by tag and steps are written once, so that the whole spool can be replayed at any time and changes
nothing. Only what is a curve has steps: the metrics of epochs. In the end they show those of the best epoch.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xa_search.records.confirmation import confirmed_of
from xa_search.tracking.events import (
    TESTING,
    DatasetsLogged,
    EpochLogged,
    Event,
    FileLogged,
    Param,
    SearchStarted,
    TrialEnded,
    TrialStarted,
    flat_name,
    trial_tags,
)
from xa_search.tracking.store import LONGEST_VALUE, RunStore, StoredRun

LAST_STEP_TAG = "xa.last_step"
LAST_RUNG_TAG = "xa.last_rung"


@dataclass(slots=True)
class SpoolState:
    """What the applied events have told, as far as the next ones need it. `curves` are metrics that have steps."""

    starts: int = 0
    tags: dict[str, str] = field(default_factory=dict)
    last_steps: dict[int, int] = field(default_factory=dict)
    curves: dict[int, set[str]] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)
    trials: set[int] = field(default_factory=set)
    datasets: list[Any] = field(default_factory=list)

    def listen(self, event: Event, stamp: int) -> None:
        """Take in an applied event. A trial ends when it is first told to, though its test may be told later."""
        if isinstance(event, SearchStarted):
            self.starts += 1
            self.tags = event.tags
        elif isinstance(event, EpochLogged):
            if not event.rung:
                self.last_steps[event.number] = max(event.step, self.last_steps.get(event.number, 0))
                self.curves.setdefault(event.number, set()).update(event.metrics)
        elif isinstance(event, TrialStarted):
            self.trials.add(event.number)
            self.ends.pop(event.number, None)
        elif isinstance(event, TrialEnded):
            self.ends.setdefault(event.number, stamp)
        elif isinstance(event, DatasetsLogged):
            self.datasets += [one for one in event.datasets if one["context"] != TESTING]


def last_step(run: StoredRun, tag: str = LAST_STEP_TAG) -> int:
    """Return the last step that a run has; 0 where somebody wrote something else in its place."""
    text = run.tags.get(tag, "")
    return int(text) if text.isdecimal() else 0


class Writer:
    """Applies events to the runs of one store. `directory` is the search's folder, where its files lie now."""

    def __init__(self, store: RunStore, search_id: str, directory: Path) -> None:
        self.store = store
        self._search_id, self._directory = search_id, directory

    def apply(self, event: Event, stamp: int, state: SpoolState) -> None:
        """Write an event that came at a time (in milliseconds), after those that `state` has taken in."""
        store = self.store
        if isinstance(event, SearchStarted):
            run = self._search_run(event.tags, stamp)
            self._describe(run, event.params, event.tags, state.starts)
            for name, text in event.texts.items():
                store.log_text(run, text, name)
        elif isinstance(event, TrialStarted):
            tags = trial_tags(state.tags, event.tags)
            run = self._trial_run(event.number, tags, stamp, state)
            self._describe(run, event.params, tags, max(0, state.starts - 1))
            store.log_datasets(run, state.datasets)
        elif isinstance(event, EpochLogged):
            self._log_epoch(event, stamp, state)
        elif isinstance(event, TrialEnded):
            run = self._trial_run(event.number, state.tags, stamp, state)
            self._log_last(run, event, stamp, state)
            store.end(run, event.status, state.ends.get(event.number, stamp))
        elif isinstance(event, FileLogged):
            number = event.number
            search_run = self._search_run(state.tags, stamp)
            run = search_run if number is None else self._trial_run(number, state.tags, stamp, state)
            store.log_file(run, self._here(event.path), event.folder)
        elif isinstance(event, DatasetsLogged):
            store.log_datasets(self._search_run(state.tags, stamp), event.datasets)
        else:
            run = self._search_run(state.tags, stamp)
            store.log(run, time=stamp, metrics=_changed(run, event.metrics), tags=event.tags)
            store.end(run, event.status, stamp)

    def _describe(self, run: StoredRun, params: dict[str, Param], tags: dict[str, str], resumes: int) -> None:
        """Write params and tags of a run that goes on. MLflow's params are final: one that changed becomes a tag."""
        texts: dict[str, Param] = {name: str(value)[:LONGEST_VALUE] for name, value in params.items()}
        new = {name: text for name, text in texts.items() if name not in run.params}
        changed = {name: str(text) for name, text in texts.items() if run.params.get(name, text) != text}
        tags = tags | {f"resume_{resumes}_{name}": text for name, text in changed.items()}
        self.store.log(run, params=new, tags=tags)
        run.params.update({name: str(text) for name, text in new.items()})
        self.store.reopen(run)

    def _log_epoch(self, event: EpochLogged, stamp: int, state: SpoolState) -> None:
        run = self._trial_run(event.number, state.tags, stamp, state)
        tag, step = (LAST_RUNG_TAG, event.rung) if event.rung else (LAST_STEP_TAG, event.step)
        if step > last_step(run, tag):
            last = {tag: str(step)}
            self.store.log(run, time=stamp, step=step, metrics=event.metrics, tags=event.tags | last)
            run.tags.update(last)

    def _log_last(self, run: StoredRun, event: TrialEnded, stamp: int, state: SpoolState) -> None:
        """Write the metrics of a trial's end: curves end in the best epoch's, the others have no step."""
        curves = state.curves.get(event.number, set())
        new = _changed(run, event.metrics)
        ends = {name: value for name, value in new.items() if name in curves}
        others = {name: value for name, value in new.items() if name not in curves}
        if ends:
            self.store.log(run, time=stamp, step=state.last_steps.get(event.number, 0), metrics=ends)
        self.store.log(run, time=stamp, metrics=others, tags=event.tags)

    def _search_run(self, tags: dict[str, str], stamp: int) -> StoredRun:
        return self.store.runs.get(None) or self.store.create(None, self._search_id, tags, stamp)

    def _trial_run(self, number: int, tags: dict[str, str], stamp: int, state: SpoolState) -> StoredRun:
        self._search_run(state.tags, stamp)
        role = tags.get("role", "searched")
        name = f"trial-{number:03}" + ("" if role == "searched" else f"-{role}")
        if role == "soup":
            name = f"soup-of-trial-{number % 10**9:03}"
        if "confirms" in tags:
            trial, seed = confirmed_of(number)
            name = f"trial-{trial:03}-{role}-seed-{seed}"
        return self.store.runs.get(number) or self.store.create(number, name, tags, stamp)

    def _here(self, path: str) -> Path:
        """Return where a file of the search lies now; an earlier version told of its place in a home since moved."""
        told = self._directory / path
        if told.exists() or self._search_id not in told.parts:
            return told
        below = told.parts[told.parts.index(self._search_id) + 1 :]
        return self._directory.joinpath(*below)


def _changed(run: StoredRun, metrics: dict[str, float]) -> dict[str, float]:
    """Return the metrics whose last value in the run is another."""
    return {name: value for name, value in metrics.items() if run.metrics.get(flat_name(name)) != float(value)}
