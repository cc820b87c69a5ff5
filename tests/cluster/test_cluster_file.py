"""The cluster files pass their own check and Ray's, and agree with each other."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from xa_search import __version__
from xa_search.cluster.check import check_file

CLUSTER = Path(__file__).resolve().parents[2] / "cluster"
FILES = sorted(CLUSTER.glob("*.yaml"))


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_there_is_a_file_for_each_way_to_get_machines() -> None:
    assert [path.name for path in FILES] == ["gpu.yaml", "kuberay.yaml", "onprem.yaml"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_shipped_file_has_no_fault_and_says_what_to_replace(path: Path) -> None:
    report = check_file(path)
    assert report.faults == ()
    lines = path.read_text(encoding="utf-8").splitlines()
    assert report.examples
    assert all(example.value in lines[example.line - 1] for example in report.examples)


@pytest.mark.parametrize("name", ["gpu.yaml", "onprem.yaml"])
def test_rays_own_validation_takes_a_launcher_file(name: str) -> None:
    validate_config(prepare_config(read(CLUSTER / name)))


def test_all_files_install_one_python_and_one_wheel() -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in (*FILES, CLUSTER / "Dockerfile")}
    pythons = {found for text in texts.values() for found in re.findall(r"python[ :](3\.\d+\.\d+)", text)}
    assert len(pythons) == 1
    wheels = {name: set(re.findall(r"xa_search-[\w.-]+\.whl", text)) for name, text in texts.items()}
    images = {found for text in texts.values() for found in re.findall(r"/xa-search:([\w.-]+)", text)}
    built = {f"xa_search-{__version__}-py3-none-any.whl"}
    assert wheels == {"gpu.yaml": built, "onprem.yaml": built, "Dockerfile": built, "kuberay.yaml": set()}
    assert images == {__version__}
