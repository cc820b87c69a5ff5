import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raw_samples import tokens_json

from xa_search.corpora.rows import DROPS, RowError
from xa_search.corpora.spans import (
    SlotSpan,
    Token,
    label_words,
    parse_slots,
    parse_tokens,
    tags_from_spans,
)

TEXT = "wake me at 7 am"


@pytest.mark.parametrize(
    ("slots", "tags", "repairs"),
    [
        ("", "O O O O O", ()),
        ("8:15:SL:DATE_TIME", "O O B-DATE_TIME I-DATE_TIME I-DATE_TIME", ()),
        ("8:15:datetime", "O O B-datetime I-datetime I-datetime", ()),
        ("5:7:SL:PERSON,8:15:SL:DATE_TIME", "O B-PERSON B-DATE_TIME I-DATE_TIME I-DATE_TIME", ()),
        ("8:10:SL:A,11:15:SL:A", "O O B-A B-A I-A", ()),
        ("8:10:SL:A\uff0c11:15:SL:B", "O O B-A B-B I-B", ()),  # a full-width comma
        ("7:15:SL:A", "O O B-A I-A I-A", ("snapped_span",)),  # the space before
        ("8:14:SL:A", "O O B-A I-A I-A", ("snapped_span",)),  # ends inside a word
        ("8:15:SL:A,11:15:SL:B", "O O B-A I-A I-A", ("nested_slot",)),
        ("11:12:SL:B,8:15:SL:A", "O O B-A I-A I-A", ("nested_slot",)),
        ("8:15:SL:A,8:15:SL:B", "O O B-A I-A I-A", ("nested_slot",)),
        ("8:99:SL:A", "O O B-A I-A I-A", ("snapped_span",)),  # ends beyond the text
    ],
)
def test_slots_that_can_be_used(slots, tags, repairs):
    found = label_words(slots, TEXT, tokens_json(TEXT))
    assert (found.fault, found.words) == (None, tuple(TEXT.split()))
    assert (found.tags, found.repairs) == (tuple(tags.split()), repairs)


@pytest.mark.parametrize(
    ("slots", "fault"),
    [
        ("1:3:SL:A", "span_misfit"),  # inside one word
        ("4:5:SL:A", "span_misfit"),  # only a space
        ("8:8:SL:A", "span_misfit"),
        ("90:99:SL:A", "span_misfit"),
        ("0:7:SL:A,5:10:SL:B", "span_misfit"),  # two slots on one word
        ("8:15", "bad_span"),
        ("a:15:SL:A", "bad_span"),
        ("-1:4:SL:A", "bad_span"),
        ("٣:4:SL:A", "bad_span"),
        ("8:15:SL:", "bad_span"),
        ("8:10:SL:A;11:15:SL:B", "bad_span"),
        ("8:10:SL:A 11:15:SL:B", "bad_span"),
        ("8:10:SL:DATE TIME", "bad_span"),
        ("8:10:SL:A\uff1aB", "bad_span"),
        ("0:" + "9" * 5000 + ":SL:A", "bad_span"),
    ],
)
def test_slots_that_cannot_be_used_leave_the_words(slots, fault):
    found = label_words(slots, TEXT, tokens_json(TEXT))
    assert (found.fault, found.words, found.tags) == (fault, tuple(TEXT.split()), ())


@pytest.mark.parametrize(
    ("tokens", "fault"),
    [
        ("", "bad_json"),
        ("{", "bad_json"),
        ("[]", "bad_json"),
        ("{}", "bad_json"),
        ('{"tokens": "a", "tokenSpans": []}', "bad_json"),
        ('{"tokens": ["a"], "tokenSpans": [7]}', "bad_json"),
        ('{"tokens": [7], "tokenSpans": [{"start": 0, "length": 1}]}', "bad_json"),
        ('{"tokens": ["a"], "tokenSpans": [{"start": true, "length": 1}]}', "bad_json"),
        ('{"tokens": ["a"], "tokenSpans": [{"start": 0}]}', "bad_json"),
        ('{"tokens": ["a", "b"], "tokenSpans": [{"start": 0, "length": 1}]}', "different_lengths"),
        ("[" * 100_000, "bad_json"),
        ('__import__("os").system("true")', "bad_json"),
    ],
)
def test_tokens_that_cannot_be_used(tokens, fault):
    assert label_words("", "a", tokens).fault == fault


