"""Which settings a trial searches. In: a search space, a trial's method and values. Out: the range of each setting.

A setting is searched where its own condition holds (`when` in the space), and where the trial's method reads it: a
weight of a loss that a method does not add would make trials different that train alike.
"""

from collections.abc import Mapping
from math import inf, prod
from typing import Any

from xa_search.records import Parameter, SearchSpace
from xa_search.training.methods import ZERO_SHOT
from xa_search.training.registry import METHODS

Group = tuple[str, ...]


def searched_in(space: SearchSpace, method: str, values: Mapping[str, Any]) -> dict[str, Parameter]:
    """Return the settings that a trial of this method with these values searches, each with its range there.

    `values` need hold no more than what conditions name; a method that is not registered is taken to read everything.
    """
    found = {}
    for name, parameter in space.params.items():
        case = parameter.in_trial({**values, "method": method})
        if case is not None and is_read(method, name):
            found[name] = case
    return found


def is_read(method: str, setting: str) -> bool:
    """Whether a method reads a setting."""
    return method not in METHODS or METHODS[method].reads(setting)


def groups_of(space: SearchSpace) -> tuple[Group, ...]:
    """Return the searched settings in groups that are searched in the same trials; first those that conditions name.

    The first group stands in every trial. It has the method, and what no condition restricts and all methods read.
    """
    by_condition: dict[tuple[Any, ...], list[str]] = {((), space.methods): []}
    for name, parameter in space.params.items():
        readers = tuple(method for method in space.methods if name == "method" or is_read(method, name))
        whens = tuple(
            tuple(sorted((key, value) for key, value in case.when.items())) for case in parameter.alternatives
        )
        by_condition.setdefault((() if whens == ((),) else whens, readers), []).append(name)
    named = {"method"}.union(*(parameter.conditions for parameter in space.params.values()))
    groups = [tuple(names) for names in by_condition.values() if names]
    return tuple(sorted(groups, key=named.isdisjoint))


def zero_shot_choices(space: SearchSpace) -> float:
    """Return how many different zero-shot trials a space allows; infinite where one of its settings has a range."""
    read = [one for name, one in space.params.items() if name != "method" and is_read(ZERO_SHOT.name, name)]
    sizes = [inf if one.choices is None else len(set(one.choices)) for one in read]
    return prod(sizes, start=1.0)


def unread_settings(space: SearchSpace) -> list[str]:
    """Return the searched settings that none of the space's methods reads."""
    return [name for name in space.params if not any(is_read(method, name) for method in space.methods)]


def used_method(space: SearchSpace, notes: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    """Return the method that a trial used: the baseline is zero-shot, whatever it was proposed with."""
    settings = notes.get("settings", {})
    return str(settings.get("method") or values.get("method") or space.method)


def effective_values(space: SearchSpace, method: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of a trial's values that it read; trials that have the same train alike."""
    read = searched_in(space, method, values)
    return {"method": method} | {name: value for name, value in values.items() if name in read and name != "method"}
