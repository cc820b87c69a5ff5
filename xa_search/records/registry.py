"""What a search may name. In: what a module has imported. Out: one mapping a kind, and how a name is looked up.

An implementation stands in a module of its own, as a frozen record with a `name`; the registry of its kind is a module
that imports it. `Vocabulary` has the names of all kinds, for those who may not import the implementations.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Protocol, TypeVar

from pydantic import BaseModel

from xa_search.errors import UsageError


class Named(Protocol):
    """Anything with a name."""

    @property
    def name(self) -> str:
        """What a search space calls it."""
        ...


Entry = TypeVar("Entry", bound=Named)


def registered(kind: type[Entry], namespace: Mapping[str, object]) -> Mapping[str, Entry]:
    """Return by name what a module has imported of a kind, in the order of its imports."""
    found = [value for value in namespace.values() if isinstance(value, kind)]
    return {entry.name: entry for entry in found}


def look_up(registry: Mapping[str, Entry], key: str, name: str) -> Entry:
    """Return what is registered under a name. Raises UsageError with the nearest name, or all."""
    if name not in registry:
        raise UsageError(f"{key}: {unknown(name, registry)}")
    return registry[name]


def unknown(name: object, known: Collection[str]) -> str:
    """Say that a name is none of the known ones, which one may be meant, and which there are."""
    close = get_close_matches(str(name), list(known), n=1)
    meant = f"did you mean {close[0]!r}? " if close else ""
    return f"{name!r} is unknown; {meant}valid: {', '.join(known)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """The names that a search space may use; of `schedulers` also the types of their settings.

    `with_columns` are the corpora whose columns a user may name.

    `undivided_losses` are, by method, the losses between pairs that set each pair against all others of a step.
    """

    corpora: tuple[str, ...]
    with_columns: tuple[str, ...]
    methods: tuple[str, ...]
    selections: tuple[str, ...]
    align_distances: tuple[str, ...]
    pair_losses: tuple[str, ...]
    schedulers: Mapping[str, type[BaseModel]]
    undivided_losses: Mapping[str, tuple[str, ...]]
