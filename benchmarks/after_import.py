"""Changes a module as soon as something imports it. In: its name, and what to do with it. Out: nothing.

Python starts many processes beside those that train; where a change imported its module, each would wait for torch.
"""

# ruff: noqa: ARG002 (importlib names the arguments)

import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType


class _Change(MetaPathFinder, Loader):
    """Finds one module as if it were not here, and changes it once it is loaded."""

    def __init__(self, name: str, change: Callable[[ModuleType], None]) -> None:
        self._name = name
        self._change = change
        self._loader: Loader | None = None

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return the spec that others find, with this as its loader."""
        if name != self._name:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is not None:
            self._loader, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Leave it to the real loader."""
        return None if self._loader is None else self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Load the module, then change it."""
        assert self._loader is not None
        self._loader.exec_module(module)
        self._change(module)


def change_after_import(name: str, change: Callable[[ModuleType], None]) -> None:
    """Call `change` with the module `name`, right after it was imported for the first time."""
    sys.meta_path.insert(0, _Change(name, change))
