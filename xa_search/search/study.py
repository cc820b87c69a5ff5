"""The door to Optuna. In: a Plan. Out: proposals as TrialRecords, and the truth about every trial, kept on disk.

Whatever dies, the journal in the search's folder says which trials ran and how each ended.
"""

import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from xa_search.errors import XaSearchError
from xa_search.records import (
    EpochReport,
    FailureClass,
    Plan,
    Spent,
    StoppedAt,
    TrialRecord,
    TrialRole,
    TrialSettings,
)
from xa_search.records import (
    TrialState as RecordState,
)
from xa_search.search.driver import JournalLock
from xa_search.search.failures import Failure
from xa_search.search.sampler import DistinctSampler, importances_of, recipe, sampler_of, settings_of, suggested
from xa_search.search.trial_notes import Entry, Notes, decided_state, is_repeated, notes_of, record_of

SCHEMA = 3
"""What a search keeps in its folder, and how. A search that the first version began has no such number."""
NOT_CHARGED: tuple[FailureClass, ...] = ("interrupted", "lost_worker")
RETRIED = "retried"
"""The note of a baseline that failed and has another chance: without it there is nothing to tell gains against."""

JOURNAL = "study.journal"
STUDY_ID = "study_id"
"""What a search is found by in MLflow, where another home may have one of the same name: a random id."""
PLACE = "place"
"""Where the search was run last: machine and path."""
PAPER_ROLES: tuple[TrialRole, ...] = ("published", "paper_values")
"""What an earlier version called `published` stands for either: it is not run again under today's name."""


DAMAGED = (ValueError, LookupError, TypeError, AttributeError, AssertionError)
"""What a journal or a note raises that no search has written so."""


class Records:
    """The records of a study's trials. That of an ended trial is made once, as nothing changes it any more."""

    def __init__(self) -> None:
        self._ended: dict[int, TrialRecord] = {}

    def of(self, trial: Entry) -> TrialRecord | None:
        """Return the record of a trial; none where it never began."""
        known = self._ended.get(trial.number)
        if known is not None:
            return known
        record = record_of(trial)
        if record is not None and trial.state.is_finished():
            self._ended[trial.number] = record
        return record


def is_charged(trial: Entry) -> bool:
    """Tell whether a trial counts among those that the user asked for."""
    notes = trial.user_attrs
    return bool(trial.state.is_finished()) and notes.get("failure") not in NOT_CHARGED and not notes.get(RETRIED)


def is_paused(trial: Entry) -> bool:
    """Tell whether a trial that began waits to go on."""
    return trial.state.name == "WAITING" and "settings" in trial.user_attrs


def open_study(plan: Plan, identity: Mapping[str, str] | None = None, make: "MakeStudy | None" = None) -> "SearchStudy":
    """Open the study of the plan's search, or begin it; it keeps the identity that it got first.

    `make` gives a study of another kind, whose trials are queued otherwise.
    """
    plan.directory.mkdir(parents=True, exist_ok=True)
    try:
        storage = storage_of(plan.directory)
        study = optuna.create_study(
            storage=storage, study_name=plan.search_id, direction="maximize", load_if_exists=True
        )
    except (ValueError, KeyError) as error:
        journal = plan.directory / JOURNAL
        raise XaSearchError(
            f"{journal}: unreadable ({error}); move this file elsewhere to begin the search again"
        ) from None
    noted = {"wanted": plan.space.all_trials, "baseline_trials": plan.space.baseline_trials, "keep": plan.space.keep}
    for key, value in noted.items():
        if study.user_attrs.get(key) != value:
            study.set_user_attr(key, value)
    search = (make or SearchStudy)(plan, storage, study)
    if not study.get_trials(deepcopy=False):
        search.keep("schema", SCHEMA)
        search.keep(STUDY_ID, uuid.uuid4().hex)
    search.keep("decisive", plan.decisive)
    if identity:
        search.keep("identity", dict(identity))
    return search


def read_notes(directory: Path) -> dict[str, Any]:
    """Return what a search's folder keeps of the whole search, and how many trials `ended`; empty where none began."""
    if not (directory / JOURNAL).exists():  # Optuna would make one
        return {}
    try:
        study = optuna.load_study(study_name=directory.name, storage=storage_of(directory))
        trials = study.get_trials(deepcopy=False)
        return {**study.user_attrs, "ended": sum(map(is_charged, trials))} if trials else {}
    except (OSError, *DAMAGED):
        return {}


