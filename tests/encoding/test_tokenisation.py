"""Properties of word positions, over scripts and odd words, with a real fast tokenizer (the tiny encoder's)."""

import unicodedata
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xa_search.encoding.tokenisation import script_cuts, tokenise_running_text, tokenise_words
from xa_search.model.encoder import load_tokenizer, prepare_encoder

SENTENCES = [
    ["set", "an", "alarm", "for", "8:30"],
    ["stell", "mir", "einen", "Wecker"],
    ["सुबह", "7", "बजे", "जगाओ"],
    ["ตั้ง", "นาฬิกา", "ปลุก", "8", "นาที"],
    ["明日", "の", "七時", "に", "起こして"],
    ["أيقظني", "غدا"],
    ["", " ", "\u200b", "\ufeff", "……", "\u202f", "🎉"],
]
words = st.text(min_size=0, max_size=8)


@pytest.fixture(scope="module")
def tokenizer(shared_home: Path) -> Any:
    return load_tokenizer(prepare_encoder("tiny", shared_home).directory)


def assert_invariants(tokenised: Any, count: int, tokenizer: Any) -> None:
    assert len(tokenised.words) == count
    assert len(tokenised.positions) == count
    assert len(set(tokenised.positions)) == count
    assert list(tokenised.positions) == sorted(tokenised.positions)
    assert tokenised.input_ids[0] == tokenizer.cls_token_id
    assert tokenised.input_ids[-1] == tokenizer.sep_token_id
    assert all(0 < position < len(tokenised.input_ids) - 1 for position in tokenised.positions)


@pytest.mark.parametrize("sentence", SENTENCES, ids=lambda sentence: sentence[0] or "odd words")
def test_each_word_owns_exactly_one_scored_position(tokenizer: Any, sentence: list[str]) -> None:
    assert_invariants(tokenise_words(tokenizer, [sentence], 512)[0], len(sentence), tokenizer)


@settings(max_examples=150)
@given(sentence=st.lists(words, min_size=1, max_size=6))
def test_each_word_owns_one_position_whatever_the_words(tokenizer: Any, sentence: list[str]) -> None:
    assert_invariants(tokenise_words(tokenizer, [sentence], 512)[0], len(sentence), tokenizer)


@settings(max_examples=150)
@given(text=words)
def test_running_text_of_any_kind_has_a_position_a_word(tokenizer: Any, text: str) -> None:
    tokenised = tokenise_running_text(tokenizer, [text], 512)[0]
    assert_invariants(tokenised, len(tokenised.words), tokenizer)


def test_the_scored_position_is_not_a_bare_word_start(tokenizer: Any) -> None:
    tokenised = tokenise_words(tokenizer, [["alarm", "now"]], 512)[0]
    tokens = tokenizer.convert_ids_to_tokens(list(tokenised.input_ids))
    assert all(tokens[position] != "▁" for position in tokenised.positions)


def test_thai_words_are_tokenised_as_running_text(tokenizer: Any) -> None:
    by_words = tokenise_words(tokenizer, [["ตั้ง", "ปลุก"]], 512)[0]
    as_text = tokenise_running_text(tokenizer, ["ตั้งปลุก"], 512)[0]
    assert by_words.input_ids == as_text.input_ids


def test_words_beyond_the_limit_have_no_position_and_the_sentence_still_closes(tokenizer: Any) -> None:
    tokenised = tokenise_words(tokenizer, [["word"] * 40], 16)[0]
    assert len(tokenised.input_ids) <= 16
    assert tokenised.input_ids[-1] == tokenizer.sep_token_id
    assert len(tokenised.words) == 40
    assert 0 < len(tokenised.positions) < 40
    assert max(tokenised.positions) < len(tokenised.input_ids) - 1


def test_a_pair_is_read_as_the_encoders_own_pair(tokenizer: Any) -> None:
    expected = tokenizer("stop it", "go on")["input_ids"]
    assert expected.count(tokenizer.sep_token_id) == 3
    for tokenised in (
        tokenise_words(tokenizer, [["stop", "it", "|||", "go", "on"]], 512, pairs=True)[0],
        tokenise_running_text(tokenizer, ["stop it ||| go on"], 512, pairs=True)[0],
    ):
        assert list(tokenised.input_ids) == expected
        assert_invariants(tokenised, 5, tokenizer)


def test_the_mark_between_sentences_is_plain_text_where_there_are_slots(tokenizer: Any) -> None:
    for tokenised in (
        tokenise_words(tokenizer, [["a", "|||", "b"]], 512)[0],
        tokenise_running_text(tokenizer, ["a ||| b"], 512)[0],
    ):
        assert tokenised.input_ids[1:-1] == tuple(tokenizer("a ||| b", add_special_tokens=False)["input_ids"])
        assert tokenised.input_ids.count(tokenizer.sep_token_id) == 1


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("XสวัสดีY", ["X", "สวัสดี", "Y"]),
        ("明日7時", ["明日", "7", "時"]),
        ("ก\u200dข\u0301x", ["ก\u200dข\u0301", "x"]),
        ("now", ["now"]),
    ],
)
def test_words_are_cut_where_an_unspaced_script_meets_another_one(word: str, parts: list[str]) -> None:
    cuts = [0, *script_cuts(word), len(word)]
    assert [word[first:end] for first, end in pairwise(cuts)] == parts


def test_a_word_of_two_scripts_has_the_same_tokens_given_and_in_running_text(tokenizer: Any) -> None:
    (given,) = tokenise_words(tokenizer, [["明日7時に", "iPhoneを"]], 512)
    (running,) = tokenise_running_text(tokenizer, ["明日7時に iPhoneを"], 512)
    assert given.input_ids == running.input_ids
    assert len(given.positions) == 2
    assert running.words[-2:] == ("iPhone", "を")


def test_a_piece_of_an_unspaced_word_never_begins_with_a_vowel_sign(tokenizer: Any) -> None:
    text = "ตั้งนาฬิกาปลุกที่น้ำ"
    (found,) = tokenise_running_text(tokenizer, [text], 512)
    assert "".join(found.words) == text
    assert len(found.words) > 5
    assert not [word for word in found.words if unicodedata.category(word[0]).startswith("M")]
    assert [text[start:end] for start, end in found.places] == list(found.words)
