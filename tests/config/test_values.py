"""Values as people write them in a search space: read as what their setting takes, or named before anything starts."""

from pathlib import Path

import pytest

from xa_search.errors import UsageError
from xa_search.records import TrialSettings
from xa_search.workflows.plan import make_plan
from xa_search.workflows.preflight import prepare_search

SPACE = "corpus: mtop-mini\ntargets: [de]\nparams:\n  learning_rate: {choices: [1e-4, 2e-4]}\n"


def plan_of(tmp_path: Path, text: str, *changes: str):
    (tmp_path / "own.yaml").write_text(text, encoding="utf-8")
    return make_plan(str(tmp_path / "own.yaml"), changes, home=tmp_path)


def test_choices_take_the_type_of_their_setting(tmp_path: Path) -> None:
    more = "  batch_size: {choices: ['16', 32]}\n  model_size: {choices: [tiny]}\nbaseline: {learning_rate: 1e-4}\n"
    space = plan_of(tmp_path, SPACE + more + "fixed: {dropout: '0.2'}\n").space
    assert space.params["learning_rate"].choices == (0.0001, 0.0002)
    assert space.params["batch_size"].choices == (16, 32)
    assert space.params["model_size"].choices == ("tiny",)
    assert (space.baseline, space.fixed) == ({"learning_rate": 0.0001}, {"dropout": 0.2})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("params.learning_rate={choices: [1e-4, fast]}", r"params.learning_rate.learning_rate: 'fast': .*; correct"),
        (
            "params.learning_rate={choices: 1e-4}",
            r"params.learning_rate.choices: 0.0001: a list is wanted; write \[0.0001\]",
        ),
        ("params.contrastive_weight={choices: [much, 0]}", r"params.contrastive_weight.*: 'much': .*; correct"),
        ("targets=de", r"targets: 'de': a list is wanted; write \[de\]"),
        ("targets=[de, false]", r"targets.1: False: a bare false is no word; quote it: 'false'"),
        ("targets=[false]", r"^\S+: targets.0: False: a bare false is no word; quote it: 'false'$"),
        ("source=false", r"source: False: a bare false is no word; quote it: 'false'"),
        ("unseen_languages=th", r"unseen_languages: 'th': a list is wanted; write \[th\]"),
        ("columns={text: utt}", r"columns: mtop-mini has columns of its own; remove `columns`, or write `corpus: own`"),
    ],
)
def test_a_wrong_value_is_named_before_anything_starts(tmp_path: Path, change: str, message: str) -> None:
    divided = "method: cross_aligner\nresources: {base: {gpus: 2}}\n" if "contrastive" in change else ""
    with pytest.raises(UsageError, match=message) as caught:
        plan_of(tmp_path, SPACE + divided, change)
    assert "\n" not in str(caught.value)


def test_columns_are_fields_of_a_row(tmp_path: Path) -> None:
    own = SPACE.replace("mtop-mini", "own")
    assert plan_of(tmp_path, own + "columns: {text: utt}\n").space.columns == {"text": "utt"}
    with pytest.raises(UsageError, match=r"columns.txt: no field of a row has this name; did you mean 'text'\?"):
        plan_of(tmp_path, own + "columns: {txt: utt}\n")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "cp1252"])
def test_a_space_in_another_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_bytes(("# für alle\n" + SPACE).encode(encoding))
    with pytest.raises(UsageError, match=r"own.yaml: not UTF-8.*; save it as UTF-8") as caught:
        make_plan(str(path), home=tmp_path)
    assert "\n" not in str(caught.value)
    path.write_bytes(("# für alle\n" + SPACE).encode("utf-8-sig"))
    assert make_plan(str(path), home=tmp_path).space.targets == ("de",)


def test_no_more_tokens_than_the_encoder_has_positions_for(tmp_path: Path) -> None:
    changes = ("params.model_size={choices: [tiny]}", "fixed.train_limit=20", "fixed.dev_limit=5", "fixed.max_tokens=")
    plan = plan_of(tmp_path, SPACE, *changes[:-1], f"{changes[-1]}513")
    with pytest.raises(UsageError, match=r"own: fixed.max_tokens: 513: the encoder tiny takes at most 512"):
        prepare_search(plan, ("tiny",), lambda _: None)
    assert prepare_search(plan_of(tmp_path, SPACE, *changes[:-1], f"{changes[-1]}512"), ("tiny",), lambda _: None)
    assert TrialSettings(max_tokens=513).max_tokens == 513  # other encoders have more positions
