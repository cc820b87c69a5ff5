"""A module in the folder that a user stands in is never taken for a library; a password is in no command line."""

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from xa_search.config.shipped import PACKAGE
from xa_search.workflows.models import mlflow_ui_command


def starts_of_python() -> list[tuple[str, ast.List]]:
    """Return every command in the package that begins with this Python."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.List) and node.elts and ast.unparse(node.elts[0]) == "sys.executable":
                found.append((f"{path.relative_to(PACKAGE)}:{node.lineno}", node))
    return found


def test_every_python_that_is_started_has_a_safe_path() -> None:
    found = starts_of_python()
    assert len(found) >= 4
    assert [place for place, command in found if ast.unparse(command.elts[1]) != "'-P'"] == []


def test_the_program_as_a_module_does_not_import_from_the_current_folder(tmp_path: Path) -> None:
    for name in ("typer", "datasets", "mlflow"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a module of the current folder')\n")
    done = subprocess.run(
        [sys.executable, "-m", "xa_search", "--version"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("xa-search ")


def test_a_checkout_that_is_not_installed_is_found_by_what_it_starts(tmp_path: Path) -> None:
    (tmp_path / "xa_search" / "cli").mkdir(parents=True)
    for part in ("xa_search/__init__.py", "xa_search/cli/__init__.py"):
        (tmp_path / part).touch()
    (tmp_path / "xa_search" / "__main__.py").write_text((PACKAGE / "__main__.py").read_text())
    look = "import os\ndef main():\n    print(os.environ.get('PYTHONPATH', ''))\n"
    (tmp_path / "xa_search" / "cli" / "main.py").write_text(look)
    alone = [sys.executable, "-S", "-m", "xa_search"]
    done = subprocess.run(alone, cwd=tmp_path, env={}, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(tmp_path)


def test_the_ui_has_its_store_by_its_environment(
    tmp_path: Path, with_tables: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    command, environment, _ = mlflow_ui_command(with_tables(tmp_path / "password"), 5000)
    assert "password" not in " ".join(command)
    assert environment["MLFLOW_BACKEND_STORE_URI"].endswith("/password/mlflow.db")
    assert environment["PYTHONSAFEPATH"] == "1"
