"""What a corpus loses is told in one line a split and language, and refused above a share."""

import json

import pytest
from raw_samples import mtop_line, pawsx_lines

from xa_search.corpora import check_corpus, open_corpus
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
