"""The one text policy: its properties on any text, and the rows of real corpora on which it was once broken."""

import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_samples import massive_line, mtop_line, xsid_block

from xa_search.corpora import massive, mtop, multiatis, own, xsid
from xa_search.corpora.checks import check_corpus
from xa_search.corpora.corpus import Corpus
from xa_search.corpora.raw_files import Line, RawFiles
from xa_search.corpora.repair import repair
from xa_search.corpora.text import (
    INVISIBLE,
    JOINERS,
    SPACE,
    SURROGATE,
    clean_label,
    clean_words,
    continues_letter,
    cut_word,
    is_plain,
    split_words,
)

SPACES = "\t \x85\xa0\u1680\u2000\u2009\u200a\u2028\u202f\u205f\u3000"
MARKS = "\u200b\u200c\u200d\ufeff\xad\u202b\u2066\x00\x1c"
ODD = MARKS + "ae\u0301\u0327\u1100\u1161\u11a8\u0e01\u0e38\u0e48\u304b\u3099\u0958\u2126"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(SPACES + ODD), max_size=12)


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_words_are_whole_and_cover_the_text(text):
    words = split_words(text)
    assert clean_words(" ".join(word.text for word in words)) == tuple(word.text for word in words)
    end = 0
    for word in words:
        assert end <= word.start < word.end <= len(text)
        assert clean_words(text[word.start : word.end]) == (word.text,)
        assert not clean_words(text[end : word.start])
        end = word.end
    assert not clean_words(text[end:])
    assert clean_label(clean_label(text)) == clean_label(text)
    assert unicodedata.is_normalized("NFC", clean_label(text))


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_what_is_plain_is_cleaned_to_the_same_words(text):
    known = split_words(text + " \u200b")  # no plain text: it is taken apart in the long way
    assert split_words(text) == known
    assert clean_words(text) == tuple(word.text for word in known)


def test_no_plain_character_splits_a_word_or_goes():
    plain = [character for character in map(chr, range(0x110000)) if is_plain(character)]
    assert len(plain) > 100_000
    split_or_gone = [one for one in plain if SPACE.match(one) or INVISIBLE.match(one) or SURROGATE.match(one)]
    assert split_or_gone == [" "]
    assert set(JOINERS).isdisjoint(plain)


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.randoms(use_true_random=False))
def test_the_parts_of_a_word_know_where_they_stand(text, random):
    for word in split_words(text):
        free = [place for place in range(1, len(word.text)) if not continues_letter(word.text[place])]
        cuts = sorted(random.sample(free, random.randint(0, len(free))))
        parts = cut_word(text, word, cuts)
        assert len(parts) == len(cuts) + 1
        end = word.start
        for part in parts:
            assert end <= part.start < part.end <= word.end
            assert clean_words(text[part.start : part.end]) == (part.text,)
            end = part.end


@pytest.mark.parametrize("space", ["\u00a0", "\u202f", "\u2003", "\u200a", "\u3000"])
def test_no_break_spaces_split_a_french_row_and_its_slot_goes_on(space):
    line = Line(1, f"1\tvols \u00e0 5{space}heures \tO O B-time\tflight")
    row = repair(next(multiatis.read("", iter([line]), "fr", "test")))
    assert row.words == ("vols", "\u00e0", "5", "heures")
    assert row.tags == ("O", "O", "B-time", "I-time")
    assert (row.repairs, row.dropped) == (("split_word",), None)


def test_labels_that_look_the_same_are_the_same(write):
    def rows(intent, tag):
        return "\n".join(
            json.dumps({"id": str(n), "tokens": ["a"], "intent": intent, "slots": [tag]}) for n in range(3)
        )

    root = write(
        {
            "train.en.jsonl": rows("r\u00e9veil", "B-caf\u00e9"),
            "test.de.jsonl": rows("re\u0301\u200bveil", "B-cafe\u0301\u200b"),
        }
    )
    corpus = Corpus("own", "en", ("de",), RawFiles.open(root), own.LAYOUT)
    (split,) = [one for one in check_corpus(corpus).splits if one.lang == "de"]
    assert (split.unseen_intents, split.unseen_slot_types) == ((), ())
    assert split.reasons == {"cleaned_label": 3}


def test_prefixes_go_also_behind_an_invisible_mark():
    (row,) = mtop.read(
        "", iter([Line(1, mtop_line("at 7", "3:4:\u200bSL:TIME", intent="\ufeffIN:SET"))]), "en", "train"
    )
    assert (row.intent, row.tags) == ("SET", ("O", "B-TIME"))


def test_an_intent_that_differs_by_a_mark_is_no_other_intent():
    block = xsid_block(("a", "O")).replace("\talarm/set_alarm\t", "\talarm/set\u200b_alarm\t")
    (row,) = xsid.read("", iter([Line(n, line) for n, line in enumerate(block.split("\n"), 1)]), "de", "test")
    assert (row.intent, row.repairs) == ("alarm/set_alarm", ())


def test_a_character_that_is_a_word_is_a_whole_letter():
    line = massive_line("[what : \u304b\u3099] \u304d", "\u304b\u3099\u304d")
    row = repair(next(massive.read("", iter([Line(1, line)]), "ja", "train")))
    assert (row.words, row.tags) == (("\u304c", "\u304d"), ("B-what", "O"))
    assert (row.repairs, row.dropped) == (("composed_letters",), None)


def test_translations_are_cleaned_as_the_rows_are(write):
    item = json.dumps({"id": "1", "tokens": ["a"], "intent": "x", "slots": ["O"]})
    root = write(
        {
            "train.en.jsonl": item,
            "translations.de.jsonl": json.dumps({"id": "1", "tokens": ["ein\u00a0Wort", "\u200b", "cafe\u0301"]}),
            "translations.fr.jsonl": json.dumps({"id": "1", "text": " un\u202fmot \u200b cafe\u0301\r"}),
            "translations.es.jsonl": json.dumps({"id": "1", "text": "caf\udce9"}),
        }
    )
    corpus = Corpus("own", "en", ("de", "fr", "es"), RawFiles.open(root), own.LAYOUT)
    assert [one.words for one in corpus.translations("de")] == [("ein", "Wort", "caf\u00e9")]
    assert [one.words for one in corpus.translations("fr")] == [("un", "mot", "caf\u00e9")]
    with pytest.raises(Exception, match="shares no id"):
        list(corpus.translations("es"))
