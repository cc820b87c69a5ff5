"""The package's structure, read from its source: `python tests/structure.py` prints it, test_layers.py holds it.

An import counts where it stands: at the top of a module, inside a function (late), or for the type checker alone.
"""

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "xa_search"
ORDER = (
    "errors", "records", "config", "corpora", "encoding", "model", "training", "feedback", "search", "tracking",
    "claims", "cluster", "rehearsal", "workflows", "cli", "__init__", "__main__",
)  # fmt: skip
"""The packages and the top modules, in the order in which imports may flow."""


@dataclass(frozen=True)
class Import:
    """One name that a module imports, and where: `late` inside a function, `typed` for the type checker alone."""

    name: str
    late: bool
    typed: bool


@dataclass(frozen=True)
class Module:
    """One file of the package."""

    path: Path

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(encoding="utf-8"))

    @property
    def place(self) -> str:
        """Its path in the package, for messages."""
        return self.path.relative_to(PACKAGE).as_posix()

    @property
    def name(self) -> str:
        """Its dotted name."""
        parts = self.path.relative_to(ROOT).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def package(self) -> str:
        """The package it is in; a file at the top is its own."""
        return self.path.relative_to(PACKAGE).parts[0].removesuffix(".py")

    @property
    def lines(self) -> int:
        return len(self.path.read_text(encoding="utf-8").splitlines())

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        return tuple(_imports(self.tree, late=False, typed=False))

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node


def _imports(node: ast.AST, *, late: bool, typed: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(alias.name, late, typed) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "a relative import"
        yield from (Import(f"{node.module}.{alias.name}", late, typed) for alias in node.names)
    inside = late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    checked = isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
    for child in ast.iter_child_nodes(node):
        # What `else` has is imported when the program runs.
        own = typed or (checked and child not in node.orelse) if isinstance(node, ast.If) else typed
        yield from _imports(child, late=inside, typed=own)


def modules() -> tuple[Module, ...]:
    """Return all modules of the package."""
    return tuple(Module(path) for path in sorted(PACKAGE.rglob("*.py")))


def edges(found: tuple[Module, ...]) -> dict[str, set[str]]:
    """Return by module the modules of the package that it imports when it runs, late ones too."""
    names = {module.name for module in found}
    graph: dict[str, set[str]] = {}
    for module in found:
        used = set()
        for one in module.imports:
            target = one.name if one.name in names else one.name.rpartition(".")[0]
            if not one.typed and target in names and target != module.name:
                used.add(target)
        graph[module.name] = used
    return graph


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules that import one another, each sorted."""
    reach = {name: _reachable(graph, name) for name in graph}
    groups = {frozenset({name} | {other for other in reach[name] if name in reach[other]}) for name in graph}
    return sorted(sorted(group) for group in groups if len(group) > 1)


def _reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += graph[name]
    return seen


def files_at_the_top() -> list[str]:
    """Return the modules that lie in no package."""
    return sorted(path.name for path in PACKAGE.glob("*.py"))


def report() -> list[str]:
    """Return the figures, a line each."""
    found = modules()
    sizes = {module.place: module.lines for module in found if module.path.name != "__init__.py"}
    largest = max(sizes, key=lambda place: sizes[place])
    late = Counter(module.package for module in found for one in module.imports if one.late and not one.typed)
    knots = circles(edges(found))
    return [
        f"modules: {len(sizes)}, with __init__ {len(found)}",
        f"lines of a module: median {median(sizes.values()):g}, largest {sizes[largest]} ({largest})",
        f"files at the top: {len(files_at_the_top())} ({', '.join(files_at_the_top())})",
        f"circles: {len(knots)}{''.join('; ' + ' '.join(knot) for knot in knots)}",
        f"late imports: {', '.join(f'{name} {count}' for name, count in sorted(late.items())) or 'none'}",
    ]


if __name__ == "__main__":
    print("\n".join(report()))
