"""Conditions in a search space: how they are written, and what is said of wrong ones."""

from pathlib import Path

import pytest

from xa_search.errors import UsageError
from xa_search.records import SearchSpace
from xa_search.workflows.plan import make_plan

SPACE = """
corpus: mtop-mini
targets: [de]
params:
  method:     {{choices: [zero_shot, xeroalign, cross_aligner]}}
  model_size: {{choices: [tiny, small]}}
  {line}
"""
RATES = """learning_rate:
    - {when: {model_size: tiny}, low: 1.0e-4, high: 1.0e-2, log: true}
    - {when: {model_size: [small]}, low: '1e-6', high: 1.0e-5, log: true}
"""


def read(tmp_path: Path, line: str, *changes: str) -> SearchSpace:
    path = tmp_path / "mine.yaml"
    path.write_text(SPACE.format(line=line), encoding="utf-8")
    return make_plan(str(path), changes, home=tmp_path).space


def test_conditions_are_read_from_a_file_and_from_the_command_line(tmp_path: Path) -> None:
    rate = read(tmp_path, RATES).params["learning_rate"]
    assert [(case.when, case.low) for case in rate.cases] == [
        ({"model_size": ("tiny",)}, 1e-4),
        ({"model_size": ("small",)}, 1e-6),
    ]
    weight = "params.contrastive_weight={low: 1, high: 9, when: {method: cross_aligner}}"
    changed = read(tmp_path, RATES, weight, "fixed.contrastive_weight=0.5")
    assert changed.params["contrastive_weight"].when == {"method": ("cross_aligner",)}
    # What the program writes of a space it reads again.
    assert SearchSpace.model_validate_json(changed.model_dump_json()) == changed


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("dropout: {low: 0.0, high: 0.3, when: {method: xeroaling}}", "did you mean 'xeroalign'?"),
        ("dropout: {low: 0.0, high: 0.3, when: {epochs: 3}}", "params.dropout: when: epochs is not searched; valid: "),
        (
            "dropout: {low: 0.0, high: 0.3, wenn: {method: xeroalign}}",
            "dropout.wenn: unknown key; did you mean 'when'?",
        ),
        ("dropout: [{low: 0.0, high: 0.3}, {low: 0.1, high: 0.2}]", "number 1 of its ranges has no `when`; a later"),
        ("dropout: [{low: 0.3, high: 0.1, when: {method: xeroalign}}]", "empty range: low 0.3 is not below high 0.1"),
        ("dropout: [{low: 0.3, hihg: 0.4}]", "params.dropout.0.hihg: unknown key; did you mean 'high'?"),
        (
            "dropout: [{low: 0.1, high: 0.2, when: {method: xeroalign}}, {choices: [0], when: {method: zero_shot}}]",
            "its cases are ranges and choices",
        ),
    ],
)
def test_a_wrong_condition_is_named_with_what_to_write(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, line)
    assert said in str(caught.value)
    assert str(caught.value).count("\n") <= 1


def test_a_fixed_recipe_lies_in_the_range_of_its_own_case(tmp_path: Path) -> None:
    published = "published={model_size: small, learning_rate: 1.0e-3}"
    with pytest.raises(UsageError, match=r"published\.learning_rate: 0\.001 lies outside"):
        read(tmp_path, RATES, published)
    assert read(tmp_path, RATES, published, "published.model_size=tiny").published["model_size"] == "tiny"


def test_every_trial_has_a_size(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="every trial has a model_size"):
        read(tmp_path, "dropout: {choices: [0.1]}", "params.model_size={choices: [tiny], when: {method: xeroalign}}")
