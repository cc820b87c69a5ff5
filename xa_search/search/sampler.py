"""What Optuna computes. In: a search space and the trials so far. Out: TPE without repeats; which parameters mattered.

Also the two recipes that always run, and how near two proposals are.

A proposal is a value for each setting that its trial searches: see `conditions`. Settings that are searched in the same
trials are drawn together; then, given these, what their values leave to search, each from the trials that searched it,
too. Optuna calls this a group-decomposed search space; here the groups are known before the first trial.

TPE ranks trials so: by score those that used their full budget; below them the early-stopped ones, by how far they came
and then by their score there, so that scores of different epochs never mix; below all, what the settings made fail.
A baseline whose method is none that the space searches is no proposal of the space: TPE does not see it. Nor does it
see the trials of zero-shot's own search, whose proposals are drawn in the same way, of what they and the baseline tell.
"""

# ruff: noqa: ARG002 (Optuna names the arguments)

import math
import zlib
from collections.abc import Container, Iterator, Mapping, Sequence
from copy import copy
from itertools import chain, product
from random import Random
from typing import Any

import optuna
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from xa_search.records import Parameter, Plan, SearchSpace, TrialRole, TrialSettings
from xa_search.records.search import FEWEST_FOR_IMPORTANCES
from xa_search.records.trial import ZERO_SHOT_ROLES
from xa_search.search.conditions import effective_values, groups_of, searched_in, used_method
from xa_search.search.failures import FAULTS_OF_THE_SETTINGS
from xa_search.training.methods import XEROALIGN, ZERO_SHOT

NEAR = 1e-3

Proposal = dict[str, Any]
MOST_DRAWS = 8
MOST_RANDOM_DRAWS = 64
MOST_RANDOM_TRIALS = 10


def is_integer(name: str) -> bool:
    """Tell whether a range of this setting holds whole numbers only."""
    return TrialSettings.type_of(name) is int


def recipe(space: SearchSpace, role: TrialRole, changed: Mapping[str, Any] | None = None) -> Proposal:
    """Return the proposal of the baseline or with the paper's values; what the space leaves open is mid-range.

    With `changed` values, as those of another model size, it is what becomes of the recipe with them.
    """
    given = {**space.published, **(space.baseline if role in ZERO_SHOT_ROLES else {}), **(changed or {})}
    if role in ZERO_SHOT_ROLES and ZERO_SHOT.name in space.methods:
        given["method"] = ZERO_SHOT.name
    elif role not in ZERO_SHOT_ROLES and XEROALIGN.name in space.methods:
        given.setdefault("method", XEROALIGN.name)
    proposal: Proposal = {}
    for name in chain.from_iterable(groups_of(space)):
        if (parameter := parameter_of(space, name, role, proposal)) is not None:
            fits = name in given and (not changed or name in changed or _holds(parameter, given[name]))
            value = _fitted(name, parameter, given[name]) if fits else _middle(name, parameter)
            proposal[name] = value
    return proposal


def parameter_of(space: SearchSpace, name: str, role: TrialRole, values: Mapping[str, Any]) -> Parameter | None:
    """Return the range of a setting in a trial of a role that has these values already; none where it has no use."""
    if name == "method":
        own = Parameter(choices=(ZERO_SHOT.name,))
        return own if role == "zero_shot" and ZERO_SHOT.name in space.methods else space.params[name]
    method = ZERO_SHOT.name if role in ZERO_SHOT_ROLES else str(values.get("method", space.method))
    return searched_in(space, method, values).get(name)


def suggested(space: SearchSpace, asked: Trial, role: TrialRole) -> Proposal:
    """Take from Optuna's trial, one after the other, the settings that it searches."""
    proposal: Proposal = {}
    for name in chain.from_iterable(groups_of(space)):
        if parameter_of(space, name, role, proposal) is not None:
            proposal[name] = _suggested(asked, name, space.params[name])
    return proposal


def _suggested(asked: Trial, name: str, parameter: Parameter) -> Any:
    distribution = _distribution(name, parameter)
    if isinstance(distribution, CategoricalDistribution):
        return asked.suggest_categorical(name, distribution.choices)
    if isinstance(distribution, IntDistribution):
        return asked.suggest_int(name, distribution.low, distribution.high, log=distribution.log)
    assert isinstance(distribution, FloatDistribution)
    return asked.suggest_float(name, distribution.low, distribution.high, log=distribution.log)


def settings_of(plan: Plan, role: TrialRole, proposal: Mapping[str, Any]) -> TrialSettings:
    """Return the full settings of a trial; some roles are zero-shot whatever the space's method."""
    return plan.trial_settings({**proposal, **({"method": ZERO_SHOT.name} if role in ZERO_SHOT_ROLES else {})})


