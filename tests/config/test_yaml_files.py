"""YAML as users write it: 1.2, with the line of what is wrong, and no key twice."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xa_search.claims.statements import read_literature
from xa_search.cluster.check import check_text
from xa_search.config.yaml_files import BrokenYamlError, dump_yaml, load_yaml
from xa_search.errors import UsageError
from xa_search.training.transfer import read_label_map
from xa_search.workflows.plan import make_plan

TWICE = {
    make_plan: "extends: mtop-mini\ntrials: 4\ntrials: 8\n",
    read_label_map: "intents: {on: lamp}\nslots:\n  room: place\n  room: spot\n",
    read_literature: "- system: VECO\n  corpus: pawsx\n  system: FILTER\n",
}


@pytest.mark.parametrize("read", TWICE, ids=lambda read: read.__name__)
def test_a_key_that_is_written_twice_is_an_error_with_its_line(read: Callable[[Any], object], tmp_path: Path) -> None:
    text = TWICE[read]
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    line = len(text.splitlines())
    with pytest.raises(
        UsageError, match=rf"^{path}:{line}: not valid YAML \(found duplicate key .*\); mend that line$"
    ):
        read(path if read is read_literature else str(path))


def test_every_key_that_a_cluster_file_repeats_is_a_fault() -> None:
    faults = check_text("provider: {type: aws}\nmax_workers: 1\nmax_workers: 2\nauth: {a: 1, a: 2}\n").faults
    assert [fault.line for fault in faults if fault.rule == "duplicate-key"] == [3, 4]


@pytest.mark.parametrize(
    ("text", "value"),
    [("1.0e-6", 1e-6), ("1e-4", 1e-4), ("5E-5", 5e-5), ("2e-5", 2e-5), ("no", "no"), ("off", "off"), ("12", 12)],
)
def test_numbers_and_words_are_what_they_look_like(text: str, value: object, tmp_path: Path) -> None:
    found = load_yaml(f"a: {text}")["a"]
    assert (found, type(found)) == (value, type(value))


def test_a_language_called_no_and_a_rate_without_a_dot_make_a_plan(tmp_path: Path) -> None:
    space = tmp_path / "mine.yaml"
    space.write_text(
        "corpus: massive\ntargets: [da, no]\nparams: {learning_rate: {low: 1e-6, high: 1e-4, log: true}}\n"
        "published: {learning_rate: 2e-5}\nfixed: {model_size: tiny}\n"
    )
    found = make_plan(str(space), ("fixed.dropout=1e-1",), home=tmp_path).space
    assert found.targets == ("da", "no")
    assert (found.params["learning_rate"].low, found.published["learning_rate"]) == (1e-6, 2e-5)
    assert found.fixed["dropout"] == 0.1


@pytest.mark.parametrize(
    ("text", "line"), [("a: 1\nb: [\n", 2), ("a: 1\n---\nb: 2\n", 2), ("a: 2026-99-99\n", 1), ("a: \x01", 1)]
)
def test_what_is_no_yaml_is_said_in_one_line(text: str, line: int) -> None:
    with pytest.raises(BrokenYamlError) as caught:
        load_yaml(text)
    assert caught.value.line == line
    assert len(str(caught.value).splitlines()) == 1


def test_what_is_written_is_read_again() -> None:
    value = {"b": 1e-6, "a": ["no", "1e-4", "017", None, True, "1:30", "ไทย"], "c": {"z": {}, "y": []}}
    assert load_yaml(dump_yaml(value)) == value
    assert list(load_yaml(dump_yaml(value))) == ["b", "a", "c"]
