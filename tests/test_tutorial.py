"""The tutorial, the notebook and the site: all that they say can be typed. The proofs run them; here it is read."""

import ast
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
import typer
from ruamel.yaml import YAML

import xa_search
from xa_search.cli.main import app

ROOT = Path(__file__).resolve().parents[1]
TUTORIAL, NOTEBOOK = ROOT / "docs" / "tutorial.md", ROOT / "docs" / "first-search.ipynb"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> list[tuple[str, str]]:
    """The language and the text of each block of the tutorial."""
    return BLOCK.findall(TUTORIAL.read_text(encoding="utf-8"))


def commands() -> list[list[str]]:
    """The words of each line of the tutorial that calls this program, in blocks and in sentences."""
    text = TUTORIAL.read_text(encoding="utf-8")
    inline = re.findall(r"`(xa-search [^`]+)`", BLOCK.sub("", text))
    lines = [line for kind, block in blocks() if kind == "sh" for line in block.splitlines()]
    return [shlex.split(line) for line in [*lines, *inline] if line.startswith("xa-search ")]


def cells() -> list[str]:
    content = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in content["cells"] if cell["cell_type"] == "code"]


@pytest.mark.parametrize("words", commands(), ids=lambda words: " ".join(words[1:4]))
def test_every_command_of_the_tutorial_is_one(words: list[str]) -> None:
    """Its options and arguments are those that the command takes; nothing is run."""
    command: click.Command = typer.main.get_command(app)
    context, rest = click.Context(command, info_name="xa-search"), words[1:]
    while isinstance(command, click.Group) and not rest[0].startswith("-"):
        name, command, rest = command.resolve_command(context, rest)
        assert command is not None
        context = click.Context(command, info_name=name, parent=context)
    if rest != ["--version"]:
        command.parse_args(context, list(rest))


def test_the_code_of_the_tutorial_and_the_notebook_is_python() -> None:
    found = [text for kind, text in blocks() if kind == "python"]
    assert found
    for text in (*found, *cells()):
        ast.parse(text)
    names = re.findall(r"^from xa_search import (.+)$", "\n".join(cells()), re.MULTILINE)
    assert {name.strip() for line in names for name in line.split(",")} <= set(xa_search.__all__)


def test_the_site_names_every_page_once() -> None:
    nav = YAML(typ="safe").load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    named = [page for entry in nav for page in entry.values()]
    assert sorted(named) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))


def test_the_version_is_the_same_everywhere() -> None:
    citation = YAML(typ="safe").load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == xa_search.__version__


@pytest.mark.proof
def test_the_tutorial_runs_as_it_stands(tmp_path: Path) -> None:
    script = "set -e\n"
    for number, (kind, text) in enumerate(blocks()):
        if kind == "python":
            (tmp_path / f"{number}.py").write_text(text, encoding="utf-8")
            script += f"python {number}.py\n"
        else:
            script += text
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (tmp_path / "mine.html").exists()
    assert '"intent"' in ran.stdout


@pytest.mark.proof
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    monkeypatch.setenv("XA_SEARCH_HOME", str(tmp_path / "home"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert (tmp_path / "first.html").exists()


@pytest.mark.proof
def test_the_site_is_built(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    assert "load_model" in (tmp_path / "api" / "index.html").read_text(encoding="utf-8")
