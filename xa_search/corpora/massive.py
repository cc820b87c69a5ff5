"""MASSIVE. In: `en-US.jsonl` or `data/en-US.jsonl`, and so on: one file a locale, all splits in it. Out: rows.

One object a line: {"id": "7", "partition": "train", "intent": "alarm_set", "utt": "wake me at five", "annot_utt":
"wake me at [time : five]", ...}; locales are parallel by id. `utt` decides the words, `annot_utt` only where slots lie.
A row whose split cannot be told is counted with the training rows.
"""

import json
import re
from collections.abc import Iterator

from xa_search.corpora.raw_files import Line
from xa_search.corpora.rows import Layout, Row, RowError, full_lines, line_id
from xa_search.corpora.spans import SlotSpan, Token, tags_from_spans
from xa_search.records import OUTSIDE, SPLITS, Split

LOCALES = (
    "af-ZA am-ET ar-SA az-AZ bn-BD ca-ES cy-GB da-DK de-DE el-GR en-US es-ES fa-IR fi-FI fr-FR he-IL hi-IN hu-HU hy-AM "
    "id-ID is-IS it-IT ja-JP jv-ID ka-GE km-KH kn-IN ko-KR lv-LV ml-IN mn-MN ms-MY my-MM nb-NO nl-NL pl-PL pt-PT ro-RO "
    "ru-RU sl-SL sq-AL sv-SE sw-KE ta-IN te-IN th-TH tl-PH tr-TR ur-PK vi-VN zh-CN zh-TW"
)
TAIWAN = "zh-TW"  # the one locale whose language another one has too
LOCALE_OF = {locale if locale == TAIWAN else locale.split("-")[0]: locale for locale in LOCALES.split()}
LANGUAGES = ("en", *(lang for lang in LOCALE_OF if lang != "en"))
# As the corpus's own scoring has it: a character is a word, but Latin letters and digits in a row are one.
BY_CHARACTER = ("ja", "zh", TAIWAN)
CHARACTER_WORDS = re.compile(r"[!-~]+|\S")
PARTITION = re.compile(r'"partition"\s*:\s*"(train|dev|test)"')
PIECE = re.compile(r"\[([^\[\]:]*):([^\[\]]*)\]|([^\[\]]+)")


def split_files(lang: str, _split: Split) -> tuple[str, ...]:
    """Name the files that may hold a language; all its splits are in one."""
    locale = LOCALE_OF.get(lang, lang)
    return (f"{locale}.jsonl", f"data/{locale}.jsonl")


def id_translations(lang: str) -> tuple[str, ...]:
    """Name the target's file: the ids and words of its training rows, never their labels, are used."""
    return split_files(lang, "train")


def read(_name: str, lines: Iterator[Line], lang: str, split: Split) -> Iterator[Row]:
    """Yield a row for each line of the split."""
    for line in full_lines(lines):
        told = _told_split(line.text)
        if told is not None and told != split:
            continue  # not parsed: a file is read once a split
        row_id = line_id(lang, split, line.number)
        found = _load(line.text)
        stated = found.get("partition", told)
        if (stated if stated in SPLITS else "train") == split:
            own = found.get("id")
            own_id = type(own) in (str, int) and own != ""
            yield _row(found, line.number, str(own) if own_id else row_id, own_id, lang)


def parse_markup(text: str) -> tuple[str, tuple[SlotSpan, ...]]:
    """Read `wake me at [time : five am]`: the text, and the slots by offsets that count no white space."""
    plain = ""
    spans = []
    place = 0
    while place < len(text):
        piece = PIECE.match(text, place)
        if piece is None:
            raise RowError("bad_markup")
        label, value, outside = piece.groups()
        inside = "".join((outside if label is None else value).split())
        if label is not None:
            if not label.strip() or not inside:
                raise RowError("bad_markup")
            spans.append(SlotSpan(len(plain), len(plain) + len(inside), label.strip()))
        plain += inside
        place = piece.end()
    return plain, tuple(spans)


def _told_split(text: str) -> str | None:
    """Return the split of a line without parsing it; none where that could be wrong.

    In a text of valid JSON quotation marks are escaped: what stands once, and not behind a backslash, is the key.
    """
    place = text.find('"partition"')
    if place < 1 or text[place - 1] == "\\" or text.find('"partition"', place + 1) > 0:
        return None
    found = PARTITION.match(text, place)
    return found[1] if found else None


def _load(text: str) -> dict[str, object]:
    """Return the object of a line; an empty one where it holds none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _row(found: dict[str, object], line: int, row_id: str, own_id: bool, lang: str) -> Row:
    utterance, annotated, intent = found.get("utt"), found.get("annot_utt"), found.get("intent", "")
    if not isinstance(utterance, str) or not isinstance(annotated, str) or not isinstance(intent, str) or not own_id:
        return Row(line=line, id=row_id, own_id=own_id, dropped="bad_json")
    if found.get("partition") not in SPLITS:
        return Row(line=line, id=row_id, own_id=own_id, dropped="unknown_split")
    words = tuple(CHARACTER_WORDS.findall(utterance) if lang in BY_CHARACTER else utterance.split())
    try:
        tags, snapped = _tags(words, annotated)
    except RowError as fault:
        return Row(line=line, id=row_id, own_id=True, words=words, dropped=fault.reason)
    repairs = ("snapped_span",) if snapped else ()
    return Row(line=line, id=row_id, own_id=True, words=words, tags=tags, intent=intent, repairs=repairs)


def _tags(words: tuple[str, ...], annotated: str) -> tuple[tuple[str, ...], bool]:
    plain, spans = parse_markup(annotated)
    if plain != "".join(words):
        raise RowError("text_differs")
    if not spans:
        return (OUTSIDE,) * len(words), False
    tokens = []
    start = 0
    for word in words:
        tokens.append(Token(word, start, start + len(word)))
        start += len(word)
    return tags_from_spans(tuple(tokens), spans)


LAYOUT = Layout(split_files=split_files, read=read, id_translations=id_translations)
