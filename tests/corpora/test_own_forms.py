"""A user's own corpus in each form that people have: the same utterances, or one line that says what to mend."""

import csv
import io
import json
import re
import textwrap
from pathlib import Path

import datasets
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from xa_search.corpora import check_corpus, open_corpus
from xa_search.corpora.corpus import Corpus
from xa_search.corpora.opening import languages_found
from xa_search.corpora.own import LAYOUT, OwnFiles
from xa_search.corpora.rows import DROPS
from xa_search.errors import DataError, UsageError

LANGUAGES = ("en", "de")
SPLITS = ("train", "dev", "test")


def rows(lang: str, split: str) -> list[dict]:
    first = 10 * SPLITS.index(split)
    word = {"en": "wake", "de": "weck"}[lang]
    return [
        {"id": str(first + i), "tokens": [word, f'um"{i},', "x;y"], "intent": "alarm", "slots": ["O", "B-t", "I-t"]}
        for i in range(3)
    ]


def spanned(row: dict) -> dict:
    """Give the row with a text and character spans in place of words and tags."""
    text = " ".join(row["tokens"])
    start = len(row["tokens"][0]) + 1
    return {"id": row["id"], "text": text, "intent": row["intent"], "spans": [[start, len(text), "t"]]}


def as_jsonl(found: list[dict]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in found).encode()


def as_table(found: list[dict], delimiter: str = ",", joined=" ".join) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, found[0].keys(), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(
        {key: joined(value) if isinstance(value, list) else value for key, value in row.items()} for row in found
    )
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def as_conll(found: list[dict]) -> bytes:
    def block(row: dict) -> str:
        head = "".join(f"# {key}: {row[key]}\n" for key in ("id", "intent", "lang") if key in row)
        return head + "".join(f"{word} {tag}\n" for word, tag in zip(row["tokens"], row["slots"], strict=True))

    return ("-DOCSTART- O\n\n" + "\n".join(map(block, found))).encode()


def as_parquet(found: list[dict]) -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(found), out)
    return out.getvalue()


FORMS = {
    "jsonl": as_jsonl,
    "json": lambda found: json.dumps(found, indent=1).encode(),
    "csv": as_table,
    "tsv": lambda found: as_table(found, "\t"),
    "conll": as_conll,
    "parquet": as_parquet,
}


def opened(root: Path, **more):
    return open_corpus("own", source="en", targets=("de",), data=root, home=root / "none", **more)


def utterances(corpus) -> list:
    return [list(corpus.utterances(lang, split)) for lang in LANGUAGES for split in SPLITS]


@pytest.fixture
def expected(write):
    files = {f"{split}.{lang}.jsonl": as_jsonl(rows(lang, split)) for lang in LANGUAGES for split in SPLITS}
    found = utterances(opened(write(files, "expected")))
    assert [[row.id for row in part] for part in found[:3]] == [["0", "1", "2"], ["10", "11", "12"], ["20", "21", "22"]]
    assert found[0][1].words == ("wake", 'um"1,', "x;y")
    assert found[0][1].slots == ("O", "B-t", "I-t")
    return found


@pytest.mark.parametrize("form", FORMS)
def test_a_file_a_language_and_split(write, write_zip, write_tar, expected, form):
    for name in ("{split}.{lang}.{form}", "{lang}/{split}.{form}", "mine/{lang}/{split}.{form}"):
        for dev in ("dev", "validation", "valid", "eval"):
            files = {
                name.format(lang=lang, form=form, split=dev if split == "dev" else split): FORMS[form](
                    rows(lang, split)
                )
                for lang in LANGUAGES
                for split in SPLITS
            }
            root = write(files, f"{name.count('/')}{dev}")
            assert utterances(opened(root)) == expected
    for archive in (write_zip, write_tar):
        corpus = opened(archive(files))
        assert utterances(corpus) == expected
        assert [pair.words for pair in corpus.translations("de")] == [row.words for row in expected[3]]
        check = check_corpus(corpus)
        assert (check.notes, [(split.rows, split.dropped) for split in check.splits]) == ((), [(3, 0)] * 6)


