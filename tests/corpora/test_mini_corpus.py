"""The bundled corpus itself: what its README and the design promise."""

from collections import Counter
from pathlib import Path

import pytest

from xa_search.corpora import check_corpus, open_corpus
from xa_search.corpora.mini import generate as generator
from xa_search.corpora.mini.generate import LANGUAGES, read_frames
from xa_search.records import SPLITS

FILES = {"train": "train.txt", "dev": "eval.txt", "test": "test.txt"}
EVERY = [(lang, split) for split in SPLITS for lang in LANGUAGES]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def corpus(home):
    return open_corpus("mtop-mini", source="en", targets=LANGUAGES[1:], data=None, home=home)


@pytest.fixture(scope="module")
def lines(home, corpus):
    """Give the raw columns by language and split."""
    folder = home / "corpora" / "mtop-mini"
    return {
        (lang, split): [
            line.split("\t") for line in (folder / lang / FILES[split]).read_text(encoding="utf-8").splitlines()
        ]
        for lang, split in EVERY
    }


def test_frames_are_many_and_wide():
    frames = read_frames()
    assert len({frame.key for frame in frames}) == len(frames) >= 250
    assert len({frame.intent for frame in frames}) >= 24
    assert len({name for frame in frames for name in frame.slot_types}) >= 20
    assert len({frame.domain for frame in frames}) >= 9


def test_sizes(lines):
    for lang, split in EVERY:
        assert len(lines[lang, split]) >= {"train": 1000, "dev": 150, "test": 300}[split]


def test_nothing_is_repaired_or_dropped(corpus):
    check = check_corpus(corpus)
    assert len(check.splits) == len(EVERY)
    for split in check.splits:
        assert (split.reasons, split.unseen_intents, split.unseen_slot_types) == ({}, (), ())
    assert all(pairs.missing == 0 and pairs.translations >= 1000 for pairs in check.translations)


def test_every_split_holds_every_intent(corpus):
    intents = [{utterance.intent for utterance in corpus.utterances("en", split)} for split in SPLITS]
    assert intents[0] == intents[1] == intents[2]


def test_rows_are_parallel(corpus):
    for split in SPLITS:
        english = list(corpus.utterances("en", split))
        for lang in LANGUAGES[1:]:
            for source, target in zip(english, corpus.utterances(lang, split), strict=True):
                assert (source.id, source.intent) == (target.id, target.intent)
                assert slots_of(source) == slots_of(target), (source, target)


def slots_of(utterance):
    return Counter(tag for tag in utterance.slots if tag.startswith("B-"))


def test_spans_and_text_match(corpus, lines):
    for lang, split in EVERY:
        for columns, utterance in zip(lines[lang, split], corpus.utterances(lang, split), strict=True):
            text = columns[3]
            assert text == text.strip()
            assert not set(text) & set("[]{}|\n")
            assert "  " not in text
            assert "".join(utterance.words) == text.replace(" ", "")
            for slot in filter(None, columns[2].split(",")):
                start, end, prefix, name = slot.split(":")
                value = text[int(start) : int(end)]
                assert value
                assert value == value.strip()
                assert (prefix, f"[SL:{name} " in columns[6]) == ("SL", True)
            assert columns[5] == f"{lang}_XX"


def test_no_utterance_twice_and_none_in_two_splits(lines):
    for lang in LANGUAGES:
        texts = [columns[3] for split in SPLITS for columns in lines[lang, split]]
        assert len(set(texts)) == len(texts)


def test_ids_are_unique_over_the_splits(lines):
    ids = [columns[0] for split in SPLITS for columns in lines["en", split]]
    assert len(set(ids)) == len(ids)


def test_no_frame_in_two_splits():
    splits = generator.split_frames(read_frames())
    keys = [frame.key for frames in splits.values() for frame in frames]
    assert len(set(keys)) == len(keys) == len(read_frames())
    assert all(splits.values())


def test_languages_are_written_in_their_scripts(lines):
    for lang, first, last in (("hi", "\u0900", "\u097f"), ("th", "\u0e00", "\u0e7f")):
        for split in SPLITS:
            for columns in lines[lang, split]:
                assert any(first <= character <= last for character in columns[3]), columns[3]


def test_the_same_bytes_every_time(home, corpus, tmp_path):
    generator.generate(tmp_path)
    for lang, split in EVERY:
        name = Path(lang) / FILES[split]
        assert (tmp_path / name).read_bytes() == (home / "corpora" / "mtop-mini" / name).read_bytes()


def test_generated_once_and_anew_when_the_frames_change(tmp_path, monkeypatch):
    folder = tmp_path / "corpora" / "mtop-mini"
    made = []
    monkeypatch.setattr(generator, "generate", lambda out: (made.append(out), (out / "en").mkdir(parents=True)))
    for _ in range(2):
        assert generator.generate_once(folder) == folder
    assert len(made) == 1
    (folder / "en" / "stale.txt").touch()
    monkeypatch.setattr(generator, "sources_hash", lambda: "other frames")
    generator.generate_once(folder)
    assert len(made) == 2
    assert [path.name for path in folder.parent.iterdir()] == ["mtop-mini"]
    assert not (folder / "en" / "stale.txt").exists()


def test_a_generation_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def fail(out):
        (out / "en").mkdir(parents=True)
        raise KeyboardInterrupt

    monkeypatch.setattr(generator, "generate", fail)
    with pytest.raises(KeyboardInterrupt):
        generator.generate_once(tmp_path / "corpora" / "mtop-mini")
    assert list((tmp_path / "corpora").iterdir()) == []
