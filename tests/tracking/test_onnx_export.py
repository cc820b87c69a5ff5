"""An ONNX export answers as `predict` does, with onnxruntime in place of torch."""

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xa_search.encoding.table import EncodedRow
from xa_search.encoding.tokenisation import TokenisedWords, tokenise_running_text
from xa_search.model.decoding import decode, transition_scores
from xa_search.model.posterior import slot_probabilities
from xa_search.records import TrialJob
from xa_search.tracking.bundle import Bundle, load_bundle, write_bundle
from xa_search.tracking.export import ONNX_MODULES, standing_alone
from xa_search.tracking.onnx_export import GRAPH, export_onnx, quantise
from xa_search.tracking.standalone_onnx import Chain, best_tags, slots_of

MakeTrial = Callable[..., tuple[TrialJob, Path]]
TAGS = ("O", "B-room", "I-room", "B-time", "I-time")
WORDS = (
    *("clean", "the", "kitchen", "putze", "Küche", "เปิดไฟในครัว", "7:30", "</s>", "電気をつけて", "झाड़ू", "\u200b"),
    *("no\u00a0break", "cafe\u0301", "x" * 90, "Ωμέγα", "（１２）", "|||", "🎵👍🏽", "."),
)
ASK = """
import json, sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("xa_search", "mlflow", "ray", "optuna", "seqeval", "datasets", "pydantic"):
            raise ImportError(f"{name} is not installed")
sys.meta_path.insert(0, Hidden())
sys.path.insert(0, sys.argv[1])
from model_onnx import OnnxModel, tokenise_running_text
model, texts = OnnxModel(threads=1), json.load(sys.stdin)
answers = model.predict(texts)
rows = [row for row in tokenise_running_text(model.tokenizer, texts, model.labels["max_tokens"]) if row.words]
logits = [model.logits([row]) for row in rows]
assert "torch" not in sys.modules
json.dump([answers, [[intents[0].tolist(), slots[0].tolist()] for intents, slots in logits]], sys.stdout)
"""
TOLERANCE = 1e-4
"""Of logits, whose order of magnitude is 1 to 10; docs/serving.md names it."""


def texts_of_every_kind(count: int) -> list[str]:
    chosen = random.Random(7)
    return ["", " \u200b ", *(" ".join(chosen.choices(WORDS, k=chosen.randint(1, 9))) for _ in range(count - 2))]


@pytest.fixture(scope="module")
def exported(make_trial: MakeTrial, tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Path]:
    job, weights = make_trial(texts=None)
    folder = tmp_path_factory.mktemp("onnx")
    write_bundle(job, weights, folder / "bundle", {"search_id": "rooms"})
    export_onnx(load_bundle(folder / "bundle"), folder / "bundle", folder / "fp32", int8=False)
    return load_bundle(folder / "bundle"), folder / "fp32"


def ask(folder: Path, texts: list[str]) -> tuple[list[dict[str, Any]], list[tuple[list[float], list[list[float]]]]]:
    command = [sys.executable, "-I", "-c", ASK, str(folder)]
    asked = subprocess.run(command, input=json.dumps(texts), capture_output=True, text=True, cwd=folder)
    assert asked.returncode == 0, asked.stderr
    answers, logits = json.loads(asked.stdout)
    return answers, logits


def without_probabilities(answer: dict[str, Any]) -> object:
    return answer["intent"], [{name: one[name] for name in one if name != "probability"} for one in answer["slots"]]


def test_it_answers_as_predict_does(exported: tuple[Bundle, Path]) -> None:
    bundle, folder = exported
    texts = texts_of_every_kind(200)
    answers, logits = ask(folder, texts)
    expected = bundle.answer(texts)
    assert any(answer["slots"] for answer in expected)
    for text, mine, other in zip(texts, answers, expected, strict=True):
        assert without_probabilities(mine) == without_probabilities(other), text
        assert mine["intent_probability"] == pytest.approx(other["intent_probability"], abs=1e-4), text
        for slot, same in zip(mine["slots"], other["slots"], strict=True):
            assert slot["probability"] == pytest.approx(same["probability"], abs=1e-4), text
    rows = [row for row in tokenise_running_text(bundle.tokenizer, texts, bundle.max_tokens) if row.words]
    known = [text for text, answer in zip(texts, expected, strict=True) if answer["intent"] is not None]
    assert len(rows) == len(known) == len(logits)
    for found in bundle.predictor.logits(rows_of(rows)):
        start = 0
        for place, of_intents, count in zip(found.places, found.intents, found.batch.word_counts, strict=True):
            intents, slots = logits[place]
            assert np.abs(of_intents.numpy() - np.array(intents)).max() < TOLERANCE
            of_words = found.slots[start : start + int(count)].numpy()
            assert np.abs(of_words - np.array(slots).reshape(of_words.shape)).max(initial=0) < TOLERANCE
            start += int(count)


def rows_of(tokenised: list[TokenisedWords]) -> list[EncodedRow]:
    return [
        EncodedRow(
            id="",
            words=list(row.words),
            input_ids=np.array(row.input_ids),
            positions=np.array(row.positions, dtype=np.int64),
            intent=None,
            slots=None,
        )
        for row in tokenised
    ]


def test_int8_is_smaller_and_answers_in_the_same_form(exported: tuple[Bundle, Path], tmp_path: Path) -> None:
    _, exact = exported
    shutil.copytree(exact, tmp_path / "int8")
    for left in (tmp_path / "int8").glob(f"{GRAPH}*"):
        left.unlink()
    quantise(exact / GRAPH, tmp_path / "int8" / GRAPH)
    sizes = [sum(path.stat().st_size for path in folder.glob(f"{GRAPH}*")) for folder in (exact, tmp_path / "int8")]
    assert sizes[1] < 0.6 * sizes[0]  # a quarter of larger models: this one's graph weighs as much as its weights
    texts = texts_of_every_kind(20)
    answers, _ = ask(tmp_path / "int8", texts)
    assert [sorted(answer) for answer in answers] == [["intent", "intent_probability", "slots"]] * len(texts)


def test_what_is_exported_imports_nothing_of_this_program() -> None:
    for module in ONNX_MODULES:
        source = standing_alone(module)
        assert "from xa_search" not in source
        compile(source, module, "exec")


@given(st.integers(0, 10**6), st.integers(1, 7), st.booleans())
def test_reading_without_torch_is_reading_with_it(seed: int, words: int, decodes: bool) -> None:
    numbers = np.random.default_rng(seed)
    logits = numbers.normal(size=(words, len(TAGS)), scale=2).astype(np.float32)
    scores = torch.zeros(len(TAGS) + 1, len(TAGS) + 1)
    tags = [int(tag) for tag in logits.argmax(-1)]
    if decodes:
        scores = transition_scores(np.array([0, 1, 2, 0, 3]), np.array([3, 2]), TAGS)
        tags = best_tags(logits, scores.numpy())
        assert tags == decode(torch.from_numpy(logits), torch.tensor([words]), scores, 1.0).tolist()
    places = [(2 * place, 2 * place + 1) for place in range(words)]
    chain = Chain(logits.astype(np.float64), scores.numpy().astype(np.float64))
    found = list(slots_of("w " * words, places, tags, TAGS, chain))
    expected = slot_probabilities(
        torch.from_numpy(logits), torch.tensor([words]), scores.double(), torch.tensor(tags), TAGS
    )
    for slot in found:
        assert slot["probability"] == pytest.approx(float(expected[slot["start_word"]]), abs=2e-6)
