"""What a corpus loses is told in one line a split and language, and refused above a share."""

import json

import pytest
from raw_samples import mtop_line, pawsx_lines

from xa_search.corpora import check_corpus, open_corpus
from xa_search.corpora.checks import told_pairs
from xa_search.corpora.lost_rows import losses_above, refuse_losses, told_losses
from xa_search.errors import DataError


def row(number, tags="O B-x", word="go"):
    words = [f"{word}{number}", "on"]
    return json.dumps({"id": number, "tokens": words, "intent": "go", "slots": tags.split()}) + "\n"


def checked(write, train):
    files = {f"{split}.{lang}.jsonl": row(1) for split in ("train", "dev", "test") for lang in ("en", "de")}
    root = write(files | {"train.en.jsonl": train})
    return check_corpus(open_corpus("jsonl", source="en", targets=("de",), data=root, home=root))


def test_nothing_is_said_where_nothing_happened(write):
    check = checked(write, "".join(row(n) for n in range(9)))
    assert (told_losses(check), losses_above(check, 0.0)) == ((), ())


def test_what_was_dropped_repaired_and_converted_is_one_line(write):
    good = "".join(row(n) for n in range(50))
    check = checked(write, good + row(50, "O city") + "{broken\n" + row(52, word="a\u200b"))
    assert told_losses(check) == (
        "data: train en: 2 of 53 rows dropped (bad_tag 1 as 'city', bad_json 1); 1 repaired (invisible_character 1)",
    )
    lower = checked(write, "".join(row(n, "o u-x") for n in range(5)) + row(5, "B-y L-y"))
    assert told_losses(lower) == ("data: train en: 6 with BILOU tags converted",)


def test_a_share_of_the_rows_is_refused_with_its_reasons_and_the_setting(write):
    check = checked(write, "".join(row(n, "O O") for n in range(97)) + "{a\n{b\n{c\n")
    (line,) = losses_above(check, 0.02)
    assert "jsonl: train en: 3 of 100 rows cannot be used (bad_json 3; the first at train.en.jsonl:98)" in line
    assert line.endswith("more than max_lost 0.02: mend the file, or allow it by --set max_lost=0.03")
    assert losses_above(check, 0.03) == ()
    with pytest.raises(DataError, match="3 of 100 rows"):
        refuse_losses(check, 0.02)


def test_a_share_of_the_rows_with_slots_is_refused_though_few_rows_are_lost(write):
    plain, slotted = "".join(row(n, "O O") for n in range(400)), "".join(row(n) for n in range(400, 410))
    check = checked(write, plain + slotted + row(410, "O city") + row(411, "B-x city"))
    (line,) = losses_above(check, 0.02)
    assert "2 of 12 rows with slots cannot be used (bad_tag 2 as 'city'" in line


def test_the_setting_that_is_named_allows_both_shares(write):
    check = checked(
        write,
        "".join(row(n, "O O") for n in range(60)) + "".join(row(n) for n in range(60, 80)) + row(80, "O city") * 20,
    )
    (line,) = losses_above(check, 0.02)
    allowed = float(line.split("--set max_lost=")[1])
    assert (allowed, losses_above(check, allowed)) == (0.5, ())


def test_spans_that_are_lost_count_as_slots(write):
    plain = "".join(mtop_line("wake me", row_id=str(n)) for n in range(99))
    files = {f"{lang}/{split}.txt": plain for lang in ("en", "de") for split in ("train", "eval", "test")}
    root = write(files | {"en/train.txt": plain + mtop_line("wake me", "0:4:SL:A B", row_id="99")})
    check = check_corpus(open_corpus("mtop", source="en", targets=("de",), data=root, home=root))
    assert (check.splits[0].slotted, check.splits[0].slotted_lost) == (1, 1)
    assert "1 of 1 rows with slots" in losses_above(check, 0.02)[0]


def test_what_is_left_out_as_published_or_given_twice_is_no_loss(write):
    table = pawsx_lines(("1", "a", "b", "1"), ("2", "NS", "b", "0"), ("3", "a", "", "0"), ("1", "a", "b", "1"))
    files = {f"{lang}/{split}_2k.tsv": table for lang in ("en", "de") for split in ("dev", "test")}
    root = write(files | {"en/train.tsv": table, "de/translated_train.tsv": table})
    check = check_corpus(open_corpus("pawsx", source="en", targets=("de",), data=root, home=root))
    assert told_losses(check)[0] == (
        "data: train en: 1 of 4 rows dropped (duplicate_id 1); 2 of 4 rows left out as published"
    )
    assert losses_above(check, 0.0) == ()


def test_where_no_source_row_can_be_used_that_is_said_and_nothing_else_advised(write):
    files = {f"{split}.{lang}.jsonl": row(1) for split in ("train", "dev", "test") for lang in ("en", "de")}
    root = write(files | {"train.en.jsonl": '{"tokens": ["a"], "intent": "go", "slots": ["B-x", "O"]}\n' * 3})
    corpus = open_corpus("jsonl", source="en", targets=("de",), data=root, home=root)
    with pytest.raises(DataError, match=r"none of its 3 rows can be used \(3 x different num") as caught:
        list(corpus.translations("de"))
    assert "add translations" not in str(caught.value)


