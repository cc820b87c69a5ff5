"""The one repair policy, for every corpus. In: a row as read. Out: the row repaired, or marked as dropped.

Repaired: words, tags and intents are cleaned by `text`, the one text policy; a word with a space of any kind inside is
split, its tag continued; an empty word is removed with its tag; an I- tag that follows no tag of its type becomes B-.
The readers also repair what only they can see: a slot that ends inside a word is widened to it, one within another slot
is left out, offsets that count bytes are converted, a quotation mark that breaks the JSON is escaped.
Dropped: everything in `rows.DROPS`. Nothing is guessed, cut to length or padded, and every repair and drop is counted.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import replace

from xa_search.corpora.rows import Row
from xa_search.corpora.text import SPACE, SURROGATE, PlacedWord, clean_label, is_plain, is_utf8, split_words
from xa_search.records import OUTSIDE


def repair(row: Row) -> Row:
    """Apply the policy to one row."""
    if row.dropped is None and _needs_none(row):
        return row
    if not all(map(is_utf8, (*row.words, *row.tags, row.intent, row.id))):
        return replace(row, dropped="not_utf8", words=(), tags=(), intent="", id=SURROGATE.sub("?", row.id))
    if row.dropped is not None:
        return row
    if len(row.words) != len(row.tags):
        return replace(row, dropped="different_lengths")
    stated = tuple(map(clean_label, row.tags))
    words, tags, repairs = _clean(row.words, stated)
    if not words:
        return replace(row, words=(), tags=(), dropped="no_words")
    intent = clean_label(row.intent)
    if (*stated, intent) != (*(tag.strip() for tag in row.tags), row.intent.strip()):
        repairs.append("cleaned_label")
    if not intent:
        return replace(row, words=tuple(words), dropped="no_intent")
    if not all(is_tag(tag) for tag in tags):
        return replace(row, words=tuple(words), dropped="bad_tag")
    legal = legal_tags(tuple(tags))
    if legal != tuple(tags):
        repairs.append("stray_inside_tag")
    return replace(
        row,
        words=tuple(words),
        tags=legal,
        intent=intent,
        repairs=tuple(dict.fromkeys((*row.repairs, *repairs))),
    )


def _needs_none(row: Row) -> bool:
    """Tell whether a row is as the policy would make it; most are, and this is told much sooner than it is done."""
    labels = (*row.tags, row.intent)
    text = "".join((*row.words, *labels))
    return (
        0 < len(row.words) == len(row.tags)
        and all(row.words)
        and all(labels)
        and " " not in text
        and is_plain(text)
        and row.id.isprintable()
        and all(is_tag(tag) for tag in set(row.tags))
        and legal_tags(row.tags) == row.tags
    )


def is_tag(tag: str) -> bool:
    """Tell whether a tag is O, B-X or I-X."""
    return tag == OUTSIDE or (tag[:2] in ("B-", "I-") and len(tag) > 2)


def legal_tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    """Make IOB2: an I- tag that follows no tag of the same type becomes B-."""
    if not any(tag[0] == "I" for tag in tags):
        return tags
    legal: list[str] = []
    before = OUTSIDE
    for tag in tags:
        legal.append("B-" + tag[2:] if tag[:2] == "I-" and before[2:] != tag[2:] else tag)
        before = tag
    return tuple(legal)


def _clean(words: tuple[str, ...], tags: tuple[str, ...]) -> tuple[list[str], list[str], list[str]]:
    """Clean the words; give words, tags and the kinds of repair."""
    kept_words: list[str] = []
    kept_tags: list[str] = []
    repairs: set[str] = set()
    begun = OUTSIDE
    for word, tag in zip(words, tags, strict=True):
        pieces = split_words(word)
        repairs.update(_repairs(word, pieces))
        # A slot whose first word cannot be seen begins with the next one: else it would go on with the slot before.
        if tag[:2] == "I-" and tag[2:] == begun[2:]:
            tag = begun
        begun = OUTSIDE if pieces else tag
        kept_words += [piece.text for piece in pieces]
        kept_tags += [tag if place == 0 or tag == OUTSIDE else "I-" + tag[2:] for place in range(len(pieces))]
    return kept_words, kept_tags, sorted(repairs)


def _repairs(word: str, pieces: tuple[PlacedWord, ...]) -> Iterator[str]:
    """Yield what was done to a word."""
    if not pieces:
        yield "empty_word"
        return
    if len(pieces) > 1:
        yield "split_word"
    changed = [(word[piece.start : piece.end], piece.text) for piece in pieces]
    changed = [(raw, cleaned) for raw, cleaned in changed if raw != cleaned]
    if any(unicodedata.normalize("NFC", raw) == cleaned for raw, cleaned in changed):
        yield "composed_letters"
    parts = [part for part in SPACE.split(word) if part]
    around = len(pieces) == 1 and word != word[pieces[0].start : pieces[0].end]
    if around or len(parts) > len(pieces) or any(unicodedata.normalize("NFC", raw) != clean for raw, clean in changed):
        yield "invisible_character"
