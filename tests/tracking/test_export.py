"""An exported model answers as `predict` does, where there is no xa-search."""

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from xa_search.errors import UsageError
from xa_search.records import TrialJob
from xa_search.tracking.bundle import load_bundle, write_bundle
from xa_search.tracking.export import MODULES, export_bundle, standing_alone
from xa_search.tracking.standalone import slots_of

MakeTrial = Callable[..., tuple[TrialJob, Path]]
WORDS = (
    *(
        "clean",
        "the",
        "kitchen",
        "putze",
        "Küche",
        "เปิดไฟในครัว",
        "7:30",
        "</s>",
        "<unk>",
        "電気をつけて",
        "झाड़ू",
        "लगाओ",
    ),
    *("\u200b", "no\u00a0break", "cafe\u0301", "x" * 90, "क्\u200dष", "Ωμέγα", "（１２）", "|||", "🎵👍🏽", "."),
)
ASK = """
import json, sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("xa_search", "mlflow", "ray", "optuna", "seqeval", "datasets", "pydantic"):
            raise ImportError(f"{name} is not installed")
sys.meta_path.insert(0, Hidden())
sys.path.insert(0, sys.argv[1])
from model import ExportedModel
texts = json.load(sys.stdin)
json.dump(ExportedModel().predict(texts), sys.stdout)
"""


def texts_of_every_kind(count: int) -> list[str]:
    chosen = random.Random(7)
    return ["", " \u200b ", *(" ".join(chosen.choices(WORDS, k=chosen.randint(1, 9))) for _ in range(count - 2))]


def test_it_answers_as_predict_does_without_this_program(make_trial: MakeTrial, tmp_path: Path) -> None:
    texts = texts_of_every_kind(200)
    job, weights = make_trial(texts=None)
    write_bundle(job, weights, tmp_path / "bundle", {"search_id": "rooms"})
    files = {path.name for path in export_bundle(tmp_path / "bundle", tmp_path / "exported")}
    assert {
        "model.py",
        "labels.json",
        "heads.safetensors",
        "model.safetensors",
        "config.json",
        "tokenizer.json",
    } < files
    asked = subprocess.run(
        [sys.executable, "-I", "-c", ASK, str(tmp_path / "exported")],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert asked.returncode == 0, asked.stderr
    found, expected = json.loads(asked.stdout), load_bundle(tmp_path / "bundle").answer(texts)
    assert any(answer["slots"] for answer in expected)
    for text, mine, other in zip(texts, found, expected, strict=True):
        assert mine["intent_probability"] == pytest.approx(other["intent_probability"], abs=1e-3), text
        assert _without_probabilities(mine) == _without_probabilities(other), text


def _without_probabilities(answer: dict[str, object]) -> object:
    slots = answer["slots"]
    assert isinstance(slots, list)
    return answer["intent"], [{name: value for name, value in slot.items() if name != "probability"} for slot in slots]


def test_what_is_exported_imports_nothing_of_this_program() -> None:
    for module in MODULES:
        source = standing_alone(module)
        assert "from xa_search" not in source
        assert "import xa_search" not in source
        compile(source, module, "exec")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="something lies there already") as caught:
        export_bundle(tmp_path / "bundle", tmp_path)
    assert "\n" not in str(caught.value)


@given(st.lists(st.sampled_from(["O", "B-room", "I-room", "B-time", "I-time"]), max_size=12))
def test_slots_are_those_of_seqeval(tags: list[str]) -> None:
    text = " ".join("w" for _ in tags)
    places = [(2 * place, 2 * place + 1) for place in range(len(tags))]
    found = slots_of(text, places, [(tag, 0.5) for tag in tags])
    assert [(slot["slot"], slot["start_word"], slot["end_word"]) for slot in found] == get_entities(tags)
