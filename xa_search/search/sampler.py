"""What Optuna computes. In: a search space and the trials so far. Out: TPE without repeats; which parameters mattered.

Also the two recipes that always run, and how near two proposals are.

A proposal is a value for each searched setting.

The space of a search never changes, so that every parameter is drawn at once, and a draw can be taken back.
TPE ranks trials so: by score those that used their full budget; below them the early-stopped ones, by how far they came
and then by their score there, so that scores of different epochs never mix; below all, what the settings made fail.
A baseline whose method is none of the choices is no proposal of the space: TPE does not see it.
"""

# ruff: noqa: ARG002 (Optuna names the arguments)

import math
import zlib
from collections.abc import Callable, Container, Iterator, Mapping
from copy import copy
from itertools import product
from random import Random
from typing import Any

import optuna
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from xa_search.records import Parameter, Plan, SearchSpace, TrialRole, TrialSettings, is_weight
from xa_search.search.failures import FAULTS_OF_THE_SETTINGS
from xa_search.training.methods import XEROALIGN, ZERO_SHOT

NEAR = 1e-3

Proposal = dict[str, Any]
MOST_DRAWS = 8
FEWEST_FOR_IMPORTANCES = 4


def is_integer(name: str) -> bool:
    """Tell whether a range of this setting holds whole numbers only."""
    return TrialSettings.type_of(name) is int


def recipe(space: SearchSpace, role: TrialRole) -> Proposal:
    """Return the proposal of the baseline or of the published recipe; what the space leaves open is mid-range."""
    given = {**space.published, **(space.baseline if role == "baseline" else {})}
    proposal = {
        name: _fitted(name, parameter, given[name]) if name in given else _middle(name, parameter)
        for name, parameter in space.params.items()
    }
    if role == "baseline":
        proposal |= {name: _lowest(space.params[name]) for name in proposal if is_weight(name)}
        if "method" in proposal and ZERO_SHOT.name in space.methods:
            proposal["method"] = ZERO_SHOT.name
    elif "method" in proposal and "method" not in given and XEROALIGN.name in space.methods:
        proposal["method"] = XEROALIGN.name
    return proposal


def settings_of(plan: Plan, role: TrialRole, proposal: Mapping[str, Any]) -> TrialSettings:
    """Return the full settings of a trial; the baseline is zero-shot whatever the space's method."""
    return plan.trial_settings({**proposal, **({"method": ZERO_SHOT.name} if role == "baseline" else {})})


