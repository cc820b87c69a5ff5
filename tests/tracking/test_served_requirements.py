"""A registered model asks for the packages that its code imports: it is served where nothing else is installed."""

import ast
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement

from xa_search.config.shipped import PACKAGE
from xa_search.tracking.registry import NEEDED

LOADED = "xa_search.tracking.bundle"
"""What the served model's own file imports of this program."""


def file_of(module: str) -> Path | None:
    place = PACKAGE.parent / module.replace(".", "/")
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


def imported_with(module: str, seen: dict[str, str]) -> dict[str, str]:
    """Note the modules of this program and the packages of others that a module imports when it is imported."""
    parts = module.split(".")
    for parent in (".".join(parts[:length]) for length in range(1, len(parts) + 1)):
        path = file_of(parent)
        if path is None or parent in seen:
            continue
        seen[parent] = ""
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            for name in names:
                if name.startswith("xa_search."):
                    imported_with(name, seen)
                else:
                    seen.setdefault(name.partition(".")[0], parent)
    return seen


def test_all_that_a_served_model_imports_is_asked_for() -> None:
    of_needed = [Requirement(text) for name in NEEDED for text in requires(name) or []]
    installed = {*NEEDED, *(one.name for one in of_needed if one.marker is None or one.marker.evaluate({"extra": ""}))}
    installed = {name.lower().replace("_", "-") for name in installed}
    found = {name: by for name, by in imported_with(LOADED, {}).items() if not name.startswith("xa_search")}
    owners = packages_distributions()
    missing = {
        f"{name}, by {by}"
        for name, by in found.items()
        if name not in sys.stdlib_module_names
        and not installed & {owner.lower().replace("_", "-") for owner in owners.get(name, ())}
    }
    assert {"numpy", "torch", "transformers"} <= set(found)
    assert missing == set()
