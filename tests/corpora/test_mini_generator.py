"""The generator alone, on a few frames written here."""

import json

import pytest

from xa_search.corpora.mini.generate import SIZES, mtop_row, read_frames, render, split_frames
from xa_search.errors import DataError

FRAME = """
domain: alarm
values:
  when:
    - {en: "at 7 a.m.", de: "um 7", es: "a las 7", fr: "à 7 h", hi: "7 बजे", th: "ตอน|7|โมง"}
    - {en: "now", de: "jetzt", es: "ya", fr: "là", hi: "अभी", th: "เดี๋ยว|นี้"}
frames:
  - intent: CREATE_ALARM
    en: "could you wake me [DATE_TIME {when}]?"
    de: "weckst du mich [DATE_TIME {when}]?"
    es: "¿me despiertas [DATE_TIME {when}]?"
    fr: "[DATE_TIME {when}] réveille-moi, d'[WHO accord]"
    hi: "[DATE_TIME {when}] जगाओ"
    th: "ปลุก|ฉัน|[DATE_TIME {when}]|หน่อย นะ"
"""


@pytest.fixture
def frame(tmp_path):
    (tmp_path / "alarm.yaml").write_text(FRAME, encoding="utf-8")
    return read_frames(tmp_path)[0]


@pytest.mark.parametrize(
    ("lang", "tokens", "slots"),
    [
        ("en", "could you wake me at|7|a.m.|?", ["at 7 a.m."]),
        ("de", "weckst du mich um|7|?", ["um 7"]),
        ("es", "¿|me despiertas a|las|7|?", ["a las 7"]),
        ("fr", "à|7|h réveille-moi|,|d'|accord", ["à 7 h", "accord"]),
        ("hi", "7|बजे जगाओ", ["7 बजे"]),
        ("th", "ปลุก|ฉัน|ตอน|7|โมง|หน่อย|นะ", ["ตอน7โมง"]),
    ],
)
def test_rendering(frame, lang, tokens, slots):
    rendered = render(frame, {"when": 0}, lang)
    assert [rendered.text[start:end] for start, end in rendered.tokens] == tokens.replace(" ", "|").split("|")
    assert [rendered.text[start:end] for start, end, _ in rendered.slots] == slots
    assert "|" not in rendered.text


def test_the_row_is_mtop_s(frame):
    columns = mtop_row(7, frame, render(frame, {"when": 1}, "en"), "en").split("\t")
    assert columns[:7] == [
        "7",
        "IN:CREATE_ALARM",
        "18:21:SL:DATE_TIME",
        "could you wake me now?",
        "alarm",
        "en_XX",
        "[IN:CREATE_ALARM [SL:DATE_TIME now ] ]",
    ]
    assert json.loads(columns[7])["tokens"] == ["could", "you", "wake", "me", "now", "?"]
    assert json.loads(columns[7])["tokenSpans"][-2:] == [{"start": 18, "length": 3}, {"start": 21, "length": 1}]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("frames:", "phrases:", r"alarm.yaml: not a file of sentence frames"),
        ("domain: alarm", "domain: [", r"alarm.yaml: not a file of sentence frames"),
        ("mich [DATE_TIME {when}]", "mich [DATE_TIME jetzt]", r"in de: values must be those of English"),
        ("{when}", "{then}", r"uses the value list 'then', which is not there"),
    ],
)
def test_broken_frames_are_named(tmp_path, old, new, message):
    (tmp_path / "alarm.yaml").write_text(FRAME.replace(old, new), encoding="utf-8")
    with pytest.raises(DataError, match=message) as caught:
        read_frames(tmp_path)
    assert "\n" not in str(caught.value)


def test_no_frames(tmp_path):
    with pytest.raises(DataError, match=r"no sentence frames in"):
        read_frames(tmp_path)


def test_a_split_needs_its_slot_types_in_train(tmp_path):
    head, _, body = FRAME.partition("  - intent:")
    body = "  - intent:" + body.replace("d'[WHO accord]", "d'accord")
    frames = [body.replace("could you", f"could{i} you") for i in range(10)]
    frames[7] = frames[7].replace("DATE_TIME", "RARE")
    (tmp_path / "alarm.yaml").write_text(head + "".join(frames), encoding="utf-8")
    splits = split_frames(read_frames(tmp_path))
    assert {split: len(splits[split]) for split in SIZES} == {"train": 8, "eval": 1, "test": 1}
    assert not any("RARE" in frame.slot_types for frame in splits["test"])