def test_offsets_that_count_bytes():
    text = "réveil à 7 heures"
    start = len("réveil ".encode())
    found = label_words(f"{start}:{len(text.encode())}:SL:A", text, tokens_json(text))
    assert (found.tags, found.repairs) == (("O", "B-A", "I-A", "I-A"), ("byte_offsets",))


def test_a_quotation_mark_that_breaks_the_json():
    spans = [{"start": 0, "length": 1}, {"start": 2, "length": 2}]
    broken = f'{{"tokens": [""", "hi"], "tokenSpans": {json.dumps(spans)}}}'
    found = label_words("2:4:SL:A", '" hi', broken)
    assert (found.words, found.tags, found.repairs) == (('"', "hi"), ("O", "B-A"), ("unescaped_quote",))
    quoted = '"' + tokens_json("hi").replace('"', '""') + '"'
    assert label_words("", "hi", quoted).words == ("hi",)


def test_tokens_one_level_down():
    tokens, repairs = parse_tokens(json.dumps({"tokenizations": [json.loads(tokens_json("a b"))]}))
    assert (tokens, repairs) == ((Token("a", 0, 1), Token("b", 2, 3)), ())


@st.composite
def labelled_tokens(draw: st.DrawFn) -> tuple[tuple[Token, ...], tuple[str, ...]]:
    words = draw(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 2)), min_size=1, max_size=12))
    tokens, end = [], 0
    for length, gap in words:
        tokens.append(Token("x" * length, end + gap, end + gap + length))
        end += gap + length
    tags: list[str] = []
    for _ in tokens:
        inside = [f"I-{tags[-1][2:]}"] if tags and tags[-1] != "O" else []
        tags.append(draw(st.sampled_from(["O", "B-A", "B-B/c", *inside])))
    return tuple(tokens), tuple(tags)


def spans_from_tags(tokens: tuple[Token, ...], tags: tuple[str, ...]) -> tuple[SlotSpan, ...]:
    """Turn IOB2 tags back into spans."""
    spans: list[SlotSpan] = []
    for token, tag in zip(tokens, tags, strict=True):
        if tag.startswith("B-"):
            spans.append(SlotSpan(token.start, token.end, tag[2:]))
        elif tag.startswith("I-"):
            spans[-1] = SlotSpan(spans[-1].start, token.end, tag[2:])
    return tuple(spans)


@given(labelled_tokens())
def test_tags_to_spans_and_back(case):
    tokens, tags = case
    spans = spans_from_tags(tokens, tags)
    assert tags_from_spans(tokens, spans) == (tags, False)
    written = ",".join(f"{span.start}:{span.end}:SL:{span.label}" for span in spans)
    assert parse_slots(written) == spans


@given(labelled_tokens(), st.lists(st.builds(SlotSpan, st.integers(0, 40), st.integers(0, 40), st.just("Z"))))
def test_any_spans_give_legal_tags_or_a_fault(case, spans):
    tokens, _ = case
    try:
        tags, _ = tags_from_spans(tokens, tuple(spans))
    except RowError:
        return
    assert len(tags) == len(tokens)
    assert len(spans) == sum(tag.startswith("B-") for tag in tags)


@given(st.text(), st.text(), st.text())
def test_any_columns_are_read_or_counted(slots, utterance, tokens):
    found = label_words(slots, utterance, tokens)
    assert found.fault in (None, *DROPS)


@given(st.text(alphabet="0123456789:,SLABéü🎵 ", max_size=30), st.text(alphabet="aé🎵 ", max_size=20))
def test_nearly_right_slots_are_read_or_counted(slots, utterance):
    found = label_words(slots, utterance, tokens_json(utterance))
    assert found.fault in (None, *DROPS)
    assert found.fault or len(found.tags) == len(found.words)
