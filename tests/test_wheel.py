"""The wheel holds all that comes with the program, and finds it wherever it is installed."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from xa_search import __version__
from xa_search.config.plan import space_names
from xa_search.config.shipped import LABEL_MAPS, PACKAGE
from xa_search.search.node_check import code_hash

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "constraints.txt", "search_spaces", "label_maps", "xa_search")
NOT_SOURCES = shutil.ignore_patterns("__pycache__", "*.egg-info")
BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
LOOK = """
import json, sys
from xa_search.cli.main import app
from xa_search.cluster.software_rules import locked_versions
from xa_search.config.plan import space_names
from xa_search.config.shipped import PACKAGE
from xa_search.search.node_check import code_hash
from xa_search.training.transfer import LABEL_MAPS, read_label_map

for space in sys.argv[1:]:
    app(["run", space, "--dry-run", "--home", "nowhere"], standalone_mode=False)
maps = [path.stem for path in LABEL_MAPS.glob("*.yaml") if read_label_map(path.stem).intents]
found = {"package": str(PACKAGE), "code": code_hash(), "spaces": space_names(), "maps": maps}
print(json.dumps(found | {"locked": locked_versions()}), file=sys.stderr)
"""


def run_python(arguments: list[str], path: list[Path], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python without what is installed in its environment but for the libraries: `path` has the program."""
    libraries = [*path, Path(sysconfig.get_path("purelib"))]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, libraries)), "COLUMNS": "200"}
    command = [sys.executable, "-S", *arguments]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, folder / "source" / name, ignore=NOT_SOURCES)
        else:
            (folder / "source").mkdir(exist_ok=True)
            shutil.copy(path, folder / "source" / name)
    built = run_python(["-c", BUILD, str(folder)], [], folder / "source")
    assert built.returncode == 0, built.stderr
    return folder / f"xa_search-{__version__}-py3-none-any.whl"


@pytest.mark.parametrize(("where", "planned"), [("--target", space_names()), ("--prefix", ["mtop"])])
def test_an_installed_wheel_finds_all_that_comes_with_the_program(
    wheel: Path, where: str, planned: list[str], tmp_path: Path
) -> None:
    """Every space is planned once: that takes seconds, as a step of a corpus at hand is timed for it."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    # Else pip would first remove the program from the environment that the tests run in.
    elsewhere = ["--ignore-installed", where, str(tmp_path / "there")]
    subprocess.run([*pip, *elsewhere, str(wheel)], check=True, capture_output=True)
    (package,) = (tmp_path / "there").rglob("xa_search/__init__.py")
    looked = run_python(["-c", LOOK, *planned], [package.parents[1]], tmp_path)
    assert looked.returncode == 0, looked.stderr
    found = json.loads(looked.stderr.splitlines()[-1])
    assert found["package"] == str(package.parent)
    assert found["spaces"] == space_names()
    assert all(space in looked.stdout for space in planned)
    assert found["maps"] == [path.stem for path in LABEL_MAPS.glob("*.yaml")]
    assert "ray" in found["locked"]
    assert found["code"] == code_hash()


def test_a_checkout_that_is_not_installed_finds_it_too(tmp_path: Path) -> None:
    dry_run = ["-m", "xa_search", "run", "mtop", "--dry-run", "--home", str(tmp_path)]
    looked = run_python(dry_run, [PACKAGE.parent], tmp_path)
    assert looked.returncode == 0, looked.stderr
    assert "mtop" in looked.stdout