@pytest.mark.parametrize("form", FORMS)
def test_a_file_a_split_with_a_column_for_the_language(write, expected, form):
    files = {
        f"data/{split}.{form}": FORMS[form]([row | {"lang": lang} for lang in LANGUAGES for row in rows(lang, split)])
        for split in SPLITS
    }
    corpus = opened(write(files))
    assert utterances(corpus) == expected
    assert [split.dropped for split in check_corpus(corpus).splits] == [0] * 6
    assert languages_found("own", write(files), Path(), None) == ("en", "de")


@pytest.mark.parametrize("form", FORMS)
def test_translations_by_line_and_tags_of_another_scheme(write, expected, form):
    files = {
        f"{split}.{lang}.{form}": FORMS[form](
            [row | {"slots": ["O", "B-t", "L-t"]} for row in rows(lang, split) if lang == "en" or split != "train"]
            or rows(lang, split)
        )
        for split in SPLITS
        for lang in LANGUAGES
    }
    lines = "".join(f"um {number} Uhr\n" for number in range(3))
    corpus = opened(write(files | {"translations.de.txt": lines}))
    assert str(corpus.tag_scheme("en", "train")) == "BILOU"
    assert [row.slots for row in corpus.utterances("en", "train")] == [row.slots for row in expected[0]]
    assert [pair.words for pair in corpus.translations("de")] == [("um", str(number), "Uhr") for number in range(3)]


@pytest.mark.parametrize("form", FORMS)
def test_other_names_for_columns(write, expected, form):
    def renamed(lang: str, split: str) -> list[dict]:
        return [
            {
                "uid": row["id"],
                "words": row["tokens"],
                "label": row["intent"],
                "tags": row["slots"],
                "text": "x",
                "id": "y",
            }
            for row in rows(lang, split)
        ]

    def named(lang: str, split: str) -> bytes:
        if form == "conll":
            return as_conll(rows(lang, split)).replace(b"# id", b"# uid").replace(b"# intent", b"# label")
        return FORMS[form](renamed(lang, split))

    files = {f"{split}.{lang}.{form}": named(lang, split) for lang in LANGUAGES for split in SPLITS}
    columns = {"id": "uid", "tokens": "words", "intent": "label", "slots": "tags"}
    assert utterances(opened(write(files), columns=columns)) == expected
    if form not in ("jsonl", "json", "conll"):
        with pytest.raises(
            DataError, match=r"train.de.*no column 'lab' \(for intent\); it has uid, words, label, tags"
        ):
            list(opened(write(files), columns=columns | {"intent": "lab"}).utterances("de", "train"))
    with pytest.raises(UsageError, match=r"'intents' is no field of a row: did you mean intent\?"):
        opened(write(files), columns={"intents": "label"})


def test_what_datasets_saved(write, tmp_path, expected):
    """Labels are numbers there, with their names beside them."""
    features = datasets.Features(
        {
            "id": datasets.Value("float64"),
            "tokens": datasets.List(datasets.Value("string")),
            "intent": datasets.ClassLabel(names=["other", "alarm"]),
            "slots": datasets.List(datasets.ClassLabel(names=["O", "B-t", "I-t"])),
        }
    )
    for lang in LANGUAGES:
        made = {}
        for split in SPLITS:
            found = [row | {"id": float(row["id"])} for row in rows(lang, split)]
            made["validation" if split == "dev" else split] = datasets.Dataset.from_list(found, features=features)
        made["train"].save_to_disk(tmp_path / "one" / lang / "train", num_shards=2)
        datasets.DatasetDict(made).save_to_disk(tmp_path / "dict" / lang)
        for split, one in made.items():
            one.to_parquet(tmp_path / "parquet" / lang / f"{split}-00000-of-00001.parquet")
    assert utterances(opened(tmp_path / "dict")) == expected
    assert utterances(opened(tmp_path / "parquet")) == expected
    halves = OwnFiles.open_own(tmp_path / "one")
    assert [record.number for record in halves.lines(halves.find(("train.en.jsonl",)))] == [1, 2, 3]
    (tmp_path / "one" / "de" / "train" / "data-00001-of-00002.arrow").unlink()
    with pytest.raises(DataError, match=r"de/train/data-00000-of-00002.arrow: 1 of its 2 pieces are there"):
        OwnFiles.open_own(tmp_path / "one")


