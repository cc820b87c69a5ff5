from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xa_search.corpora.repair import repair
from xa_search.corpora.rows import DROPS, REPAIRS, Row
from xa_search.corpora.text import clean_words

CASES = [
    ("nothing to do", ["a", "b"], ["O", "B-X"], ["a", "b"], ["O", "B-X"], ()),
    ("zero width", ["a\u200bb", "\ufeffc"], ["O", "O"], ["ab", "c"], ["O", "O"], ("invisible_character",)),
    (
        "no-break space",
        ["5\u00a0heures", "10\u202f000", "a\u3000b\u2009c"],
        ["B-X", "I-X", "O"],
        ["5", "heures", "10", "000", "a", "b", "c"],
        ["B-X", "I-X", "I-X", "I-X", "O", "O", "O"],
        ("split_word",),
    ),
    ("no-break space at the end", ["x\u00a0"], ["B-X"], ["x"], ["B-X"], ("invisible_character",)),
    ("mark between spaces", ["a\u00a0\u200b b"], ["O"], ["a", "b"], ["O", "O"], ("invisible_character", "split_word")),
    ("letters in parts", ["cafe\u0301"], ["O"], ["caf\u00e9"], ["O"], ("composed_letters",)),
    (
        "both",
        ["cafe\u0301", "a\u200be\u0301"],
        ["O", "O"],
        ["caf\u00e9", "a\u00e9"],
        ["O", "O"],
        ("composed_letters", "invisible_character"),
    ),
    ("mark in a tag", ["a", "b"], ["B-ci\u200bty", "I-city"], ["a", "b"], ["B-city", "I-city"], ("cleaned_label",)),
    ("parts in a tag", ["a"], ["B-caf\u0065\u0301"], ["a"], ["B-caf\u00e9"], ("cleaned_label",)),
    ("spaces in a tag", ["a"], ["B-a\u00a0 b "], ["a"], ["B-a b"], ("cleaned_label",)),
    ("control", ["a\x84b"], ["O"], ["ab"], ["O"], ("invisible_character",)),
    ("joiner kept", ["क्\u200dष"], ["O"], ["क्\u200dष"], ["O"], ()),
    ("joiner at the end", ["क\u200d"], ["O"], ["क"], ["O"], ("invisible_character",)),
    ("empty word", ["a", "", "b"], ["O", "B-X", "O"], ["a", "b"], ["O", "O"], ("empty_word",)),
    ("invisible word", ["a", "\u200b"], ["O", "O"], ["a"], ["O"], ("empty_word",)),
    (
        "empty word that begins a slot",
        [" ", "b"],
        ["B-X", "I-X"],
        ["b"],
        ["B-X"],
        ("empty_word",),
    ),
    (
        "empty word that begins a slot behind another one",
        ["a", "\u200b", "", "b", "c"],
        ["B-X", "B-X", "I-X", "I-X", "I-X"],
        ["a", "b", "c"],
        ["B-X", "B-X", "I-X"],
        ("empty_word",),
    ),
    ("empty word that is a slot", ["\u200b", "b"], ["B-X", "I-Y"], ["b"], ["B-Y"], ("empty_word", "stray_inside_tag")),
    ("stray I", ["a", "b"], ["O", "I-X"], ["a", "b"], ["O", "B-X"], ("stray_inside_tag",)),
    ("I of another type", ["a", "b"], ["B-X", "I-Y"], ["a", "b"], ["B-X", "B-Y"], ("stray_inside_tag",)),
    ("I I", ["a", "b"], ["I-X", "I-X"], ["a", "b"], ["B-X", "I-X"], ("stray_inside_tag",)),
    ("space inside", ["half moon"], ["B-X"], ["half", "moon"], ["B-X", "I-X"], ("split_word",)),
    ("space inside, outside", ["half moon"], ["O"], ["half", "moon"], ["O", "O"], ("split_word",)),
]


def row(words, tags, intent="go", **more) -> Row:
    return Row(line=1, id="1", own_id=True, words=tuple(words), tags=tuple(tags), intent=intent, **more)


@pytest.mark.parametrize(
    ("words", "tags", "good_words", "good_tags", "repairs"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_repairs(words, tags, good_words, good_tags, repairs):
    found = repair(row(words, tags))
    assert (found.words, found.tags) == (tuple(good_words), tuple(good_tags))
    assert (found.repairs, found.dropped) == (repairs, None)
    assert set(repairs) <= set(REPAIRS)


@pytest.mark.parametrize(
    ("words", "tags", "intent", "reason"),
    [
        (["a"], ["O", "O"], "go", "different_lengths"),
        (["a", "b"], ["O"], "go", "different_lengths"),
        ([], [], "go", "no_words"),
        (["\u200b"], ["O"], "go", "no_words"),
        (["a"], ["O"], " ", "no_intent"),
        (["a"], ["X"], "go", "bad_tag"),
        (["a"], ["B-"], "go", "bad_tag"),
        (["a"], [""], "go", "bad_tag"),
        (["a\udce9"], ["O"], "go", "not_utf8"),
        (["a"], ["O"], "g\ud800o", "not_utf8"),
    ],
)
def test_drops(words, tags, intent, reason):
    assert repair(row(words, tags, intent)).dropped == reason
    assert reason in DROPS


def test_what_a_reader_found_is_kept():
    assert repair(row(["a"], ["O"], dropped="bad_json")).dropped == "bad_json"
    assert repair(row(["a", ""], ["O", "O"], repairs=("snapped_span",))).repairs == ("snapped_span", "empty_word")


@pytest.mark.parametrize("intent", ["se\u0301t", "s\u200b\u00e9t", "\u00a0s\u00e9t\ufeff"])
def test_an_intent_is_cleaned_and_counted(intent):
    found = repair(row(["a"], ["O"], intent))
    assert (found.intent, found.repairs) == ("s\u00e9t", ("cleaned_label",))


tags = st.sampled_from(["O", "B-X", "I-X", "I-Y", "B-", "", "x"])
words = st.text(alphabet=st.characters(), max_size=6) | st.sampled_from(["\u200b", " ", "a b", "\ud800"])


@given(st.lists(st.tuples(words, tags), max_size=8), st.sampled_from(["go", ""]))
def test_what_is_kept_is_legal(pairs, intent):
    found = repair(row([word for word, _ in pairs], [tag for _, tag in pairs], intent))
    assert found.dropped in (None, *DROPS)
    if found.dropped is None:
        assert len(found.words) == len(found.tags) >= 1
        assert all(clean_words(word) == (word,) for word in found.words)
        assert all(tag[0] != "I" or found.tags[i - 1][2:] == tag[2:] for i, tag in enumerate(found.tags))
        assert found.tags[0][0] != "I"
        assert repair(found).repairs == found.repairs
        " ".join(found.words).encode()


@given(st.lists(st.tuples(words, tags), max_size=8), st.sampled_from(["go", "", "two words", "g\u200bo"]))
def test_rows_that_need_no_repair_are_told_as_the_long_way_tells_them(pairs, intent):
    short = row([word for word, _ in pairs], [tag for _, tag in pairs], intent)
    long = repair(replace(short, id="\xa0"))  # no id that can be printed: nothing is taken for clean at once
    assert repair(short) == replace(long, id=short.id)
