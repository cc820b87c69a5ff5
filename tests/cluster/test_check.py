"""The check finds each defect on its line, takes what is good in other words, and never falls over."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as some
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from cluster_check import Broken, broken_clusters

from xa_search.cli.main import app
from xa_search.cluster.check import RULES, check_text
from xa_search.cluster.document import read_document
from xa_search.config.yaml_files import BrokenYamlError

CLUSTER = Path(__file__).resolve().parents[2] / "cluster"
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in CLUSTER.glob("*.yaml")}
BROKEN = broken_clusters()


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.defect)
def test_a_defect_is_found_on_its_line_and_nothing_else_is(broken: Broken) -> None:
    faults = check_text(broken.text).faults
    assert (broken.rule, broken.line) in {(fault.rule, fault.line) for fault in faults}
    assert {fault.rule for fault in faults} <= {broken.rule, *broken.also}
    assert all(fault.what and fault.fix and "\n" not in fault.what + fault.fix for fault in faults)


def test_every_rule_has_a_broken_file() -> None:
    assert {rule.name for rule in RULES} <= {broken.rule for broken in BROKEN}
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_all_faults_come_at_once_and_in_order() -> None:
    text = TEXTS["gpu.yaml"]
    for broken in BROKEN:
        if broken.defect in ("one zone", "a GPU machine as head", "another Ray", "a dashboard for all"):
            text = text.replace(broken.old, broken.new, 1)
    faults = check_text(text).faults
    assert [fault.rule for fault in faults] == ["zones", "head-gpu", "versions", "open-port"]
    assert [fault.line for fault in faults] == sorted(fault.line for fault in faults)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("gpu.yaml", "{Name: xa-search-head}", "{Arn: 'arn:aws:iam::123456789012:instance-profile/search'}"),
        ("gpu.yaml", "SecurityGroupIds: [sg-0123456789abcdef0]", "NetworkInterfaces: [{Groups: [sg-1], SubnetId: s}]"),
        ("gpu.yaml", "mount -t s3files fs-0123456789abcdef0:/", "mount -t efs -o tls fs-0123456789abcdef0:/"),
        ("gpu.yaml", "~/env/bin/ray stop", "~/env/bin/ray stop --force"),
        ("gpu.yaml", "auth:\n", "file_mounts: {~/.ray/auth_token: ~/.ray/auth_token}\nauth:\n"),
        ("gpu.yaml", "'ray==2.60.0'", "'ray[default]==2.60.0'"),
        ("gpu.yaml", "x @ x", "torch.matmul(x, x)"),
        ("gpu.yaml", "worker_setup_commands:\n", "worker_setup_commands:\n  - export HF_TOKEN=$(cat ~/.hf)\n"),
        ("onprem.yaml", "max_workers: 2\n", "max_workers: 2\nmin_workers: 2\n"),
        ("kuberay.yaml", "xa-search:0.2.0", f"xa-search@sha256:{'0' * 64}"),
        ("kuberay.yaml", "value: /mnt/xa-search/home", "value: /mnt/xa-search"),
        ("kuberay.yaml", "entrypoint: xa-search run mtop", "entrypoint: xa-search run mtop --trials 60"),
    ],
)
def test_what_is_good_in_other_words_is_taken(name: str, old: str, new: str) -> None:
    assert old in TEXTS[name]
    assert check_text(TEXTS[name].replace(old, new)).faults == ()


def test_a_merged_mapping_counts_where_it_is_merged() -> None:
    root = read_document("base: &base {a: 1, b: 2}\nmine:\n  <<: *base\n  b: 3\n")
    assert root.at("mine").value == {"a": 1, "b": 3}
    assert root.at("mine", "b").line == 4
    assert root.at("mine", "missing", "deep").line == 2


@pytest.mark.parametrize(
    ("text", "line"),
    [("a: 1\nb: [\n", 2), ("a: &x [*x]", 1), ("a: 1\n---\nb: 2\n", 2), ("a: 1\nb: 2026-99-99\n", 2), ("? [a]\n: 1", 1)],
)
def test_what_is_no_yaml_is_said_with_its_line(text: str, line: int) -> None:
    with pytest.raises(BrokenYamlError) as error:
        read_document(text)
    assert error.value.line == line


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, part in inner for found in places(part, (*path, key)))]


@settings(max_examples=60)
@given(data=some.data(), name=some.sampled_from(sorted(TEXTS)))
def test_any_value_anywhere_is_a_fault_or_none_but_never_a_crash(data: some.DataObject, name: str) -> None:
    document = yaml.safe_load(TEXTS[name])
    path = data.draw(some.sampled_from(places(document)))
    strange = data.draw(some.sampled_from([None, True, -1, 0.5, "", "x", [], [[]], [None], {}, {"a": None}, {"1": []}]))
    if not path:
        document = strange
    else:
        *before, last = path
        place = document
        for step in before:
            place = place[step]
        place[last] = strange
    check_text(yaml.safe_dump(document))


def test_the_command_prints_a_line_a_fault_and_ends_with_two(tmp_path: Path) -> None:
    broken = next(broken for broken in BROKEN if broken.defect == "one zone")
    path = tmp_path / "mine.yaml"
    path.write_text(broken.text, encoding="utf-8")
    result = CliRunner().invoke(app, ["cluster", "check", str(path)])
    assert result.exit_code == 2
    first = result.output.splitlines()[0]
    assert first.startswith(f"{path}:{broken.line}: zones: 1 zone")
    assert "write availability_zone: us-east-1a,us-east-1b" in first
    answer = json.loads(CliRunner().invoke(app, ["cluster", "check", str(path), "--json"]).output)
    assert not answer["ok"]
    assert answer["faults"][0].keys() == {"line", "rule", "what", "fix"}


def test_the_command_says_ok_and_ends_with_zero() -> None:
    result = CliRunner().invoke(app, ["cluster", "check", str(CLUSTER / "gpu.yaml")])
    assert result.exit_code == 0
    assert "gpu.yaml: ok" in result.output.splitlines()[-1]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["cluster", "check", str(tmp_path / "none.yaml")])
    assert "none.yaml" in str(result.exception)
    assert "cluster/gpu.yaml" in str(result.exception)
