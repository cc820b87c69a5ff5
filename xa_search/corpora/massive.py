"""MASSIVE. In: `en-US.jsonl` or `data/en-US.jsonl`, and so on: one file a locale, all splits in it. Out: rows.

One object a line: {"id": "7", "partition": "train", "intent": "alarm_set", "utt": "wake me at five", "annot_utt":
"wake me at [time : five]", ...}; locales are parallel by id. `utt` decides the words, `annot_utt` only where slots lie.
A row whose split cannot be told is counted with the training rows.
"""

import json
import re
import unicodedata
from collections.abc import Iterator
from itertools import accumulate

from xa_search.corpora.raw_files import Line
from xa_search.corpora.rows import CatalogueEntry, Layout, Row, RowError, full_lines, line_id, no_file
from xa_search.corpora.spans import SlotSpan, Token, tags_from_spans
from xa_search.corpora.text import SPACE, is_plain
from xa_search.records import OUTSIDE, SPLITS, Split

LOCALES = (
    "af-ZA am-ET ar-SA az-AZ bn-BD ca-ES cy-GB da-DK de-DE el-GR en-US es-ES fa-IR fi-FI fr-FR he-IL hi-IN hu-HU hy-AM "
    "id-ID is-IS it-IT ja-JP jv-ID ka-GE km-KH kn-IN ko-KR lv-LV ml-IN mn-MN ms-MY my-MM nb-NO nl-NL pl-PL pt-PT ro-RO "
    "ru-RU sl-SL sq-AL sv-SE sw-KE ta-IN te-IN th-TH tl-PH tr-TR ur-PK vi-VN zh-CN zh-TW"
)
TAIWAN = "zh-TW"  # the one locale whose language another one has too
LANGUAGE_OF = {locale: locale if locale == TAIWAN else locale.split("-")[0] for locale in LOCALES.split()}
LANGUAGES = ("en", *(lang for lang in LANGUAGE_OF.values() if lang != "en"))
LOCALE_OF = (
    {lang: locale for locale, lang in LANGUAGE_OF.items()}
    | {locale: locale for locale in LANGUAGE_OF}
    | {"fil": "tl-PH", "fil-PH": "tl-PH", "no": "nb-NO", "no-NO": "nb-NO"}
)
"""The locale of every name that one has: its language, itself, and what others call it."""
# As the corpus's own scoring has it: a character is a word, but Latin letters and digits in a row are one.
BY_CHARACTER = ("ja", "zh", TAIWAN)
CHARACTER_WORDS = re.compile("[!-~]+|.", re.DOTALL)
PARTITION = re.compile(r'"partition"\s*:\s*"(train|dev|test)"')
PIECE = re.compile(r"\[([^\[\]:]*):([^\[\]]*)\]|([^\[\]]+)")


def language_of(name: str) -> str:
    """Return the language by which a locale is listed, whichever of its names is given."""
    locale = LOCALE_OF.get(name, name)
    return LANGUAGE_OF.get(locale, name)


def split_files(lang: str, _split: Split) -> tuple[str, ...]:
    """Name the files that may hold a language; all its splits are in one."""
    locale = LOCALE_OF.get(lang, lang)
    return (f"{locale}.jsonl", f"data/{locale}.jsonl")


def id_translations(lang: str) -> tuple[str, ...]:
    """Name the target's file: the ids and words of its training rows, never their labels, are used."""
    return split_files(lang, "train")


def read(_name: str, lines: Iterator[Line], lang: str, split: Split) -> Iterator[Row]:
    """Yield a row for each line of the split."""
    by_character = language_of(lang) in BY_CHARACTER
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
            yield _row(found, line.number, str(own) if own_id else row_id, own_id, by_character)


def parse_markup(text: str) -> tuple[str, tuple[SlotSpan, ...]]:
    """Read `wake me at [time : five am]`: the text, and the slots by offsets that count no white space."""
    if "[" not in text and "]" not in text:
        return SPACE.sub("", text), ()
    plain = ""
    spans = []
    place = 0
    while place < len(text):
        piece = PIECE.match(text, place)
        if piece is None:
            raise RowError("bad_markup")
        label, value, outside = piece.groups()
        inside = SPACE.sub("", outside if label is None else value)
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


def _row(found: dict[str, object], line: int, row_id: str, own_id: bool, by_character: bool) -> Row:
    utterance, annotated, intent = found.get("utt"), found.get("annot_utt"), found.get("intent", "")
    if not isinstance(utterance, str) or not isinstance(annotated, str) or not isinstance(intent, str) or not own_id:
        return Row(line=line, id=row_id, own_id=own_id, dropped="bad_json")
    if found.get("partition") not in SPLITS:
        return Row(line=line, id=row_id, own_id=own_id, dropped="unknown_split")
    words = _words(utterance, by_character)
    slotted = "[" in annotated
    try:
        tags, snapped = _tags(words, unicodedata.normalize("NFC", annotated) if by_character else annotated)
    except RowError as fault:
        return Row(line=line, id=row_id, own_id=True, words=words, dropped=fault.reason, had_slots=slotted)
    composed = by_character and not unicodedata.is_normalized("NFC", utterance)
    repairs = (*(("composed_letters",) if composed else ()), *(("snapped_span",) if snapped else ()))
    return Row(
        line=line, id=row_id, own_id=True, words=words, tags=tags, intent=intent, repairs=repairs, had_slots=slotted
    )


def _words(utterance: str, by_character: bool) -> tuple[str, ...]:
    """Split an utterance; characters that are words are composed first, so that none is a part of a letter."""
    if not by_character:
        parts = utterance.split() if is_plain(utterance) else SPACE.split(utterance)
        return tuple(part for part in parts if part)
    parts = SPACE.split(unicodedata.normalize("NFC", utterance))
    return tuple(word for part in parts for word in CHARACTER_WORDS.findall(part))


def _tags(words: tuple[str, ...], annotated: str) -> tuple[tuple[str, ...], bool]:
    plain, spans = parse_markup(annotated)
    if plain != "".join(words):
        raise RowError("text_differs")
    if not spans:
        return (OUTSIDE,) * len(words), False
    ends = list(accumulate(map(len, words), initial=0))
    places = {end: number for number, end in enumerate(ends)}
    if all(span.start in places and span.end in places for span in spans):  # most are whole words
        tags = [OUTSIDE] * len(words)
        for span in spans:
            first, last = places[span.start], places[span.end]
            tags[first:last] = [f"B-{span.label}", *[f"I-{span.label}"] * (last - first - 1)]
        return tuple(tags), False
    return tags_from_spans(tuple(map(Token, words, ends, ends[1:])), spans)


LAYOUT = Layout(
    split_files=split_files, read=read, tagged=no_file, id_translations=id_translations, language_of=language_of
)

MASSIVE = CatalogueEntry(
    name="massive",
    title="MASSIVE 1.1 (FitzGerald et al. 2022)",
    languages=LANGUAGES,
    licence="CC BY 4.0",
    layout=LAYOUT,
    expects="en-US.jsonl (or data/en-US.jsonl) and the same for each target, all splits in one file",
    address="https://amazon-massive-nlu-dataset.s3.amazonaws.com/amazon-massive-dataset-1.1.tar.gz",
    # Not published with the download; it is what those who pin the archive agree on.
    sha256="4cba5faa11c71437928e17cb1b9b3d8b8e727e7ea363a3a9a8045e19c0491577",
)