def is_near(space: SearchSpace, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Tell whether the proposals search the same, share every choice, and differ by less than a thousandth of each
    range.
    """
    names = one.keys() & space.params.keys()
    return one.keys() == other.keys() and all(_is_near(space.params[name], one[name], other[name]) for name in names)


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


def _holds(parameter: Parameter, value: Any) -> bool:
    if parameter.choices is not None:
        return value in parameter.choices
    return bool((parameter.low or 0.0) <= value <= (parameter.high or 0.0))


def _middle(name: str, parameter: Parameter) -> Any:
    if parameter.choices is not None:
        return parameter.choices[0]
    low, high = _scaled(parameter, parameter.low), _scaled(parameter, parameter.high)
    middle = (low + high) / 2
    value = math.exp(middle) if parameter.log else middle
    return round(value) if is_integer(name) else value


class DistinctSampler(TPESampler):
    """TPE that draws again while a proposal trains as good as the same as an earlier trial.

    Settings that the method of a trial does not read make no difference. A space of choices alone is gone through whole
    before anything in it is tried twice. `role` is that of the trials that it proposes: "searched" or "zero_shot".
    """

    def __init__(
        self, space: SearchSpace, trials: Sequence[FrozenTrial], seed: int, role: TrialRole = "searched"
    ) -> None:
        # How many are drawn at random is decided here, over all groups of settings together.
        super().__init__(seed=seed, multivariate=True, constant_liar=True, n_startup_trials=0)
        self._space = space
        self._role: TrialRole = role
        self._wanted = space.baseline_trials if role == "zero_shot" else space.trials
        self._groups = groups_of(space)
        known = [trial for trial in trials if trial.params and _is_known_to(role, trial)]
        self._earlier = [_effective(space, trial) for trial in known]
        self._seen = [_outcome(one) for one in known if role == "zero_shot" or _is_of_the_space(space, one)]
        self._random = RandomSampler(seed=seed)
        self._shuffler = Random(seed)

    @property
    def knows_enough(self) -> bool:
        """Whether the first trials were drawn, and one of them ended; all others are proposed by what is known."""
        first = min(MOST_RANDOM_TRIALS, max(2, self._wanted // 4))
        return len(self._seen) >= first and any(trial.state.is_finished() for trial in self._seen)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the whole space, less what leaves no choice."""
        return {name: one for name, one in distributions_of(self._space).items() if not one.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw all parameters together: by TPE once it knows enough, at random before."""
        by_tpe = [True] * MOST_DRAWS if self.knows_enough else []
        for one in (*by_tpe, *([False] * MOST_RANDOM_DRAWS)):
            proposal = self._drawn(study, trial, by_tpe=one)
            if self._is_new(proposal):
                return proposal
        untried = [one for one in self._proposals_of_choices({}, self._groups) if self._is_new(one)]
        return self._shuffler.choice(untried) if untried else proposal

    def _drawn(self, study: Study, trial: FrozenTrial, *, by_tpe: bool) -> Proposal:
        proposal: Proposal = {}
        for group in self._groups:
            ranges = self._ranges(group, proposal)
            proposal |= {name: one.choices[0] for name, one in ranges.items() if _is_single(one) and one.choices}
            open_ranges = {name: _distribution(name, one) for name, one in ranges.items() if not _is_single(one)}
            known = self._known(ranges) if by_tpe and open_ranges else []
            if any(one.state.is_finished() for one in known):
                seen = optuna.create_study(storage=_Outcomes(known), direction="maximize")
                proposal |= super().sample_relative(seen, trial, open_ranges)
            else:
                draw = self._random.sample_independent
                proposal |= {name: draw(study, trial, name, one) for name, one in open_ranges.items()}
        return proposal

    def _ranges(self, group: Sequence[str], proposal: Proposal) -> dict[str, Parameter]:
        found = {name: parameter_of(self._space, name, self._role, proposal) for name in group}
        return {name: one for name, one in found.items() if one is not None}

    def _known(self, ranges: Mapping[str, Parameter]) -> list[FrozenTrial]:
        """Return the trials that searched these settings in these ranges."""
        return [
            trial
            for trial in self._seen
            if all(name in trial.params and self._range_in(trial, name) == one for name, one in ranges.items())
        ]

    def _range_in(self, trial: FrozenTrial, name: str) -> Parameter | None:
        if name == "method":
            return parameter_of(self._space, name, self._role, {})
        return searched_in(self._space, _method(self._space, trial), trial.params).get(name)

    def _is_new(self, proposal: Proposal) -> bool:
        method = ZERO_SHOT.name if self._role == "zero_shot" else str(proposal.get("method", self._space.method))
        mine = effective_values(self._space, method, proposal)
        return not any(
            one["method"] == mine["method"] and is_near(self._space, _less_method(mine), _less_method(one))
            for one in self._earlier
        )

    def _proposals_of_choices(self, begun: Proposal, groups: Sequence[Sequence[str]]) -> Iterator[Proposal]:
        """Yield every proposal of a space that has choices only; nothing where it has a range."""
        if any(one.choices is None for one in self._space.params.values()):
            return
        if not groups:
            yield begun
            return
        ranges = self._ranges(groups[0], begun)
        for values in product(*(one.choices or () for one in ranges.values())):
            yield from self._proposals_of_choices({**begun, **dict(zip(ranges, values, strict=True))}, groups[1:])


def _less_method(values: Proposal) -> Proposal:
    return {name: value for name, value in values.items() if name != "method"}


def _is_single(parameter: Parameter) -> bool:
    return parameter.choices is not None and len(parameter.choices) == 1


class _Outcomes(InMemoryStorage):
    """Some trials as TPE shall see them."""

    def __init__(self, trials: list[FrozenTrial]) -> None:
        super().__init__()
        self._seen = trials

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials in one of these states."""
        return [trial for trial in self._seen if states is None or trial.state in states]

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Do nothing: TPE leaves its draw for other processes, and there are none."""


def _is_known_to(role: TrialRole, trial: FrozenTrial) -> bool:
    """Whether a trial tells proposals of this role anything: zero-shot's own search and the others are two."""
    own = trial.user_attrs.get("role")
    return own in ZERO_SHOT_ROLES if role == "zero_shot" else own != "zero_shot"


def _method(space: SearchSpace, trial: FrozenTrial) -> str:
    return used_method(space, trial.user_attrs, trial.params)


def _effective(space: SearchSpace, trial: FrozenTrial) -> Proposal:
    return effective_values(space, _method(space, trial), trial.params)


def _is_of_the_space(space: SearchSpace, trial: FrozenTrial) -> bool:
    """Whether a trial used a method that the space searches, and that it was proposed with."""
    used = _method(space, trial)
    return used in space.methods and bool(trial.params.get("method", used) == used)


def _outcome(trial: FrozenTrial) -> FrozenTrial:
    """Return a trial as TPE ranks it: what its settings made fail is the worst of the early-stopped ones.

    Those rank by how far they came, and by their score there: in steps of training, where their rungs lie in steps.
    """
    failed = trial.user_attrs.get("failure") in FAULTS_OF_THE_SETTINGS
    rungs = trial.user_attrs.get("rung_scores", {}) if trial.state == TrialState.PRUNED else {}
    if not failed and not rungs:
        return trial
    changed = copy(trial)
    changed.state = TrialState.PRUNED
    changed.intermediate_values = {} if failed else {int(rung): score for rung, score in rungs.items()}
    return changed


def sampler_of(plan: Plan, trials: list[FrozenTrial], role: TrialRole = "searched") -> DistinctSampler:
    """Return the sampler of the next trial, of this role, seeded by the plan and that trial's number."""
    number = next((trial.number for trial in trials if trial.state == TrialState.WAITING), len(trials))
    return DistinctSampler(plan.space, trials, zlib.crc32(f"{plan.seed}/{number}".encode()), role)


def importances_of(trials: list[FrozenTrial]) -> dict[str, float]:
    """Return how much each parameter mattered for the rank of the searched trials; empty where too few have one.

    Ranks are those that TPE sees, so that early-stopped trials count by how far they came, and no trial is left out
    because it was bad.
    """
    ranked = sorted(filter(is_ranked, trials), key=lambda trial: _rank(_outcome(trial)))
    if len(ranked) < FEWEST_FOR_IMPORTANCES:
        return {}
    study = optuna.create_study(direction="maximize")
    for place, trial in enumerate(ranked):
        one = copy(trial)
        one.state, one.values = TrialState.COMPLETE, [float(place)]
        study.add_trial(one)
    try:
        return optuna.importance.get_param_importances(study)
    except (ValueError, RuntimeError):
        return {}


def is_ranked(trial: FrozenTrial) -> bool:
    """Whether a searched trial ended by what it was, and not by an accident."""
    is_fault = trial.user_attrs.get("failure") in FAULTS_OF_THE_SETTINGS
    ended = trial.state in (TrialState.COMPLETE, TrialState.PRUNED) or is_fault
    return ended and trial.user_attrs.get("role") == "searched"


def _rank(trial: FrozenTrial) -> tuple[bool, int, float]:
    if trial.state == TrialState.COMPLETE:
        return True, 0, trial.value or 0.0
    return False, *max(trial.intermediate_values.items(), default=(0, 0.0))


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
