"""Tag schemes: recognised over a whole file, read as what they are, and only then refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raw_samples import conll_block, xsid_block

from xa_search.corpora import check_corpus, open_corpus
from xa_search.corpora.tags import recognise, to_iob2

TYPES = ("city", "to-loc", "DATE")
SCHEMES = ("IO", "IOB1", "IOB2", "BIOES", "BILOU")
# Slots in a row: a slot's type, none for words outside, and how many words it has.
spans = st.lists(st.tuples(st.sampled_from([None, *TYPES]), st.integers(1, 4)), max_size=7)


def letters(scheme, length, follows_own_type):
    inside = ["I"] * length
    if scheme == "IOB2" or (scheme == "IOB1" and follows_own_type):
        inside[0] = "B"
    if scheme in ("BIOES", "BILOU"):
        last, single = ("E", "S") if scheme == "BIOES" else ("L", "U")
        inside = [single] if length == 1 else ["B", *inside[1:-1], last]
    return inside


def encode(row, scheme, form):
    tags, before = [], None
    for kind, length in row:
        if kind is None:
            tags += ["o" if form == "lower" else "O"] * length
        for letter in letters(scheme, length, kind == before) if kind else ():
            forms = {"prefix": f"{letter}-{kind}", "suffix": f"{kind}-{letter}", "bare": kind}
            tags.append((forms | {"lower": f"{letter.lower()}-{kind}"})[form])
        before = kind
    return tags


def in_iob2(row):
    tags = []
    for kind, length in row:
        tags += ["O"] * length if kind is None else [f"B-{kind}"] + [f"I-{kind}"] * (length - 1)
    return tags


def merged(row):
    """Neighbours of one type are one slot: IO cannot tell them apart."""
    joined = []
    for kind, length in row:
        if joined and joined[-1][0] == kind:
            joined[-1] = (kind, joined[-1][1] + length)
        else:
            joined.append((kind, length))
    return joined


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("form", ["prefix", "suffix", "lower", "bare"])
@given(rows=st.lists(spans, min_size=1, max_size=5))
def test_any_slots_come_back_from_any_scheme(scheme, form, rows):
    encoded = [encode(row, scheme, form) for row in rows]
    found = recognise(encoded)
    whole = [merged(row) if scheme == "IO" or form == "bare" else row for row in rows]
    assert [to_iob2(tags, found) for tags in encoded] == [(tuple(in_iob2(row)), False) for row in whole]


@given(st.lists(st.lists(st.text(alphabet="BIOESLU-x", max_size=4), max_size=6), max_size=4))
def test_whatever_is_read_is_iob2(rows):
    scheme = recognise(rows)
    for tags in rows:
        found = to_iob2(tags, scheme)
        if found is not None:
            converted, _ = found
            assert len(converted) == len(tags)
            assert all(tag == "O" or (tag[:2] in ("B-", "I-") and len(tag) > 2) for tag in converted)
            assert all(tag[0] != "I" or converted[i - 1][2:] == tag[2:] for i, tag in enumerate(converted))


@pytest.mark.parametrize(
    ("tags", "shown", "expected"),
    [
        ("O B-x I-x", "IOB2", "O B-x I-x"),
        ("o b-x i-x", "IOB2", "O B-x I-x"),
        ("O I-x I-x", "IO", "O B-x I-x"),
        ("O x x", "IO (bare types)", "O B-x I-x"),
        ("O B-x L-x U-y", "BILOU", "O B-x I-x B-y"),
        ("O B-x E-x S-y", "BIOES", "O B-x I-x B-y"),
        ("O x-B x-E y-S", "BIOES (type-B)", "O B-x I-x B-y"),
        ("O I-x B-x", "IOB1", "O B-x B-x"),
        ("O O", "no slots", "O O"),
    ],
)
def test_the_scheme_is_shown(tags, shown, expected):
    scheme = recognise([tags.split()])
    assert (str(scheme), to_iob2(tags.split(), scheme)) == (shown, (tuple(expected.split()), False))


def own_files(*rows):
    lines = "".join(
        json.dumps({"tokens": [f"w{n}"] * len(tags.split()), "intent": "go", "slots": tags.split()}) + "\n"
        for n, tags in enumerate(rows)
    )
    return {f"{split}.{lang}.jsonl": lines for split in ("train", "dev", "test") for lang in ("en", "de")}


def own(root):
    return open_corpus("jsonl", source="en", targets=("de",), data=root, home=root / "none")


@pytest.mark.parametrize(
    ("rows", "shown"),
    [
        (("O B-x L-x", "U-y O", "O O"), "BILOU"),
        (("o b-x e-x", "s-y o", "o o"), "BIOES"),
        (("O x-B x-L", "y-U O", "O O"), "BILOU (type-B)"),
        (("O x x", "y O", "O O"), "IO (bare types)"),
    ],
)
def test_rows_of_any_scheme_are_kept_and_counted(write, rows, shown):
    corpus = own(write(own_files(*rows)))
    read = [utterance.slots for utterance in corpus.utterances("en", "train")]
    assert read == [("O", "B-x", "I-x"), ("B-y", "O"), ("O", "O")]
    for split in check_corpus(corpus).splits:
        assert (split.tags, split.converted, split.dropped, split.repaired) == (shown, 2, 0, 0)


def test_a_tag_that_fits_no_scheme_is_shown(write):
    check = check_corpus(own(write(own_files("O B-x", "O city", "B-x I-x"))))
    (fault,) = check.splits[0].first_faults
    assert (fault.reason, fault.example, fault.where) == ("bad_tag", "city", "train.en.jsonl:2")
    assert (check.splits[0].tags, check.splits[0].converted) == ("", 0)


def test_a_file_is_surveyed_once(write, monkeypatch):
    from xa_search.corpora import corpus as module

    surveyed = []
    real = module.survey_tags
    monkeypatch.setattr(module, "survey_tags", lambda rows: surveyed.append(1) or real(rows))
    corpus = own(write(own_files("O B-x L-x")))
    for _ in range(3):
        list(corpus.utterances("en", "train"))
    assert len(surveyed) == 1


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("multiatis", {"train_EN.tsv": "1\ta b c\tO B-x L-x\tgo\n", "test_EN.tsv": "1\ta\tU-x\tgo\n"}),
        ("xsid", {"en.train.conll": xsid_block(("a", "O"), ("b", "b-x"), ("c", "l-x")), "en.test.conll": "\n"}),
        ("mtod", {"en/train-en.conllu": conll_block(("a", "NoLabel"), ("b", "x-B"), ("c", "x-E"))}),
    ],
)
def test_every_format_with_tags_in_it(write, name, files):
    root = write(files | {"en/test-en.conllu": "\n"})
    target = "es" if name == "mtod" else "de"
    corpus = open_corpus(name, source="en", targets=(target,), data=root, home=root, to_train=False)
    (row,) = corpus.rows("en", "train")
    assert (row.tags, row.converted, row.dropped) == (("O", "B-x", "I-x"), True, None)