@pytest.mark.parametrize("form", ["jsonl", "json", "csv", "tsv", "parquet"])
@pytest.mark.parametrize("key", ["spans", "entities"])
def test_spans_on_a_text(write, expected, form, key):
    def of(lang: str, split: str) -> list[dict]:
        found = [spanned(row) for row in rows(lang, split)]
        for row in found:
            ((start, end, label),) = row.pop("spans")
            row[key] = [{"start": start, "end": end, "label": label}]
        return found

    write_form = (
        FORMS[form]
        if form not in ("csv", "tsv")
        else lambda found: as_table(found, "\t" if form == "tsv" else ",", json.dumps)
    )
    files = {f"{split}.{lang}.{form}": write_form(of(lang, split)) for lang in LANGUAGES for split in SPLITS}
    assert utterances(opened(write(files))) == expected


def train_rows(write, content: bytes, name: str = "train.en.jsonl", **columns):
    other = as_jsonl(rows("en", "dev"))
    files = {name: content, "dev.en.jsonl": other, "test.en.jsonl": other, "test.de.jsonl": other}
    return list(opened(write(files), columns=columns).rows("en", "train"))


@pytest.mark.parametrize(
    ("row", "words", "tags"),
    [
        ({"text": "an\u00a0a  b", "spans": [[6, 7, "x"]]}, ("an", "a", "b"), ("O", "O", "B-x")),
        ({"text": "go on up", "spans": [{"start": 3, "end": 5, "type": "x"}]}, ("go", "on", "up"), ("O", "B-x", "O")),
        ({"text": "goon", "tokens": ["go", "o", "n"], "spans": [[2, 4, "x"]]}, ("go", "o", "n"), ("O", "B-x", "I-x")),
        ({"text": "a b", "slots": ["O", "B-x"]}, ("a", "b"), ("O", "B-x")),
        ({"text": "a b", "slots": "O B-x"}, ("a", "b"), ("O", "B-x")),
        ({"tokens": "['it\\'s', \"a\"]", "slots": '["O", "B-x"]'}, ("it's", "a"), ("O", "B-x")),
        ({"tokens": "[ a", "slots": "O O"}, ("[", "a"), ("O", "O")),
        ({"text": "a b", "spans": {"start": [2], "end": [3], "label": ["x"]}}, ("a", "b"), ("O", "B-x")),
    ],
)  # fmt: skip
def test_what_is_unambiguous_is_read(write, row, words, tags):
    (found,) = train_rows(write, as_jsonl([row | {"intent": 3, "id": 7.0}]))
    assert (found.words, found.tags, found.intent, found.id, found.dropped) == (words, tags, "3", "7", None)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"text": "a b", "spans": [[0, 1]]}, "bad_span"),
        ({"text": "a b", "spans": [[1, 0, "x"]]}, "bad_span"),
        ({"text": "a b", "spans": [[0, 1, ""]]}, "bad_span"),
        ({"text": "a b", "spans": "x"}, "bad_span"),
        ({"text": "a b", "spans": [[7, 9, "x"]]}, "span_misfit"),
        ({"text": "a b", "tokens": ["c"], "spans": []}, "text_differs"),
        ({"text": ["a"], "spans": []}, "bad_json"),
        ({"text": "a", "spans": [], "id": True}, "bad_json"),
        ({"text": "a", "spans": [], "id": float("inf")}, None),
    ],
)
def test_what_is_not_is_counted(write, row, reason):
    assert [found.dropped for found in train_rows(write, as_jsonl([{"intent": "x"} | row]))] == [reason]


