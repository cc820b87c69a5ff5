"""What a check finds. In: nothing. Out: the records of faults and of the rules that find them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from xa_search.cluster.document import Part
from xa_search.cluster.machines import ClusterFile, Kind

AWS: frozenset[Kind] = frozenset({"aws"})
JOB: frozenset[Kind] = frozenset({"rayjob"})
LAUNCHED: frozenset[Kind] = frozenset({"aws", "local"})
SCALED: frozenset[Kind] = frozenset({"aws", "rayjob"})
ALL: frozenset[Kind] = frozenset({"aws", "local", "rayjob"})

Finding = tuple[Part, str, str]
"""Where, what is wrong there, and what to write instead."""


@dataclass(frozen=True, order=True)
class Fault:
    """One line of a file that would cost time, money or safety."""

    line: int
    rule: str
    what: str
    fix: str


@dataclass(frozen=True)
class Rule:
    """A short name, what it protects from, the kinds of file it is for, and how it looks."""

    name: str
    protects: str
    kinds: frozenset[Kind]
    look: Callable[[ClusterFile], Iterator[Finding]]

    def faults(self, cluster: ClusterFile) -> Iterator[Fault]:
        """Yield what this rule finds."""
        if cluster.kind in self.kinds:
            for part, what, fix in self.look(cluster):
                yield Fault(part.line, self.name, what, fix)


@dataclass(frozen=True)
class Example:
    """A value of a shipped file that every user has to replace."""

    line: int
    value: str


@dataclass(frozen=True)
class Report:
    """What is wrong with a file, and which of its values are only examples."""

    faults: tuple[Fault, ...]
    examples: tuple[Example, ...] = ()

    def lines(self, path: Path) -> list[str]:
        """Return one line a fault: where it is, what it is, and its fix."""
        return [f"{path}:{fault.line}: {fault.rule}: {fault.what}; {fault.fix}" for fault in self.faults]
