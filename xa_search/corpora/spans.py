"""Slot spans to tags. In: MTOP's and MTOD's slot string, utterance and tokens JSON. Out: words and IOB2 tags.

Offsets are compared with the tokens' own offsets, never used to cut the utterance, so that their unit does not matter.
"""

import json
import re
from dataclasses import dataclass

from xa_search.corpora.rows import RowError
from xa_search.corpora.text import without_prefix
from xa_search.records import OUTSIDE

SLOT_PREFIX = "SL:"
BETWEEN_SLOTS = re.compile("[,\uff0c]")
"""A comma, the full-width one too."""
NO_LABEL = re.compile("[:,\\s\uff0c\uff1a]")
"""What stands in no label: there, a separator was lost."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word and where it stands."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class SlotSpan:
    """A slot: where it starts, where it ends (exclusive), and its type."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class Labelled:
    """Words with their tags; `fault` says why there are none."""

    words: tuple[str, ...]
    tags: tuple[str, ...]
    repairs: tuple[str, ...]
    fault: str | None = None


def label_words(slots: str, utterance: str, tokens_json: str) -> Labelled:
    """Read the three columns that MTOP and MTOD share. Where only the slots are faulty, the words are kept."""
    try:
        tokens, repairs = parse_tokens(tokens_json)
    except RowError as fault:
        return Labelled((), (), (), fault.reason)
    words = tuple(token.text for token in tokens)
    try:
        tags, slot_repairs = tags_of_spans(tokens, parse_slots(slots), utterance)
    except RowError as fault:
        return Labelled(words, (), (), fault.reason)
    return Labelled(words, tags, repairs + slot_repairs)


def parse_slots(text: str) -> tuple[SlotSpan, ...]:
    """Parse `start:end:SL:NAME,start:end:SL:NAME`; labels lose their prefix."""
    return tuple(_parse_slot(part.strip()) for part in BETWEEN_SLOTS.split(text) if part.strip())


def parse_tokens(text: str) -> tuple[tuple[Token, ...], tuple[str, ...]]:
    """Parse {"tokens": [...], "tokenSpans": [{"start": 0, "length": 3}, ...]}, bare or in {"tokenizations": [...]}."""
    found, repairs = _load(text)
    if isinstance(found, dict) and isinstance(found.get("tokenizations"), list) and found["tokenizations"]:
        found = found["tokenizations"][0]
    if not isinstance(found, dict):
        raise RowError("bad_json")
    words, spans = found.get("tokens"), found.get("tokenSpans")
    if not isinstance(words, list) or not isinstance(spans, list):
        raise RowError("bad_json")
    if len(words) != len(spans):
        raise RowError("different_lengths")
    return tuple(_token(word, span) for word, span in zip(words, spans, strict=True)), repairs


def tags_from_spans(tokens: tuple[Token, ...], spans: tuple[SlotSpan, ...]) -> tuple[tuple[str, ...], bool]:
    """Tag the tokens; true if a slot had to be widened to whole tokens. Raises RowError where none fits."""
    tags = [OUTSIDE] * len(tokens)
    snapped = False
    for span in spans:
        covered = [i for i, token in enumerate(tokens) if token.start < span.end and token.end > span.start]
        if not covered:
            raise RowError("span_misfit")
        first, last = tokens[covered[0]], tokens[covered[-1]]
        if (first.start, last.end) != (span.start, span.end):
            if first.start < span.start and last.end > span.end:
                raise RowError("span_misfit")
            snapped = True
        if any(tags[i] != OUTSIDE for i in covered):
            raise RowError("span_misfit")
        for i in covered:
            tags[i] = ("B-" if i == covered[0] else "I-") + span.label
    return tuple(tags), snapped


def outermost(spans: tuple[SlotSpan, ...]) -> tuple[SlotSpan, ...]:
    """Leave out the slots that lie within another one (of two alike, the later)."""
    kept: list[SlotSpan] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if not kept or span.end > kept[-1].end or span.start >= span.end:
            kept.append(span)
    return tuple(kept)


def tags_of_spans(
    tokens: tuple[Token, ...], spans: tuple[SlotSpan, ...], utterance: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Tag by the offsets as they are; where they do not fit, try them as UTF-8 byte offsets before snapping."""
    outer = outermost(spans)
    nested = ("nested_slot",) if len(outer) < len(spans) else ()
    try:
        tags, snapped = tags_from_spans(tokens, outer)
    except RowError:
        tags, snapped = None, True
    if tags is not None and not snapped:
        return tags, nested
    if not utterance.isascii():
        try:
            in_characters = tuple(_from_bytes(span, utterance) for span in outer)
            byte_tags, byte_snapped = tags_from_spans(tokens, in_characters)
        except (RowError, UnicodeEncodeError):  # half a letter, such as JSON can escape, has no bytes
            byte_snapped = True
        if not byte_snapped:
            return byte_tags, (*nested, "byte_offsets")
    if tags is None:
        raise RowError("span_misfit")
    return tags, (*nested, "snapped_span")


def _from_bytes(span: SlotSpan, utterance: str) -> SlotSpan:
    raw = utterance.encode("utf-8", "surrogateescape")
    start, end = (len(raw[:offset].decode("utf-8", "ignore")) for offset in (span.start, span.end))
    return SlotSpan(start, end, span.label)


def _parse_slot(text: str) -> SlotSpan:
    parts = text.split(":", 2)
    if len(parts) != 3 or not (parts[0].isascii() and parts[0].isdigit() and parts[1].isascii() and parts[1].isdigit()):
        raise RowError("bad_span")
    if max(len(parts[0]), len(parts[1])) > 9:
        raise RowError("bad_span")
    label = without_prefix(parts[2], SLOT_PREFIX)
    if not label or NO_LABEL.search(label):
        raise RowError("bad_span")
    return SlotSpan(int(parts[0]), int(parts[1]), label)


def _token(word: object, span: object) -> Token:
    if not isinstance(word, str) or not isinstance(span, dict):
        raise RowError("bad_json")
    start, length = span.get("start"), span.get("length")
    if type(start) is not int or type(length) is not int or start < 0 or length < 0:
        raise RowError("bad_json")
    return Token(word, start, start + length)


def _load(text: str) -> tuple[object, tuple[str, ...]]:
    """Parse JSON; a token that is one unescaped quotation mark, and a column quoted as in CSV, are repaired."""
    repaired = text.replace('"""', '"\\""')
    unquoted = text[1:-1].replace('""', '"') if text.startswith('"{') else text
    for attempt in dict.fromkeys((text, repaired, unquoted)):
        try:
            return json.loads(attempt), () if attempt == text else ("unescaped_quote",)
        except (ValueError, RecursionError):
            continue
    raise RowError("bad_json")
