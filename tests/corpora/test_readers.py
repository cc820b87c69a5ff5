"""Each format with each of its defects: (lines) -> (what is dropped or repaired)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raw_samples import conll_block, massive_line, mtop_line, pawsx_lines, tokens_json, xsid_block

from xa_search.corpora import massive, mtod, mtop, multiatis, own, pawsx, xsid
from xa_search.corpora.raw_files import Line
from xa_search.corpora.repair import repair
from xa_search.corpora.rows import DROPS

TEXT = "wake me at 7 am"
WORDS = tuple(TEXT.split())
TAGS = ("O", "O", "B-DATE_TIME", "I-DATE_TIME", "I-DATE_TIME")
SPAN = "8:15:SL:DATE_TIME"


def rows_of(layout, name, text, lang="en", split="train"):
    lines = (Line(number, line) for number, line in enumerate(text.removesuffix("\n").split("\n"), 1))
    return [repair(row) for row in layout.read(name, lines, lang, split)]


def test_mtop_with_and_without_id():
    for row_id, expected in (("42", "42"), (None, "en-train-1")):
        (row,) = rows_of(mtop.LAYOUT, "en/train.txt", mtop_line(TEXT, SPAN, row_id=row_id))
        assert (row.id, row.own_id, row.intent) == (expected, row_id is not None, "SET_ALARM")
        assert (row.words, row.tags, row.dropped, row.repairs) == (WORDS, TAGS, None, ())


def test_mtod_tsv():
    line = f"alarm/set\t8:15:datetime\t{TEXT}\ten_XX\t{tokens_json(TEXT)}\n"
    (row,) = rows_of(mtod.LAYOUT, "en/train-en.tsv", line)
    assert (row.id, row.own_id, row.intent) == ("en-train-1", False, "alarm/set")
    assert row.tags == ("O", "O", "B-datetime", "I-datetime", "I-datetime")


def test_mtod_conll():
    text = conll_block(("wake", "NoLabel"), ("me", "B-who")) + "\n" + conll_block(("#", "NoLabel"), ("7", "B-time"))
    first, second = rows_of(mtod.LAYOUT, "en/train-en.conllu", text)
    assert (first.id, first.words, first.tags) == ("en-train-1", ("wake", "me"), ("O", "B-who"))
    assert (second.id, second.line, second.words) == ("en-train-8", 8, ("#", "7"))
    assert first.intent == second.intent == "alarm/set"


def test_xsid():
    english = "# text: Is it going to rain?\n# intent: weather/find\n# slots: 15:19:weather/attribute\n"
    english += "1\train\tweather/find\tB-weather/attribute\n2\t?\tweather/find\tO\n\n"
    swiss = "# id = 1\n# text-en = set it\n# text-de: Stell = ihn\n# text = Stell e = y\n# intent = alarm/set_alarm\n"
    swiss += "1\tStell\talarm/set_alarm\tO\n2\ty\talarm/set_alarm\tB-reference-part\n\n"
    (first,) = rows_of(xsid.LAYOUT, "en.test.conll", english)
    assert (first.words, first.tags) == (("rain", "?"), ("B-weather/attribute", "O"))
    assert first.intent == "weather/find"
    again = [rows_of(xsid.LAYOUT, "gsw.test.conll", swiss * 2, "gsw", "test")]
    assert [(row.id, row.own_id, row.intent) for row in again[0]] == [
        ("gsw-test-1", False, "alarm/set_alarm"),
        ("gsw-test-9", False, "alarm/set_alarm"),
    ]


def test_the_header_decides_where_words_state_another_intent():
    block = xsid_block(("Lösch", "O"), ("des", "B-reference")).replace("\talarm/set_alarm\tO", "\tlarm/set_alarm\tO")
    (row,) = rows_of(xsid.LAYOUT, "de-muc.valid.conll", block)
    assert (row.intent, row.repairs, row.dropped) == ("alarm/set_alarm", ("odd_intent",), None)


@pytest.mark.parametrize(
    ("lang", "annotated", "text", "words", "tags"),
    [
        ("en", "[date : tomorrow] at [time : 5:30] wake me", None, "tomorrow|at|5:30|wake|me", "B-date O B-time O O"),
        ("de", "um [time : fünf uhr] bitte", " um  fünf\u00a0uhr bitte", "um|fünf|uhr|bitte", "O B-time I-time O"),
        ("ja", "[time : 5 時] に", "5時に", "5|時|に", "B-time I-time O"),
        (
            "zh",
            "播放 [artist : taylor swift] 的歌",
            "播放taylor swift的歌",
            "播|放|taylor|swift|的|歌",
            "O O B- I- O O",
        ),
        ("th", "ปลุก [time : ตีห้า] ที", None, "ปลุก|ตีห้า|ที", "O B-time O"),
        ("en", "[a : one][b : two] three", "one two three", "one|two|three", "B-a B-b O"),
    ],
)
def test_massive(lang, annotated, text, words, tags):
    line = massive_line(annotated, text, locale="xx")
    (row,) = rows_of(massive.LAYOUT, "data/en-US.jsonl", line, lang)
    assert (row.id, row.own_id, row.intent, row.dropped, row.repairs) == ("7", True, "alarm_set", None, ())
    assert row.words == tuple(words.split("|"))
    assert [tag if tag[-1] != "-" else tag + "artist" for tag in tags.split()] == list(row.tags)


def test_massive_keeps_its_splits_in_one_file_and_tells_of_each_row_once():
    text = "".join(
        massive_line(id=str(n), partition=p) for n, p in enumerate(["test", "dev", "train", "MMNLU-22", None])
    )
    text += "{broken\n[]\n" + massive_line(partition=["train"])
    by_split = {split: rows_of(massive.LAYOUT, "en-US.jsonl", text, split=split) for split in ("train", "dev", "test")}
    assert [[(row.line, row.dropped) for row in by_split[split]] for split in ("dev", "test")] == [
        [(2, None)], [(1, None)]
    ]  # fmt: skip
    assert [(row.line, row.dropped) for row in by_split["train"]] == [
        (3, None), (4, "unknown_split"), (5, "unknown_split"), (6, "bad_json"), (7, "bad_json"), (8, "unknown_split")
    ]  # fmt: skip


def test_pawsx():
    text = pawsx_lines(("1", "It is in  Rome .", '" Rome " has it .', "1"), ("2", "我在罗马。", "罗马在我。", "0"))
    first, second = rows_of(pawsx.LAYOUT, "en/train.tsv", text)
    assert (first.id, first.own_id, first.line, first.intent, first.dropped) == ("1", True, 2, "1", None)
    assert " ".join(first.words) == 'It is in Rome . ||| " Rome " has it .'
    assert (second.words, second.tags, second.intent) == (("我在罗马。", "|||", "罗马在我。"), ("O",) * 3, "0")


WORD = st.text(alphabet="abcé:7時ü\u200b.", min_size=1, max_size=4)
SEGMENT = st.tuples(st.none() | st.sampled_from(["time", "date_x"]), st.lists(WORD, min_size=1, max_size=3))


@given(st.lists(SEGMENT, min_size=1, max_size=6))
def test_the_markup_of_massive_there_and_back(segments):
    """What was marked is what is read, word by word, wherever the spaces lie."""
    annotated = " ".join(
        " ".join(words) if label is None else f"[{label} : {' '.join(words)}]" for label, words in segments
    )
    expected = [
        ("" if label is None else f"{'I' if place else 'B'}-{label}") or "O"
        for label, words in segments
        for place, _ in enumerate(words)
    ]
    words = [word for _, segment in segments for word in segment]
    line = massive_line(annotated, "  ".join(words))
    (row,) = massive.read("", iter([Line(1, line)]), "en", "train")
    assert (row.dropped, list(row.words), list(row.tags)) == (None, words, expected)


def test_multiatis_with_and_without_header():
    header = "id\tutterance\tslot_labels\tintent\n"
    line = "7\tfly to new york\tO O B-city I-city\tflight\n"
    for text, number in ((header + line, 2), (line, 1)):
        (row,) = rows_of(multiatis.LAYOUT, "train_EN.tsv", text)
        assert (row.id, row.own_id, row.line, row.intent) == ("7", True, number, "flight")
        assert (row.words, row.tags) == (("fly", "to", "new", "york"), ("O", "O", "B-city", "I-city"))
    swapped = "id\tintent\tutterance\tslot labels\n7\tflight\tgo\tO\n"
    (row,) = rows_of(multiatis.LAYOUT, "train_EN.tsv", swapped)
    assert (row.words, row.intent) == (("go",), "flight")


def test_jsonl_ids():
    item = {"tokens": ["go"], "intent": "flight", "slots": ["O"]}
    texts = [json.dumps(item), json.dumps(item | {"id": 7}), json.dumps(item | {"id": "x"})]
    rows = rows_of(own.LAYOUT, "train.en.jsonl", "\n".join(texts))
    assert [(row.id, row.own_id) for row in rows] == [("en-train-1", False), ("7", True), ("x", True)]
    assert {row.dropped for row in rows} == {None}


def item(**changes) -> str:
    return json.dumps({"id": "1", "tokens": ["a", "b"], "intent": "go", "slots": ["O", "B-x"]} | changes)


GOOD_JSON = tokens_json(TEXT)
DEFECTS = [
    ("mtop", "too few columns", "IN:X\t\thello\n", "wrong_columns"),
    ("mtop", "too many columns", mtop_line(TEXT).rstrip("\n") + "\tmore\textra\n", "wrong_columns"),
    ("mtop", "blank line in the middle", mtop_line(TEXT, row_id="0") + "\n" + mtop_line(TEXT), "wrong_columns"),
    ("mtop", "broken JSON", mtop_line(TEXT, tokens=GOOD_JSON[:-4]), "bad_json"),
    ("mtop", "python instead of JSON", mtop_line(TEXT, tokens="{'tokens': []}"), "bad_json"),
    ("mtop", "words and spans differ", mtop_line(TEXT, tokens='{"tokens":["a"],"tokenSpans":[]}'), "different_lengths"),
    ("mtop", "no words", mtop_line("", tokens='{"tokens":[],"tokenSpans":[]}'), "no_words"),
    ("mtop", "no intent", mtop_line(TEXT, intent=""), "no_intent"),
    ("mtop", "intent is a prefix", mtop_line(TEXT, intent="IN:"), "no_intent"),
    ("mtop", "slot in the middle of a word", mtop_line(TEXT, "1:3:SL:X"), "span_misfit"),
    ("mtop", "slot without label", mtop_line(TEXT, "1:3"), "bad_span"),
    ("mtop", "not UTF-8", mtop_line("caf\udce9"), "not_utf8"),
    ("mtop", "slot ends inside a word", mtop_line(TEXT, "8:14:SL:X"), "+snapped_span"),
    ("mtop", "zero width", mtop_line("wa\u200bke me"), "+invisible_character"),
    ("mtod.tsv", "too few columns", "alarm\t\thello\n", "wrong_columns"),
    ("mtod.tsv", "broken JSON", f"alarm\t\t{TEXT}\ten\t[\n", "bad_json"),
    ("mtod.tsv", "no intent", f"\t\t{TEXT}\ten\t{GOOD_JSON}\n", "no_intent"),
    ("mtod.tsv", "slot between words", f"alarm\t4:5:x\t{TEXT}\ten\t{GOOD_JSON}\n", "span_misfit"),
    ("mtod.tsv", "slot beyond the text", f"alarm\t8:20:x\t{TEXT}\ten\t{GOOD_JSON}\n", "+snapped_span"),
    ("mtod.conllu", "a column too few", "# intent: a\n1\tword\ta\n\n", "wrong_columns"),
    ("mtod.conllu", "only comments", "# text: hello\n# intent: alarm\n\n", "no_words"),
    ("mtod.conllu", "no intent", "1\tword\t\tNoLabel\n\n", "no_intent"),
    ("mtod.conllu", "unknown tag", conll_block(("word", "datetime")), "bad_tag"),
    ("mtod.conllu", "stray I", conll_block(("a", "NoLabel"), ("b", "I-x")), "+stray_inside_tag"),
    ("mtod.conllu", "empty word", conll_block(("a", "NoLabel"), ("", "B-x")), "+empty_word"),
    ("xsid", "a column too few", "# intent = a\n1\tword\ta\n\n", "wrong_columns"),
    ("xsid", "only comments", "# text = hello\n# intent = alarm\n\n", "no_words"),
    ("xsid", "no intent", xsid_block(("word", "O"), intent=""), "no_intent"),
    ("xsid", "a tag of MTOD", xsid_block(("word", "NoLabel")), "bad_tag"),
    ("xsid", "two intents, no header", "1\ta\tset\tO\n2\tb\tcancel\tO\n\n", "two_intents"),
    ("xsid", "not UTF-8", xsid_block(("caf\udce9", "O")), "not_utf8"),
    ("xsid", "a word slips", xsid_block(("a", "O"), intent="earch", stated="Search"), "+odd_intent"),
    ("xsid", "stray I", xsid_block(("a", "O"), ("b", "I-x")), "+stray_inside_tag"),
    ("xsid", "empty word", xsid_block(("a", "O"), ("", "O")), "+empty_word"),
    ("massive", "no JSON", "{'id': '1'}\n", "bad_json"),
    ("massive", "no text", massive_line(utt=None), "bad_json"),
    ("massive", "no annotated text", massive_line(annot_utt=None), "bad_json"),
    ("massive", "no id", massive_line(id=None), "bad_json"),
    ("massive", "no intent", massive_line(intent=None), "no_intent"),
    ("massive", "unknown partition", massive_line(partition="trial"), "unknown_split"),
    ("massive", "no partition", massive_line(partition=None), "unknown_split"),
    ("massive", "bracket left open", massive_line("at [time : five am", "at five am"), "bad_markup"),
    ("massive", "bracket never opened", massive_line("at five] am", "at five am"), "bad_markup"),
    ("massive", "bracket in a bracket", massive_line("[time : five [x : am]]", "five am"), "bad_markup"),
    ("massive", "no label", massive_line("at [ : five]", "at five"), "bad_markup"),
    ("massive", "no colon", massive_line("at [five am]", "at five am"), "bad_markup"),
    ("massive", "empty slot", massive_line("at [time : ] five", "at five"), "bad_markup"),
    ("massive", "another text", massive_line("at [time : five]", "at six"), "text_differs"),
    ("massive", "no words", massive_line("", ""), "no_words"),
    ("massive", "not UTF-8", massive_line("caf\udce9"), "not_utf8"),
    ("massive", "slot in the middle of a word", massive_line("w [x : ak] e", "wake"), "span_misfit"),
    ("massive", "slot ends inside a word", massive_line("[x : wake m] e", "wake me"), "+snapped_span"),
    ("massive", "zero width", massive_line("wa\u200bke me"), "+invisible_character"),
    ("pawsx", "not translated", pawsx_lines(("1", "NS", "b", "0"), ("2", "NS was there", "b", "0")), "not_translated"),
    ("pawsx", "neither one", pawsx_lines(("1", "a", " NS ", "0")), "not_translated"),
    ("pawsx", "empty sentence", pawsx_lines(("1", "a", "", "0")), "not_translated"),
    ("pawsx", "too few columns", pawsx_lines() + "1\ta b\t0\n", "wrong_columns"),
    ("pawsx", "unknown label", pawsx_lines(("1", "a", "b", "2")), "bad_label"),
    ("pawsx", "no label", pawsx_lines(("1", "a", "b", "")), "bad_label"),
    ("pawsx", "three sentences", pawsx_lines(("1", "a ||| b", "c", "0")), "pair_mark"),
    ("pawsx", "not UTF-8", pawsx_lines(("1", "caf\udce9", "b", "0")), "not_utf8"),
    ("pawsx", "zero width", pawsx_lines(("1", "a\u200bb", "b", "0")), "+invisible_character"),
    ("multiatis", "a label too many", "1\tfly to boston\tO O O B-city\tflight\n", "different_lengths"),
    ("multiatis", "a label too few", "1\tfly to boston\tO B-city\tflight\n", "different_lengths"),
    ("multiatis", "too few columns", "1\tfly\tO\n", "wrong_columns"),
    ("multiatis", "no words", "1\t\t\tflight\n", "no_words"),
    ("multiatis", "no intent", "1\tfly\tO\t\n", "no_intent"),
    ("multiatis", "a no-break space counts as a word", "1\tfly \u00a0 home\tO O B-x\tflight\n", "+empty_word"),
    ("multiatis", "stray I", "1\tfly boston\tO I-city\tflight\n", "+stray_inside_tag"),
    ("jsonl", "no JSON", "{'tokens': ['a']}\n", "bad_json"),
    ("jsonl", "a list", "[]\n", "bad_json"),
    ("jsonl", "tokens hold a number", item(tokens=["a", 1]) + "\n", "bad_json"),
    ("jsonl", "intent is a fraction", item(intent=3.5) + "\n", "bad_json"),
    ("jsonl", "id is a list", item(id=[]) + "\n", "bad_json"),
    ("jsonl", "too few slots", item(slots=["O"]) + "\n", "different_lengths"),
    ("jsonl", "no tokens", '{"intent": "go"}\n', "no_words"),
    ("jsonl", "no intent", item() + '\n{"tokens": ["a"], "slots": ["O"]}\n', "no_intent"),
    ("jsonl", "unknown tag", item(slots=["O", "city"]) + "\n", "bad_tag"),
    ("jsonl", "half a character", item(tokens=["a", "\ud83d"]) + "\n", "not_utf8"),
    ("jsonl", "space in a token", item(tokens=["a", "b c"]) + "\n", "+split_word"),
]
LAYOUTS = {
    "mtop": (mtop.LAYOUT, "en/train.txt"),
    "mtod.tsv": (mtod.LAYOUT, "en/train-en.tsv"),
    "mtod.conllu": (mtod.LAYOUT, "en/train-en.conllu"),
    "multiatis": (multiatis.LAYOUT, "train_EN.tsv"),
    "xsid": (xsid.LAYOUT, "en.train.conll"),
    "massive": (massive.LAYOUT, "en-US.jsonl"),
    "pawsx": (pawsx.LAYOUT, "en/train.tsv"),
    "jsonl": (own.LAYOUT, "train.en.jsonl"),
}


@pytest.mark.parametrize(
    ("layout", "text", "reason"), [d[::2][:1] + d[2:] for d in DEFECTS], ids=[f"{d[0]}: {d[1]}" for d in DEFECTS]
)
def test_defects(layout, text, reason):
    kind, name = LAYOUTS[layout]
    rows = rows_of(kind, name, text)
    if reason.startswith("+"):
        assert [row.dropped for row in rows] == [None]
        assert reason[1:] in rows[0].repairs
    else:
        assert [row.dropped for row in rows if row.dropped] == [reason]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_blank_lines_at_the_end_are_no_rows(layout):
    kind, name = LAYOUTS[layout]
    assert rows_of(kind, name, "\n\n\n") == []
    assert rows_of(kind, name, "") == []


@pytest.mark.parametrize("layout", LAYOUTS)
@given(
    text=st.text()
    | st.text(alphabet='0123456789\t\n:,"{}[]# aBIO-é\u200b')
    | st.lists(st.text(alphabet="a \t"), min_size=4, max_size=9).map("\t".join)
)
def test_any_text_is_read_or_counted(layout, text):
    kind, name = LAYOUTS[layout]
    for row in rows_of(kind, name, text):
        assert row.dropped in (None, *DROPS)
        assert row.dropped or (len(row.words) == len(row.tags) >= 1 and row.intent)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["id", "tokens", "slots", "intent", "text", "utt", "annot_utt", "partition"]), inner
            )
        ),
    )
)
def test_any_json_is_read_or_counted(value):
    for read in (
        own.read("", iter([Line(1, json.dumps(value))]), "en", "train"),
        own.read_translation_rows(iter([Line(1, json.dumps(value))]), "de"),
        massive.read("", iter([Line(1, json.dumps(value))]), "ja", "train"),
    ):
        for row in read:
            assert repair(row).dropped in (None, *DROPS)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_come_one_by_one(layout):
    kind, name = LAYOUTS[layout]
    good = {
        "mtop": mtop_line(TEXT, SPAN),
        "mtod.tsv": f"alarm\t\t{TEXT}\ten\t{GOOD_JSON}\n",
        "mtod.conllu": conll_block(("a", "NoLabel")),
        "multiatis": "1\tfly\tO\tflight\n",
        "xsid": xsid_block(("a", "O")),
        "massive": massive_line(),
        "pawsx": "1\ta\tb\t0\n",
        "jsonl": item() + "\n",
    }[layout].splitlines()
    read = 0

    def endless():
        nonlocal read
        while True:
            for text in good or []:
                read += 1
                yield Line(read, text)

    rows = kind.read(name, endless(), "en", "train")
    for _ in range(5):
        assert next(rows).dropped is None
    assert read <= 6 * len(good)


@pytest.mark.parametrize(
    ("line", "split", "reason"),
    [
        (massive_line(partition="dev"), "dev", None),
        (massive_line(partition="dev").replace('"partition": ', '"partition" :  '), "dev", None),
        (massive_line(text='say "partition": "test"', annotated='say "partition": "test"'), "train", None),
        (massive_line(scenario={"partition": "test"}), "train", None),
        (massive_line(partition="dev").replace('"partition"', '"partition": "test", "partition"'), "dev", None),
        (massive_line(partition="test")[:-3], "test", "bad_json"),
        (massive_line(partition="other"), "train", "unknown_split"),
        (massive_line(partition=None), "train", "unknown_split"),
        ("broken\n", "train", "bad_json"),
    ],
)
def test_every_line_of_massive_is_in_one_split(line, split, reason):
    """However little of it is read to find out in which."""
    found = {one: rows_of(massive.LAYOUT, "en-US.jsonl", line, split=one) for one in ("train", "dev", "test")}
    assert {one: [row.dropped for row in rows] for one, rows in found.items() if rows} == {split: [reason]}
