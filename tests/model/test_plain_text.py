"""Whatever a text says is plain text to the tokenizers: the tiny encoder's, and E5's with its normaliser."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xa_search.corpora.text import clean_words
from xa_search.encoding.tokenisation import tokenise_running_text, tokenise_words
from xa_search.model.encoder import load_tokenizer
from xa_search.records import EncoderFiles

SPECIAL = ("<s>", "</s>", "<pad>", "<mask>", "<unk>")
WIDE = tuple(name.translate({ord(mark): ord(mark) + 0xFEE0 for mark in "<>/"}) for name in SPECIAL)
PIECES = st.sampled_from(
    [*SPECIAL, *WIDE, "<", ">", "/s>", "|||", " ", "\u00a0", "a", "ไฟ", "電気", "\u200d", "\u0301"]
)
TEXTS = st.lists(PIECES | st.text(max_size=3), max_size=8).map("".join)


@pytest.fixture(params=["tiny", "small"])
def tokenizer(request: pytest.FixtureRequest) -> Any:
    files: EncoderFiles = request.getfixturevalue(request.param)
    return load_tokenizer(files.directory)


def special_inside(tokenizer: Any, ids: tuple[int, ...]) -> set[int]:
    return set(ids[1:-1]) & (set(tokenizer.all_special_ids) - {tokenizer.unk_token_id})


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXTS)
def test_no_text_makes_a_special_token(tokenizer: Any, text: str) -> None:
    (running,) = tokenise_running_text(tokenizer, [text], 512)
    (given_words,) = tokenise_words(tokenizer, [clean_words(text)], 512)
    assert running.input_ids == given_words.input_ids
    assert not special_inside(tokenizer, running.input_ids)
    assert len(running.positions) == len(running.words) == len(running.places)
    for word, (start, end) in zip(running.words, running.places, strict=True):
        assert clean_words(text[start:end]) == (word,)


@pytest.mark.parametrize("name", SPECIAL)
def test_the_name_of_a_special_token_is_plain_text(tokenizer: Any, name: str) -> None:
    """Also inside a word, and in the full width that E5's normaliser makes ASCII of."""
    for text in (name, f"a{name}b", name * 3, f"go {name} on"):
        (found,) = tokenise_running_text(tokenizer, [text], 512)
        assert not special_inside(tokenizer, found.input_ids)
        assert tokenizer.unk_token_id not in found.input_ids
        spelt = "".join(tokenizer.convert_ids_to_tokens(list(found.input_ids[1:-1]))).replace("▁", "")
        assert spelt == text.replace(" ", "")
        assert len(found.words) == len(text.split())


def test_a_long_row_of_special_tokens(tokenizer: Any) -> None:
    (found,) = tokenise_running_text(tokenizer, ["</s>" * 3000], 64)
    assert not special_inside(tokenizer, found.input_ids)