@pytest.mark.parametrize(
    ("written", "read"), [("7.0", "7"), ("7", "7"), ("7.5", "7.5"), ("a.0", "a.0"), ("", "en-train-2")]
)
def test_ids_of_a_table(write, written, read):
    (found,) = train_rows(write, f"id,text,intent\n{written},wake me,x\n".encode(), "train.en.csv")
    assert (found.id, found.own_id, found.words, found.tags) == (read, written != "", ("wake", "me"), ("O", "O"))


def test_a_csv_in_all_its_dialects(write):
    for content in (b'text;intent\n"a; b\n c";x\n', b"text\tintent\na; b c\tx\n", b'text,intent\r\n"a; b c",x\r\n\r\n'):
        assert [(row.words, row.intent) for row in train_rows(write, content, "train.en.csv")] == [
            (("a;", "b", "c"), "x")
        ]
    found = train_rows(write, b'text,intent\na,b,c\n"' + b"x" * 200_000 + b"\nd,e\n", "train.en.csv")
    assert [row.dropped for row in found] == ["wrong_columns", "wrong_columns", None]


def test_conll_with_numbers_tabs_and_a_hash(write):
    block = b"# intent = go\n# a note\n1\t#\tx\tO\n2\ta b\tx\tB-t\n\n# id: 7\n# O\n# B-t\n\nbroken\n\na O\nb\n"
    found = train_rows(write, block, "train.en.conll")
    assert [row.dropped for row in found] == [None, "no_intent", "wrong_columns", "wrong_columns"]
    assert (found[0].words, found[0].tags, found[0].intent) == (("#", "a", "b"), ("O", "B-t", "I-t"), "go")
    assert (found[1].words, found[1].id) == (("#", "#"), "7")


def test_data_with_intents_alone_and_with_slots_alone(write):
    for labels, note, intents in (
        ({"intent": "go"}, "no training row of en has a slot: intents alone are learned", {"go"}),
        (
            {"slots": ["O", "B-x"]},
            "no training row of en has an intent: slots alone are learned; `none` stands for each intent, "
            "so that intent accuracy says nothing",
            {"none"},
        ),
    ):
        content = as_jsonl([{"tokens": ["a", "b"]} | labels] * 2)
        files = {f"{split}.{lang}.jsonl": content for split in SPLITS for lang in LANGUAGES}
        corpus = opened(write(files))
        check = check_corpus(corpus)
        assert check.notes == (note,)
        assert [split.dropped for split in check.splits] == [0] * 6
        assert {row.intent for row in corpus.utterances("en", "train")} == intents


@pytest.mark.parametrize("form", ["jsonl", "json", "csv", "parquet"])
def test_slots_that_some_rows_lack_are_an_error_for_the_file(write, form):
    found = [{"text": "a", "intent": "x", "slots": slots} for slots in ("O", None, "O")]
    number = {"json": 2 + 5, "csv": 3}.get(form, 2)
    with pytest.raises(DataError, match=rf"train.en.{form}:{number} has no slots, but the row at \d has: give every"):
        train_rows(write, FORMS[form](found), f"train.en.{form}")