def test_a_language_that_loses_all_is_refused_however_many_others_are_beside_it(write):
    targets = ("da", "de", "es", "fi", "fr", "hi", "it", "th")
    good = "".join(row(n) for n in range(200))
    files = {f"{split}.{lang}.jsonl": good for split in ("train", "dev", "test") for lang in ("en", *targets)}
    root = write(files | {"dev.hi.jsonl": "{broken\n" * 3})
    check = check_corpus(open_corpus("own", source="en", targets=targets, data=root, home=root))
    (line,) = losses_above(check, 0.02)
    assert line.startswith("own: dev hi: 3 of 3 rows cannot be used")


def test_a_file_without_any_row_is_refused(write):
    files = {f"{split}.{lang}.jsonl": row(1) for split in ("train", "dev", "test") for lang in ("en", "de")}
    root = write(files | {"dev.de.jsonl": "\n"})
    check = check_corpus(open_corpus("own", source="en", targets=("de",), data=root, home=root))
    assert losses_above(check, 0.02) == (
        "own: dev de: its file has no row of this language: mend the file, or allow it by --set max_lost=1",
    )
    assert losses_above(check, 1.0) == ()


def test_translations_that_cannot_be_read_are_told_and_refused_above_the_share(write):
    files = {f"{split}.{lang}.jsonl": row(1) for split in ("train", "dev", "test") for lang in ("en", "de")}
    good = "".join(json.dumps({"id": n, "text": f"geh{n} an"}) + "\n" for n in range(97))
    english = "".join(row(n) for n in range(100))
    root = write(
        files | {"train.en.jsonl": english, "translations.de.jsonl": good + "{a\n{b\n" + row(99, word="\u200b")}
    )
    check = check_corpus(open_corpus("own", source="en", targets=("de",), data=root, home=root))
    assert told_pairs(check) == "pairs: de 98 of 100 (rows that cannot be read: bad_json 2)"
    (line,) = losses_above(check, 0.01)
    assert "translations.de.jsonl: 2 of 100 translations into de cannot be read (bad_json 2)" in line
    assert line.endswith("allow it by --set max_lost=0.02")
    assert losses_above(check, 0.02) == ()


def test_lines_that_are_not_utf8_are_told(write):
    files = {f"{split}.{lang}.jsonl": row(1) for split in ("train", "dev", "test") for lang in ("en", "de")}
    root = write(files | {"train.en.jsonl": row(1) + row(2), "translations.de.txt": b"geh an\ncaf\xe9\n"})
    check = check_corpus(open_corpus("own", source="en", targets=("de",), data=root, home=root))
    assert told_pairs(check) == "pairs: de 1 of 2 (rows that cannot be read: not_utf8 1)"
    assert "1 of 2 translations into de" in losses_above(check, 0.02)[0]


def test_an_intent_that_nobody_gave_is_told_wherever_data_are_read(write):
    bare = json.dumps({"tokens": ["go", "on"], "slots": ["O", "B-x"]}) + "\n"
    root = write({"test.en.jsonl": bare * 3})
    check = check_corpus(open_corpus("own", source="en", targets=(), data=root, home=root, to_train=False), ("test",))
    assert told_losses(check) == ("data: test en: 3 repaired (stand_in_intent 3)",)


def test_rows_that_are_published_to_be_left_out_are_kept_where_the_published_scores_count_them(write):
    table = pawsx_lines(
        ("1", "a", "b", "1"),
        ("2", "NS", "b", "0"),
        ("3", "a", "", "0"),
        ("4", "NS", "b", "7"),
        ("5", "a |||", "b", "0"),
    )
    files = {f"{lang}/{split}_2k.tsv": table for lang in ("en", "de") for split in ("dev", "test")}
    root = write(files | {"en/train.tsv": table, "de/translated_train.tsv": table})
    asked = {"source": "en", "targets": ("de",), "data": root, "home": root}
    without, kept = open_corpus("pawsx", **asked), open_corpus("pawsx", **asked, with_left_out=True)
    assert [row.words for row in without.utterances("de", "test")] == [("a", "|||", "b")]
    assert [row.words for row in kept.utterances("de", "test")] == [
        ("a", "|||", "b"), ("NS", "|||", "b"), ("a", "|||")
    ]  # fmt: skip
    assert [one.source_id for one in without.translations("de")] == ["1"]
    assert [one.source_id for one in kept.translations("de")] == ["1", "2", "3"]
    assert without.fingerprint() != kept.fingerprint()
    line = told_losses(check_corpus(kept))[0]
    assert line == "data: train en: 2 of 5 rows dropped (no_words 1, pair_mark 1); 2 repaired (kept_untranslated 2)"
