"""The package's rules, read from its source: who imports whom, which library has which door, what is too long."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from structure import ORDER, PACKAGE, ROOT, Module, circles, edges, files_at_the_top, modules, report

FOUND = modules()
DOORS = {"optuna": ("search", 2), "ray": ("search", 4), "mlflow": ("tracking", 3), "jsonschema": ("cluster", 1)}
SECOND_DOORS = {"ray": ("cluster", 1)}
"""A library's first door, and its second: a package, and in how many of its modules at most."""
LATE = {"cli": "a command imports what it needs when it runs, so that --help answers at once"}
PRINTING = {"print", "console.print", "typer.echo", "sys.stdout.write", "sys.stderr.write"}
ENDING = {"sys.exit", "exit", "quit", "os._exit"}
RUNS_AT_IMPORT = {
    "search/__init__.py": "defaults of Ray's environment, before Ray is imported",
    "tracking/__init__.py": "defaults of MLflow's environment, before MLflow is imported",
    "tracking/standalone.py": "a program of its own, where a model is exported",
    "tracking/standalone_onnx.py": "a program of its own, where a model is exported",
    "tracking/served_model.py": "MLflow runs this file to load a model, and asks it for the model",
    "corpora/mini/generate.py": "a program of its own",
    "__main__.py": "a program of its own",
    "cli/main.py": "the program is put together",
    "cli/reference.py": "a program of its own",
}
LONGEST_MODULE, LONGEST_FUNCTION, MOST_AT_THE_TOP = 400, 50, 5

each_module = pytest.mark.parametrize("module", FOUND, ids=lambda module: module.place)


@each_module
def test_imports_flow_one_way(module: Module) -> None:
    above = ORDER[: ORDER.index(module.package) + 1]
    inner = {one.name for one in module.imports if one.name.startswith("xa_search.")} - {"xa_search.__version__"}
    used = {name.split(".")[1] for name in inner}
    assert used <= {*above}, f"{module.package} imports from {', '.join(sorted(used - {*above}))}, which come after it"


def test_no_modules_import_one_another() -> None:
    assert circles(edges(FOUND)) == []


@each_module
def test_imports_stand_at_the_top(module: Module) -> None:
    late = [one.name for one in module.imports if one.late]
    assert not late or module.package in (*LATE, "__init__"), f"imported inside a function: {', '.join(late)}"


@pytest.mark.parametrize("library", DOORS)
def test_a_library_has_few_doors(library: str) -> None:
    doors = [DOORS[library], *([SECOND_DOORS[library]] if library in SECOND_DOORS else [])]
    using = [module for module in FOUND if any(one.name.split(".")[0] == library for one in module.imports)]
    assert {module.package for module in using} == {package for package, _ in doors}
    for package, most in doors:
        assert sum(module.package == package for module in using) <= most


@each_module
def test_only_the_command_line_prints_or_exits(module: Module) -> None:
    calls = {ast.unparse(node.func) for node in ast.walk(module.tree) if isinstance(node, ast.Call)}
    if module.package != "cli" and module.place not in (
        "corpora/mini/generate.py", "tracking/standalone.py", "tracking/standalone_onnx.py",
    ):  # fmt: skip
        assert not calls & (PRINTING | ENDING)


@each_module
def test_nothing_runs_at_import(module: Module) -> None:
    at_import = [
        node
        for node in module.tree.body
        if isinstance(node, ast.For | ast.While | ast.With | ast.Try)
        or (isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant))
        or (isinstance(node, ast.If) and ast.unparse(node.test) != "TYPE_CHECKING")
    ]
    assert not at_import or module.place in RUNS_AT_IMPORT, ast.unparse(at_import[0])


@each_module
def test_a_module_is_short_and_says_what_it_is(module: Module) -> None:
    assert ast.get_docstring(module.tree)
    assert module.lines <= LONGEST_MODULE
    for function in module.functions():
        # The options of a command stand in its signature.
        first = function.body[0].lineno if module.package == "cli" else function.lineno
        assert function.end_lineno is not None
        assert function.end_lineno - first < LONGEST_FUNCTION, function.name


def test_few_files_lie_at_the_top() -> None:
    assert len(files_at_the_top()) <= MOST_AT_THE_TOP


def test_the_structure_is_printed() -> None:
    printed = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "structure.py")], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert printed == report()
    assert [line.split(":")[0] for line in printed] == [
        "modules", "lines of a module", "files at the top", "circles", "late imports"
    ]  # fmt: skip
    assert "circles: 0" in printed


def folders() -> list[str]:
    return sorted(path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name[0] not in "_.")


def test_every_package_has_its_place_in_the_order() -> None:
    assert {*folders(), "errors", "__init__", "__main__"} == {*ORDER}


def test_the_readme_maps_every_folder_and_no_other() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    chapter = readme.split("## File map")[1].split("\n## ")[0]
    at_root, inside = (re.findall(rf"^ {{{indent}}}(\S+)/(?: |$)", chapter, flags=re.MULTILINE) for indent in (4, 6))
    assert len(re.findall(r"^ {4,6}\S", chapter, flags=re.MULTILINE)) == len(at_root) + len(inside), "only folders"
    assert inside == [name for name in ORDER if name in folders()]
    assert all((ROOT / name).is_dir() for name in at_root)
    assert {*at_root} == {"xa_search", "search_spaces", "label_maps", "cluster", "docs", "benchmarks", "tests"}


@pytest.mark.parametrize("package", folders())
def test_a_package_says_what_its_modules_are_for(package: str) -> None:
    said = ast.get_docstring(Module(PACKAGE / package / "__init__.py").tree) or ""
    found = [module for module in FOUND if module.package == package and module.path.name != "__init__.py"]
    registering = [module for module in found if module.path.stem in REGISTRIES and module.path.parent.name == package]
    registered = {one.name.split(".")[2] for module in registering for one in module.imports if package in one.name}
    files = {module.path.relative_to(PACKAGE).parts[1].removesuffix(".py") for module in found}
    named = {word.strip(",:.") for word in said.split()}
    assert files <= named | registered, f"not named: {', '.join(sorted(files - named - registered))}"


REGISTRIES = ("catalogue", "registry")
"""What these import needs no word in `__init__`: a registered thing is one new file and one import."""


def test_the_page_on_the_architecture_names_what_is_there() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    flow = page.split("to its left:")[1].split("\n\n")[1]
    assert tuple(re.findall(r"`(\w+)`", flow)) == tuple(name for name in ORDER if name[0] != "_")
    places = {place for place in re.findall(r"`([\w/]+\.(?:py|md))`", page) if not place.endswith("toy.py")}
    assert len(places) > len(REGISTRIES)
    assert not [place for place in places if not any((root / place).is_file() for root in (PACKAGE, ROOT))]
    assert (ROOT / "docs" / "architecture.svg").is_file()


def defined(module: Module) -> set[str]:
    """The names at the top of a module."""
    names = {one.name.rpartition(".")[2] for one in module.imports if not one.late}
    for node in module.tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    return names


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").rglob("*.py")), ids=lambda path: path.name)
def test_a_benchmark_imports_what_is_there(path: Path) -> None:
    known = {module.name: defined(module) for module in FOUND}
    for one in Module(path).imports:
        module, _, name = one.name.rpartition(".")
        if module.startswith("xa_search"):
            assert name in known.get(module, ()) or one.name in known, one.name