def test_what_cannot_be_read_is_one_line(write):
    for content, name, message in (
        (b"not parquet", "train.en.parquet", r"train.en.parquet: not a readable Parquet file"),
        (b"not arrow", "train.en.arrow", r"train.en.arrow: not a readable Arrow file"),
        (b'[{"text": "a", "intent": "x"}, {', "train.en.json", r"train.en.json:1: not a JSON array after 1 elements"),
        (b"[1 2]", "train.en.json", r"after 1 elements \(a comma is missing\)"),
        (b"[1]]", "train.en.json", r"there is more after its end"),
        (b"utt,label\na,b\n", "train.en.csv", r"no column 'text' or 'tokens'; it has utt, label: .*--columns text="),
        (b"text,intent\na,b\n", "x/train.csv", r"train.csv:2: which language this is stands nowhere"),
        (b"", "train.de.csv", None),
    ):
        with pytest.raises(
            DataError, match=message or "own in .* has no language 'en'|own has no train file"
        ) as caught:
            train_rows(write, content, name)
        assert "\n" not in str(caught.value)
        for path in (write({}, "raw")).rglob("train*"):
            path.unlink()


def test_two_files_for_one_part(write):
    files = {f"{split}.{lang}.jsonl": as_jsonl(rows(lang, split)) for lang in LANGUAGES for split in SPLITS}
    root = write(files | {"validation.en.csv": as_table(rows("en", "dev"))})
    with pytest.raises(DataError, match=r"holds dev.en twice, in dev.en.jsonl and in validation.en.csv; take one"):
        opened(root)


def test_a_zip_from_windows(write_zip, expected):
    files = {f"mine\\{lang}\\{split}.jsonl": as_jsonl(rows(lang, split)) for lang in LANGUAGES for split in SPLITS}
    assert utterances(opened(write_zip(files))) == expected


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "tokens", "text", "slots", "spans", "intent", "lang", "start"]), inner)
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    name=st.sampled_from(["train.en", "en/train", "train"]),
    form=st.sampled_from(sorted({*FORMS, "arrow", "conllu"})),
    content=st.binary()
    | st.text(alphabet='text,intlo\n\t"[]{}:;#1 O-B').map(str.encode)
    | ANY_JSON.map(json.dumps).map(str.encode)
    | st.lists(ANY_JSON).map(lambda found: "\n".join(map(json.dumps, found)).encode())
    | st.lists(st.lists(st.text(max_size=5), max_size=4)).map(
        lambda found: "\n".join(",".join(row) for row in [["text", "intent", "slots"], *found]).encode(
            "utf-8", "replace"
        )
    ),
)
@example(name="train", form="json", content=b'{"lang": [null], "tokens": null}')
def test_any_bytes_are_read_or_counted(tmp_path_factory, name, form, content):
    root = tmp_path_factory.mktemp("any")
    (root / "en").mkdir()
    (root / f"{name}.{form}").write_bytes(content)
    found, fault = [], ""
    try:
        corpus = Corpus("own", "en", (), OwnFiles.open_own(root), LAYOUT)
        found = list(corpus.rows("en", "train"))
    except DataError as error:
        fault = str(error)
    assert "\n" not in fault
    for row in found:
        assert row.dropped in (None, *DROPS)
        assert row.dropped or (len(row.words) == len(row.tags) >= 1 and row.intent)


def test_the_forms_in_the_docs_are_read(write):
    text = (Path(__file__).parents[2] / "docs" / "corpora.md").read_text(encoding="utf-8")
    own = text.split("## Your own data\n")[1].split("\n## ")[0]
    blocks = re.findall(r"(?:^    .*\n+)+", own, flags=re.MULTILINE)[:4]
    for name, block in zip(("train.en.jsonl", "train.en.json", "train.csv", "train.en.conll"), blocks, strict=True):
        root = write({name: textwrap.dedent(block).strip() + "\n"}, f"docs-{name}")
        corpus = Corpus("own", "en", (), OwnFiles.open_own(root), LAYOUT)
        first, second = corpus.rows("en", "train")
        assert (first.id, " ".join(first.words), first.tags[3:]) == ("7", "wake me at 7 am", ("B-time", "I-time"))
        assert (second.id, second.intent, second.dropped) == ("8", "alarm_off", None)
