import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from xa_search.errors import ModelError
from xa_search.records import TrialJob
from xa_search.tracking.bundle import load_bundle, parse_slots, trial_bundle, write_bundle

MakeTrial = Callable[..., tuple[TrialJob, Path]]
KNOWN = ("clean the kitchen", "putze die Küche", "เปิดไฟในครัว", "wake me up at 7", "")
UNKNOWN = ("झाड़ू लगाओ", "電気をつけて", "打开厨房的灯", "Ωμέγα quux 42", "x" * 300)


@pytest.mark.parametrize("texts", [KNOWN, None], ids=["trimmed", "full"])
def test_the_bundle_answers_exactly_as_the_trials_model(
    make_trial: MakeTrial, tmp_path: Path, texts: tuple[str, ...] | None
) -> None:
    job, weights = make_trial(texts=texts)
    write_bundle(job, weights, tmp_path / "bundle", {"search_id": "rooms"})
    bundle, trial = load_bundle(tmp_path / "bundle"), trial_bundle(job, weights)
    answers = bundle.predict([*KNOWN, *UNKNOWN])
    assert answers == trial.predict([*KNOWN, *UNKNOWN])
    assert any(answer.slots for answer in answers)
    assert bundle.provenance == {"search_id": "rooms"}
    rows = zip(bundle.predictor.model.state_dict().items(), trial.predictor.model.state_dict().values(), strict=True)
    for (name, here), there in rows:
        assert torch.equal(here, there), name


def test_a_model_of_pairs_answers_with_a_label_and_no_slots(make_trial: MakeTrial, tmp_path: Path) -> None:
    pairs = ("go now ||| now go", "geh jetzt ||| 電気をつけて。abc")
    job, weights = make_trial(texts=None, slot_tags=("O",))
    write_bundle(job, weights, tmp_path / "bundle", {})
    bundle = load_bundle(tmp_path / "bundle")
    answers = bundle.predict(pairs)
    assert answers == trial_bundle(job, weights).predict(pairs)
    assert [answer.record()["slots"] for answer in answers] == [[], []]
    words = [prediction.intent_probability for prediction in bundle.parse_words([pair.split() for pair in pairs])]
    assert [answer.intent_probability for answer in answers] == pytest.approx(words, abs=1e-6)
    assert answers[0].intent_probability != bundle.predict(["go now now go"])[0].intent_probability


def test_a_bundle_made_before_there_was_a_decoder_answers_word_by_word(make_trial: MakeTrial, tmp_path: Path) -> None:
    job, weights = make_trial()
    write_bundle(job, weights, tmp_path / "bundle", {})
    legal = [tag for answer in load_bundle(tmp_path / "bundle").predict(KNOWN) for tag in ("O", *answer.tags)]
    assert all(one[2:] == tag[2:] for one, tag in pairwise(legal) if tag.startswith("I-"))
    heads = load_file(tmp_path / "bundle" / "heads.safetensors")
    kept = {name: tensor for name, tensor in heads.items() if name.startswith(("intent_head", "slot_head"))}
    assert heads.keys() - kept.keys() == {"decoder.transitions", "decoder.weight", "temperatures"}
    save_file(kept, tmp_path / "bundle" / "heads.safetensors")
    older = load_bundle(tmp_path / "bundle")
    model, tokens = older.predictor.model, older.tokenizer(KNOWN[0])["input_ids"]
    assert model.decoder is None
    assert model.temperatures.tolist() == [1.0, 1.0]
    assert len(older.predict(KNOWN)[0].tags) <= len(tokens)


