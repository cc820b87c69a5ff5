"""What an earlier version stored under other names is read, and its searches keep their names."""

from pathlib import Path

from xa_search.records.stored import stored_settings, with_first_names, with_new_names
from xa_search.workflows.plan import make_plan


def test_a_stored_space_is_read_under_new_names_and_named_by_the_first() -> None:
    stored = {"corpus": "mtop", "held_out": ["hi"], "fixed": {"held_out": 0.2, "epochs": 3}, "params": {"dropout": {}}}
    renamed = {
        "corpus": "mtop",
        "unseen_languages": ["hi"],
        "fixed": {"validation_fraction": 0.2, "epochs": 3},
        "params": {"dropout": {}},
    }
    assert with_new_names(stored) == renamed
    assert with_new_names(renamed) == renamed
    assert with_first_names(renamed) == stored


def test_stored_settings_are_read_under_either_name() -> None:
    assert stored_settings({"held_out": 0.3}).validation_fraction == 0.3
    assert stored_settings({"validation_fraction": 0.3}).validation_fraction == 0.3


def test_a_search_that_was_begun_under_the_first_names_is_resumed(tmp_path: Path) -> None:
    """The same lines in an earlier version, which wrote `held_out`, gave this name."""
    lines = "{corpus: mtop-mini, targets: [de, th], params: {learning_rate: {low: 1.0e-5, high: 1.0e-3}}}"
    (tmp_path / "toy.yaml").write_text(lines)
    changes = ("unseen_languages=[hi]", "fixed.validation_fraction=0.2")
    assert make_plan(str(tmp_path / "toy.yaml"), changes, home=tmp_path).search_id == "toy-dd36ca81"
