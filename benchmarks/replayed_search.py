"""A search replayed on recorded trials. In: learning curves, how to search. Out: what each new best score had cost.

The search is the program's own (controller, study, sampler, early stopping), but trains nothing: a proposal is answered
by the nearest recorded trial that this replay has not used yet, and the study is told that trial's own settings.
The two fixed recipes are no part of it.
"""

# ruff: noqa: ARG002 (Optuna and the controller name the arguments)

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from pathlib import Path
from typing import Any, cast

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial
from recorded_trials import Curve, Pool, Segment, point_of, segments_of

from xa_search.records import Asha, EpochReport, Plan, Scheduler, TrialRecord, TrialRole
from xa_search.search.controller import SearchController
from xa_search.search.sampler import MOST_RANDOM_TRIALS
from xa_search.search.study import SearchStudy


@dataclass(frozen=True, slots=True)
class Search:
    """One way to search: who proposes, and whether trials are stopped early.

    `trials` and `max_concurrent` are as in a space; none: all recorded trials, and the program's own limit. With
    `waits` the sampler draws at random until its first trials have all ended, as it did before it counted running ones.
    """

    name: str
    at_random: bool
    asha: Asha | None
    trials: int | None = None
    max_concurrent: int | None = None
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Running:
    """A trial that a worker replays."""

    number: int
    segments: Iterator[Segment]
    trains: Segment


@dataclass(frozen=True, slots=True)
class Found:
    """A new best score of a replay, and what had been spent by then; `clock` is in the steps of one worker."""

    score: float
    steps: float
    trials: int
    clock: float = 0.0


class RecordedSampler(BaseSampler):
    """Proposes recorded trials, each once: the nearest to what the program's sampler draws, or any."""

    def __init__(
        self, sampler: BaseSampler, pool: Pool, used: list[int], generator: np.random.Generator | None
    ) -> None:
        self._sampler = sampler
        self._pool = pool
        self._used = used
        self._generator = generator

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return what the program's sampler draws together."""
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Use up one recorded trial and return its parameters."""
        unused = np.setdiff1d(np.arange(len(self._pool.curves)), self._used)
        if self._generator is not None:
            chosen = int(self._generator.choice(unused))
        else:
            # What leaves no choice is not drawn; any trial has it.
            drawn = {**self._pool.curves[0].params, **self._sampler.sample_relative(study, trial, search_space)}
            distances = np.square(self._pool.points[unused] - point_of(self._pool.space, drawn)).sum(1)
            chosen = int(unused[distances.argmin()])
        self._used.append(chosen)
        return {name: self._pool.curves[chosen].params[name] for name in search_space}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return the value of a parameter that leaves no choice."""
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)


class ReplayedStudy(SearchStudy):
    """The program's study in memory, over recorded trials only and without the fixed recipes."""

    def __init__(self, plan: Plan, pool: Pool, at_random: bool, *, waits: bool = False) -> None:
        storage = optuna.storages.InMemoryStorage()
        study = optuna.create_study(storage=storage, study_name=plan.search_id, direction="maximize")
        super().__init__(plan, storage, study)
        self._pool = pool
        self._used: list[int] = []
        self._at_random, self._waits = at_random, waits
        self._generator = np.random.default_rng(plan.seed)
        self.proposed_by_tpe = 0

    def curve_of(self, record: TrialRecord) -> Curve:
        """Return the recorded trial that stands for a proposed one."""
        return self._pool.curves[self._used[record.number]]

    def best_to_come(self, running: list[int]) -> float:
        """Return the best score among the recorded trials that run or were not used yet."""
        tops = self._pool.tops.copy()
        tops[[place for number, place in enumerate(self._used) if number not in running]] = -math.inf
        return float(tops.max())

    def _sampler(self, trials: list[FrozenTrial], role: TrialRole) -> Any:
        sampler = super()._sampler(trials, role)
        ended = sum(trial.state.is_finished() for trial in trials)
        by_tpe = sampler.knows_enough and not self._at_random and not (self._waits and ended < MOST_RANDOM_TRIALS)
        self.proposed_by_tpe += by_tpe
        at_random = self._at_random or (self._waits and not by_tpe)
        return RecordedSampler(sampler, self._pool, self._used, self._generator if at_random else None)

    def _enqueue_missing_role(self, trials: list[FrozenTrial]) -> None:
        """Propose no fixed recipe."""


class Ledger:
    """Listens to a replay, counts what it spends, and notes each new best score."""

    def __init__(self) -> None:
        self.steps = 0.0
        self.trials = 0
        self.clock = 0.0
        self.found: list[Found] = []

    @property
    def best(self) -> float:
        """The best score so far of a trial that used its full budget, as the winner is chosen."""
        return self.found[-1].score if self.found else -math.inf

    def placed(self, lines: Sequence[str]) -> None:
        """Do nothing."""

    def trial_started(self, record: TrialRecord) -> None:
        """Count the trial."""
        self.trials += 1

    def epoch_reported(self, record: TrialRecord, report: EpochReport) -> None:
        """Do nothing: what is trained up to a report counts when it begins."""

    def trial_torn(self, record: TrialRecord, lines: Sequence[str]) -> None:
        """Do nothing."""

    def trial_ended(self, record: TrialRecord) -> None:
        """Note the score of a complete trial if none was better."""
        if record.state == "COMPLETE" and record.score is not None and record.score > self.best:
            self.found.append(Found(record.score, self.steps, self.trials, self.clock))


@dataclass(frozen=True, slots=True)
class Replayed:
    """A replay: each new best score, when its last trial ended, and how many trials TPE proposed."""

    found: tuple[Found, ...]
    clock: float
    trials: int
    proposed_by_tpe: int


def replay(pool: Pool, search: Search, width: int, seed: int, enough: float) -> tuple[Found, ...]:
    """Search until a score of `enough` is found or all recorded trials are used; return each new best score."""
    return replay_whole(pool, search, width, seed, enough).found


def replay_whole(pool: Pool, search: Search, width: int, seed: int, enough: float = math.inf) -> Replayed:
    """Search until a score of `enough` is found, or nothing better can be; without `enough`, until all trials ended.

    `width` trials run at a time, or fewer where the search says so, and take turns by the steps that each has trained.
    """
    given = {"trials": search.trials or pool.space.trials, "max_concurrent": search.max_concurrent}
    space = pool.space.model_copy(update={"scheduler": Scheduler(asha=search.asha), **given})
    plan = Plan(name="replay", space=space, home=Path(), seed=seed)
    study, ledger = ReplayedStudy(plan, pool, search.at_random, waits=search.waits), Ledger()
    controller = SearchController(plan, study, cast(Any, study.curve_of), ledger)
    controller.begin(slots=width, gpus={})
    running: dict[int, Running] = {}
    turns = [(0.0, worker) for worker in range(width)]
    while turns and (
        math.isinf(enough) or ledger.best < min(enough, study.best_to_come([one.number for one in running.values()]))
    ):
        ledger.clock, worker = heappop(turns)
        if worker in running:
            one = running.pop(worker)
            if controller.handle_event(one.number, one.trains.event):
                running[worker] = replace(one, trains=next(one.segments))
        if worker not in running and (taken := controller.next_trial()) is not None:
            record, segments = taken[0], segments_of(cast(Curve, taken[1]), pool.epochs)
            controller.started(record.number)
            running[worker] = Running(record.number, segments, next(segments))
        if worker in running:
            ledger.steps += running[worker].trains.steps
            heappush(turns, (ledger.clock + running[worker].trains.steps, worker))
    return Replayed(tuple(ledger.found), ledger.clock, ledger.trials, study.proposed_by_tpe)
