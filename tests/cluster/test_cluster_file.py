"""The cluster files pass their own check and Ray's, and agree with each other."""

import json
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


def test_the_claim_is_the_one_that_the_pods_mount() -> None:
    claim, job = read(CLUSTER / "kuberay" / "claim.yaml"), read(CLUSTER / "kuberay.yaml")
    cluster = job["spec"]["rayClusterSpec"]
    pods = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    volumes = [volume for pod in pods for volume in pod["template"]["spec"]["volumes"]]
    names = {volume["persistentVolumeClaim"]["claimName"] for volume in volumes if "persistentVolumeClaim" in volume}
    assert names == {claim["metadata"]["name"]}
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    user = re.search(r"useradd --uid (\d+)", (CLUSTER / "Dockerfile").read_text(encoding="utf-8"))
    assert user is not None
    assert {pod["template"]["spec"]["securityContext"]["fsGroup"] for pod in pods} == {int(user[1])}


def test_the_heads_rights_let_it_start_spot_machines_in_a_new_account() -> None:
    policy = json.loads((CLUSTER / "aws" / "head_policy.json").read_text(encoding="utf-8"))
    granted = {
        action: one for one in policy["Statement"] for action in [*one["Action"]] if isinstance(one["Action"], list)
    }
    granted |= {one["Action"]: one for one in policy["Statement"] if isinstance(one["Action"], str)}
    assert {"ec2:RunInstances", "ec2:TerminateInstances", "ec2:CreateTags", "iam:PassRole"} <= granted.keys()
    spot = granted["iam:CreateServiceLinkedRole"]
    assert spot["Condition"] == {"StringEquals": {"iam:AWSServiceName": "spot.amazonaws.com"}}
    types = read(CLUSTER / "gpu.yaml")["available_node_types"]
    profiles = {name: one["node_config"]["IamInstanceProfile"]["Name"] for name, one in types.items()}
    assert profiles.pop("head") == "xa-search-head"
    assert {f"arn:aws:iam::*:role/{name}" for name in profiles.values()} <= {*granted["iam:PassRole"]["Resource"]}


def test_all_files_install_one_python_and_one_wheel() -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in (*FILES, CLUSTER / "Dockerfile")}
    pythons = {found for text in texts.values() for found in re.findall(r"python[ :](3\.\d+\.\d+)", text)}
    assert len(pythons) == 1
    wheels = {name: set(re.findall(r"xa_search-[\w.-]+\.whl", text)) for name, text in texts.items()}
    images = {found for text in texts.values() for found in re.findall(r"/xa-search:([\w.-]+)", text)}
    built = {f"xa_search-{__version__}-py3-none-any.whl"}
    assert wheels == {"gpu.yaml": built, "onprem.yaml": built, "Dockerfile": built, "kuberay.yaml": set()}
    assert images == {__version__}
