"""xa-search: search for the best cross-lingually aligned language-understanding model.

From Python: `from xa_search import run, open_search, load_model, predict, evaluate`; see `xa_search/workflows/api.py`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xa_search.records.report import SearchReport
    from xa_search.workflows.api import Model, Search, evaluate, load_model, open_search, predict, run, searches

__version__ = "0.2.0"
__all__ = [
    "Model",
    "Search",
    "SearchReport",
    "__version__",
    "evaluate",
    "load_model",
    "open_search",
    "predict",
    "run",
    "searches",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import xa_search` alone takes no time."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # By its name: what it imports asks this module for the version, which is there by then.
    return getattr(import_module("xa_search.workflows.api"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
