"""The rooms: data flows one way, each big library has few doors, nothing but the command line prints."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "xa_search"
ROOMS = ("config", "corpora", "encoding", "model", "training", "search", "tracking", "cluster")
SHARED = ("records", "errors")
DOORS = {"optuna": ("search", 2), "ray": ("search", 4), "mlflow": ("tracking", 4), "jsonschema": ("cluster", 1)}
MODULES = sorted(PACKAGE.rglob("*.py"))


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_from_rooms_above_it(path: Path) -> None:
    room = room_of(path)
    if room not in ROOMS:
        return
    allowed = {*ROOMS[: ROOMS.index(room) + 1], *SHARED}
    used = {name.split(".")[1] for name in imported(path) if name.startswith("xa_search.")}
    assert used <= allowed


@pytest.mark.parametrize("library", DOORS)
def test_a_library_has_few_doors_in_one_room(library: str) -> None:
    room, most = DOORS[library]
    using = [path for path in MODULES if any(name.split(".")[0] == library for name in imported(path))]
    assert {room_of(path) for path in using} == {room}
    assert len(using) <= most


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_command_line_prints_or_exits(path: Path) -> None:
    if room_of(path) in ("cli", "display", "tables") or path.name == "generate.py":
        return
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    names = {ast.unparse(call.func) for call in calls}
    assert not names & {"print", "sys.exit", "exit", "quit", "os._exit"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_module_says_what_comes_in_and_what_goes_out(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not text.strip() or ast.get_docstring(ast.parse(text))


def test_the_readme_names_every_room_and_top_level_module() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    present = {path.stem if path.is_file() else path.name for path in PACKAGE.iterdir() if path.name[0] not in "_."}
    mapped = set(re.findall(r"^\s{4,8}(\w+)(?:\.py|/)\s", readme, flags=re.MULTILINE))
    assert present <= mapped, f"not in the README's file map: {sorted(present - mapped)}"