def storage_of(directory: Path) -> JournalStorage:
    """Return the storage in a search's folder."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    journal = directory / JOURNAL
    lock: Any = JournalLock(journal)
    return JournalStorage(JournalFileBackend(str(journal), lock_obj=lock))


class SearchStudy:
    """The trials of one search. Only the process that runs the search may change them."""

    def __init__(self, plan: Plan, storage: BaseStorage, study: optuna.Study) -> None:
        self._plan = plan
        self._storage = storage
        self._study = study
        self._study_id = storage.get_study_id_from_name(plan.search_id)
        self._offered: set[TrialRole] = set()
        self._records = Records()

    def propose(self, batch: int | None = None) -> TrialRecord:
        """Begin a trial: a paused one goes on; then those with fixed values, then what the sampler proposes."""
        trials = self._frozen()
        if paused := [trial.number for trial in trials if is_paused(trial)]:
            self._storage.set_trial_state_values(self._trial_id(paused[0]), TrialState.RUNNING)
            return self.trial(paused[0])
        if all(trial.state != TrialState.WAITING for trial in trials):
            self._enqueue_missing_role(trials)
        drawn = self._drawn_role(trials)
        self._study.sampler = self._sampler(trials, drawn)
        asked = self._study.ask()
        role: TrialRole = asked.user_attrs.get("role", drawn)
        settings = self._settings(role, suggested(self._plan.space, asked, role), asked.user_attrs)
        if batch is not None:
            self._note(asked.number, batch=batch)
        self._note(asked.number, role=role, settings=settings.model_dump(mode="json"))
        return self.trial(asked.number)

    def report(self, number: int, report: EpochReport, seconds: float = 0.0, stopped: StoppedAt | None = None) -> bool:
        """Keep a report. A repeated one, as after a lost worker, changes nothing and returns false."""
        trial = self._get(number)
        if is_repeated(trial, report):
            return False
        self._note(number, **notes_of(report, trial.user_attrs, seconds, stopped))
        if report.whole:
            self._storage.set_trial_intermediate_value(self._trial_id(number), report.epoch, report.score)
        return True

    def finish(
        self, number: int, state: RecordState, failure: Failure | None = None, seconds: float | None = None
    ) -> None:
        """End a running trial. One that lost its worker for good is queued to run again under another number, and so is
        the first baseline that fails.
        """
        if seconds is not None:
            self._note(number, seconds=seconds)
        if failure is not None:
            self._note(number, failure_text=failure.text, failure_frame=failure.frame, failure=failure.failure)
        trial = self.trial(number)
        if trial.failure in NOT_CHARGED:
            self._queue_again(number)
        elif state == "FAIL" and trial.role == "baseline" and self._is_first_failed_baseline(number):
            self._note(number, **{RETRIED: True})
            self._queue_again(number)
        self._study.tell(number, trial.score if state == "COMPLETE" else None, state=TrialState[state])

    def pause(self, number: int, reason: str = "") -> None:
        """Let a running trial wait, and go on later under its number; without a reason no worker had taken it up."""
        if reason:
            count = self._get(number).user_attrs.get("interrupted", {}).get("count", 0)
            self._note(number, interrupted={"count": count + 1, "reason": reason})
        self._storage.set_trial_state_values(self._trial_id(number), TrialState.WAITING)

    def settle(
        self, reason: str = "the driver of the search died", begun: Collection[int] | None = None
    ) -> tuple[TrialRecord, ...]:
        """End each running trial as was decided, or pause it; return them. `begun` were taken up by workers."""
        left = [trial for trial in self._frozen() if trial.state == TrialState.RUNNING]
        for trial in left:
            state = decided_state(trial)
            if state == "PAUSED":
                self.pause(trial.number, reason if begun is None or trial.number in begun else "")
            else:
                self.finish(trial.number, state)
        numbers = {trial.number for trial in left}
        return tuple(record for record in self.trials() if record.number in numbers)

    def trials(self) -> tuple[TrialRecord, ...]:
        """Return all trials that were begun, by number."""
        return tuple(record for trial in self._frozen() if (record := self._records.of(trial)) is not None)

    def trial(self, number: int) -> TrialRecord:
        """Return one trial."""
        record = self._records.of(self._get(number))
        if record is None:
            raise XaSearchError(f"trial {number} of {self._plan.search_id} never began; choose another number")
        return record

    def remaining(self, trials: int) -> int:
        """Return how many of `trials` are still to end, and of zero-shot's own search besides; interrupted trials and
        lost workers are not charged.
        """
        charged = [trial.user_attrs.get("role") == "zero_shot" for trial in self._frozen() if is_charged(trial)]
        own = self._plan.space.baseline_trials - 1 - sum(charged)
        return max(0, trials - charged.count(False)) + max(0, int(own))

    @property
    def study_id(self) -> str:
        """The random id that was made with the study; empty where an earlier version began it."""
        return str(self._study.user_attrs.get(STUDY_ID, ""))

    def spent(self) -> Spent:
        """Return what all runs of the search have spent."""
        return Spent(**self._study.user_attrs.get("spent", {}))

    def note_spent(self, spent: Spent) -> None:
        """Keep what all runs of the search have spent."""
        self._study.set_user_attr("spent", asdict(spent))

    def keep(self, key: str, value: Any) -> Any:
        """Return what the search keeps under `key`: the first value that it was ever given."""
        if key not in self._study.user_attrs:
            self._study.set_user_attr(key, value)
        return self._study.user_attrs[key]

    def note_place(self, place: Mapping[str, Any]) -> None:
        """Keep where the search is run."""
        if self._study.user_attrs.get(PLACE) != place:
            self._study.set_user_attr(PLACE, dict(place))

    def note_torn(self, number: int, lines: Collection[str]) -> None:
        """Keep which files a trial could not read."""
        self._note(number, torn=[*self._get(number).user_attrs.get("torn", ()), *lines])

    def measured(self) -> dict[str, Any]:
        """Return what was measured for the search, by key."""
        return dict(self._study.user_attrs.get("measured", {}))

    def note_measured(self, key: str, value: Any) -> None:
        """Keep what was measured for the search."""
        self._study.set_user_attr("measured", {**self.measured(), key: value})

    def importances(self) -> dict[str, float]:
        """Return how much each parameter mattered for the rank of searched trials; empty where too few have one."""
        return importances_of(self._frozen())

    def _frozen(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _get(self, number: int) -> FrozenTrial:
        return self._storage.get_trial(self._trial_id(number))

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def _note(self, number: int, **notes: Any) -> None:
        for key, value in notes.items():
            self._storage.set_trial_user_attr(self._trial_id(number), key, value)

    def _settings(self, role: TrialRole, proposal: Mapping[str, Any], notes: Notes) -> TrialSettings:  # noqa: ARG002
        """Return the settings of a trial with this proposal; `notes` are what it was queued with."""
        return settings_of(self._plan, role, proposal)

    def _enqueue_missing_role(self, trials: list[FrozenTrial]) -> None:
        """Queue the first fixed recipe without a trial; one that failed has another chance in each run."""
        alive = {trial.user_attrs.get("role") for trial in trials if trial.state != TrialState.FAIL}
        for role in self._plan.space.fixed_roles:
            names = PAPER_ROLES if role in PAPER_ROLES else (role,)
            if alive.isdisjoint(names) and role not in self._offered:
                self._offered.add(role)
                self._study.enqueue_trial(recipe(self._plan.space, role), user_attrs={"role": role})
                return

    def _drawn_role(self, trials: list[FrozenTrial]) -> TrialRole:
        """Return the role of the next trial that is drawn: zero-shot's own are spread evenly among the others, so that
        each is proposed by what those before it told.
        """
        counted = [trial for trial in trials if not trial.state.is_finished() or is_charged(trial)]
        own = sum(trial.user_attrs.get("role") == "zero_shot" for trial in counted)
        space, others = self._plan.space, len(counted) - own
        wanted = space.baseline_trials - 1
        is_due = others >= space.trials or own * space.trials <= others * wanted
        return "zero_shot" if own < wanted and is_due else "searched"

    def _is_first_failed_baseline(self, number: int) -> bool:
        others = [trial for trial in self.trials() if trial.role == "baseline" and trial.number != number]
        return all(trial.state != "FAIL" or trial.failure in NOT_CHARGED for trial in others)

    def _queue_again(self, number: int) -> None:
        trials = self._frozen()
        if all(trial.user_attrs.get("repeats") != number for trial in trials):
            role = trials[number].user_attrs["role"]
            self._study.enqueue_trial(trials[number].params, user_attrs={"role": role, "repeats": number})

    def _sampler(self, trials: list[FrozenTrial], role: TrialRole) -> DistinctSampler:
        return sampler_of(self._plan, trials, role)


MakeStudy = Callable[[Plan, BaseStorage, optuna.Study], SearchStudy]