def is_near(space: SearchSpace, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Tell whether the proposals differ by less than a thousandth of each range and share every choice."""
    return all(_is_near(space.params[name], value, other[name]) for name, value in one.items())


def _is_near(parameter: Parameter, one: Any, other: Any) -> bool:
    if parameter.choices is not None:
        return bool(one == other)
    whole = _scaled(parameter, parameter.high) - _scaled(parameter, parameter.low)
    return abs(_scaled(parameter, one) - _scaled(parameter, other)) <= NEAR * whole


def _scaled(parameter: Parameter, value: Any) -> float:
    return math.log(value) if parameter.log else float(value)


def _fitted(name: str, parameter: Parameter, value: Any) -> Any:
    if parameter.choices is not None:
        return next(choice for choice in parameter.choices if choice == value)
    return int(value) if is_integer(name) else float(value)


def _middle(name: str, parameter: Parameter) -> Any:
    if parameter.choices is not None:
        return parameter.choices[0]
    low, high = _scaled(parameter, parameter.low), _scaled(parameter, parameter.high)
    middle = (low + high) / 2
    value = math.exp(middle) if parameter.log else middle
    return round(value) if is_integer(name) else value


def _lowest(parameter: Parameter) -> Any:
    return parameter.low if parameter.choices is None else min(parameter.choices)


class DistinctSampler(TPESampler):
    """TPE over a fixed space that draws again while a proposal is as good as equal to an earlier one.

    A space of choices alone is gone through whole before anything in it is tried twice.
    """

    def __init__(
        self,
        distributions: dict[str, BaseDistribution],
        is_new: Callable[[Proposal], bool],
        seed: int,
        random_trials: int,
    ) -> None:
        super().__init__(seed=seed, multivariate=True, constant_liar=True, n_startup_trials=random_trials)
        self._distributions = distributions
        self._is_new = is_new
        self._random = RandomSampler(seed=seed)
        self._shuffler = Random(seed)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the whole space, less what leaves no choice."""
        return {name: one for name, one in self._distributions.items() if not one.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw all parameters together: by TPE once it knows enough, at random before."""
        seen = optuna.create_study(storage=_Outcomes(study.get_trials(deepcopy=False)), direction="maximize")
        for _ in range(MOST_DRAWS):
            proposal = super().sample_relative(seen, trial, search_space) or {
                name: self._random.sample_independent(study, trial, name, one) for name, one in search_space.items()
            }
            if self._is_new(proposal):
                return proposal
        untried = [one for one in _settings_of_choices(search_space) if self._is_new(one)]
        return self._shuffler.choice(untried) if untried else proposal


def _settings_of_choices(search_space: dict[str, BaseDistribution]) -> Iterator[Proposal]:
    """Yield every proposal of a space that has choices only; nothing where it has a range."""
    lists = [one.choices for one in search_space.values() if isinstance(one, CategoricalDistribution)]
    if len(lists) == len(search_space):
        yield from (dict(zip(search_space, values, strict=True)) for values in product(*lists))


class _Outcomes(InMemoryStorage):
    """The trials as TPE shall see them: those that their settings made fail are the worst of the early-stopped ones."""

    def __init__(self, trials: list[FrozenTrial]) -> None:
        super().__init__()
        self._seen = [_outcome(trial) for trial in trials if _is_of_the_space(trial)]

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials in one of these states."""
        return [trial for trial in self._seen if states is None or trial.state in states]

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Do nothing: TPE leaves its draw for other processes, and there are none."""


def _is_of_the_space(trial: FrozenTrial) -> bool:
    """Whether a trial used the method that it was proposed with, where the method is searched."""
    used = trial.user_attrs.get("settings", {}).get("method")
    return used is None or bool(trial.params.get("method", used) == used)


def _is_proposal(trial: FrozenTrial) -> bool:
    """Whether a proposal may repeat this trial: all may but the baseline of a space that has no such method."""
    return trial.user_attrs.get("role") != "baseline" or ("method" in trial.params and _is_of_the_space(trial))


def _outcome(trial: FrozenTrial) -> FrozenTrial:
    if trial.user_attrs.get("failure") not in FAULTS_OF_THE_SETTINGS:
        return trial
    worst = copy(trial)
    worst.state, worst.intermediate_values = TrialState.PRUNED, {}
    return worst


def sampler_of(plan: Plan, space: dict[str, BaseDistribution], trials: list[FrozenTrial]) -> DistinctSampler:
    """Return the sampler of the next trial, seeded by the plan and that trial's number."""
    earlier = [trial.params for trial in trials if _is_proposal(trial)]

    def is_new(proposal: Proposal) -> bool:
        known = (params for params in earlier if params.keys() >= proposal.keys())
        return not any(is_near(plan.space, proposal, params) for params in known)

    number = next((trial.number for trial in trials if trial.state == TrialState.WAITING), len(trials))
    seed = zlib.crc32(f"{plan.seed}/{number}".encode())
    return DistinctSampler(space, is_new, seed, min(10, max(2, plan.space.trials // 4)))


def importances_of(trials: list[FrozenTrial]) -> dict[str, float]:
    """Return how much each parameter mattered among the complete searched trials; empty where too few are."""
    complete = [
        trial for trial in trials if trial.state == TrialState.COMPLETE and trial.user_attrs["role"] == "searched"
    ]
    if len(complete) < FEWEST_FOR_IMPORTANCES:
        return {}
    study = optuna.create_study(direction="maximize")
    study.add_trials(complete)
    try:
        return optuna.importance.get_param_importances(study)
    except (ValueError, RuntimeError):
        return {}


def distributions_of(space: SearchSpace) -> dict[str, BaseDistribution]:
    """Return the searched parameters in Optuna's terms."""
    return {name: _distribution(name, parameter) for name, parameter in space.params.items()}


def _distribution(name: str, parameter: Parameter) -> BaseDistribution:
    if parameter.choices is not None:
        return CategoricalDistribution(parameter.choices)
    assert parameter.low is not None
    assert parameter.high is not None
    if is_integer(name):
        return IntDistribution(int(parameter.low), int(parameter.high), log=parameter.log)
    return FloatDistribution(parameter.low, parameter.high, log=parameter.log)