def test_every_answer_is_whole(make_trial: MakeTrial, tmp_path: Path) -> None:
    job, weights = make_trial()
    write_bundle(job, weights, tmp_path / "bundle", {})
    for text, answer in zip(
        [*KNOWN, *UNKNOWN], load_bundle(tmp_path / "bundle").predict([*KNOWN, *UNKNOWN]), strict=True
    ):
        assert answer.intent in job.corpus.intents if text else answer.intent is None
        assert 1 / 3 <= answer.intent_probability <= 1 if text else answer.intent_probability == 0
        assert len(answer.tags) == len(answer.words)
        for slot in answer.slots:
            assert slot.text
            assert 0 < slot.probability <= 1
            assert slot.text == text[slot.start : slot.end]
            assert answer.tags[slot.first_word].endswith(slot.type)
        assert json.loads(json.dumps(answer.record())) == answer.record()
    assert load_bundle(tmp_path / "bundle").predict([]) == []


def test_a_bundle_needs_nothing_outside_it(make_trial: MakeTrial, tmp_path: Path) -> None:
    job, weights = make_trial()
    write_bundle(job, weights, tmp_path / "bundle", {})
    expected = load_bundle(tmp_path / "bundle").predict(KNOWN)
    (tmp_path / "bundle").rename(tmp_path / "elsewhere")
    assert load_bundle(tmp_path / "elsewhere").predict(KNOWN) == expected
    files = {path.name for path in (tmp_path / "elsewhere").iterdir()}
    assert {"config.json", "model.safetensors", "heads.safetensors", "tokenizer.json", "bundle.json"} <= files
    assert not {name for name in files if name.endswith((".bin", ".pkl", ".pt", ".part"))}


def test_a_damaged_bundle_says_so(make_trial: MakeTrial, tmp_path: Path) -> None:
    job, weights = make_trial()
    write_bundle(job, weights, tmp_path / "bundle", {})
    card = tmp_path / "bundle" / "bundle.json"
    text = card.read_text()
    card.write_text(text.replace(job.encoder.tokenizer_fingerprint, "0" * 64))
    with pytest.raises(ModelError, match=r"pip install transformers=="):
        load_bundle(tmp_path / "bundle")
    card.write_text(text[:50])
    with pytest.raises(ModelError, match="no complete model"):
        load_bundle(tmp_path / "bundle")


@pytest.mark.parametrize(
    ("text", "words", "tags", "expected"),
    [
        ("wake me at 7:30  am", "wake me at 7:30 am", "O O O B-time I-time", ["7:30  am"]),
        ("เปิดไฟ ในครัว", "เปิด ไฟ ใน ครัว", "O B-thing I-thing B-room", ["ไฟ ใน", "ครัว"]),
        ("aa a", "aa a", "O B-x", ["a"]),
        ("a b", "a b", "I-x O", ["a"]),
        ("", "", "", []),
    ],
)
def test_slots_keep_the_text_as_it_was_written(text: str, words: str, tags: str, expected: list[str]) -> None:
    places, end = [], 0
    for word in words.split():
        start = text.index(word, end)
        end = start + len(word)
        places.append((start, end))
    found = parse_slots(text, places, tags.split(), [0.5] * len(places))
    assert [slot.text for slot in found] == [text[slot.start : slot.end] for slot in found] == expected


def test_the_labels_of_an_older_bundle_are_compared_cleaned(make_trial: MakeTrial, tmp_path: Path) -> None:
    job, weights = make_trial()
    write_bundle(job, weights, tmp_path / "bundle", {})
    card = tmp_path / "bundle" / "bundle.json"
    card.write_text(card.read_text().replace('"clean"', '"cle\\u200ban"').replace('"B-room"', '"B-ro\\u200bom"'))
    labels = load_bundle(tmp_path / "bundle").predictor.corpus
    assert (labels.intents, labels.slot_tags) == (job.corpus.intents, job.corpus.slot_tags)


def test_marks_that_a_corpus_loses_change_no_answer(make_trial: MakeTrial, tmp_path: Path) -> None:
    job, weights = make_trial(texts=None)
    plain = "wake me up at 7 in the café"
    marked = "\ufeffwake\u00a0me\u200b up\u202fat 7 in the cafe\u0301"
    first, second = trial_bundle(job, weights).predict([plain, marked])
    assert (second.words, second.tags, second.intent) == (first.words, first.tags, first.intent)
    assert second.intent_probability == pytest.approx(first.intent_probability, abs=1e-5)
