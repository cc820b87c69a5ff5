"""The searched space. In: a Plan. Out: the two recipes that always run, and how near two proposals are.

A proposal is a value for each searched setting.
"""

import math
from collections.abc import Mapping
from typing import Any

from xa_search.records import WEIGHTS, Parameter, Plan, SearchSpace, TrialRole, TrialSettings

NEAR = 1e-3

Proposal = dict[str, Any]


def is_integer(name: str) -> bool:
    """Tell whether a range of this setting holds whole numbers only."""
    return TrialSettings.model_fields[name].annotation is int


def recipe(space: SearchSpace, role: TrialRole) -> Proposal:
    """Return the proposal of the baseline or of the published recipe; what the space leaves open is mid-range."""
    given = {**space.published, **(space.baseline if role == "baseline" else {})}
    proposal = {
        name: _fitted(name, parameter, given[name]) if name in given else _middle(name, parameter)
        for name, parameter in space.params.items()
    }
    if role == "baseline":
        proposal |= {name: _lowest(space.params[name]) for name in WEIGHTS if name in proposal}
        if "method" in proposal and "zero_shot" in space.methods:
            proposal["method"] = "zero_shot"
    elif "method" in proposal and "method" not in given and "xeroalign" in space.methods:
        proposal["method"] = "xeroalign"
    return proposal


def settings_of(plan: Plan, role: TrialRole, proposal: Mapping[str, Any]) -> TrialSettings:
    """Return the full settings of a trial; the baseline is zero-shot whatever the space's method."""
    return plan.trial_settings({**proposal, **({"method": "zero_shot"} if role == "baseline" else {})})


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
