"""The one text policy. In: text as it came, whoever gave it. Out: its words, cleaned, with their places in that text.

Corpora, translations, labels, label maps, `predict`, `evaluate` and the served model all split and clean text here:

- Every kind of white space splits: the plain space, the no-break ones, the narrow, thin and ideographic ones.
- Invisible marks go: controls, soft hyphens, zero-width and bidirectional marks, byte order marks, tag characters. The
  joiners U+200C and U+200D stay between two other characters, where Hindi, Persian and emoji need them.
- Letters are composed (Unicode's NFC), so that one spelling is one word however it was typed.

What is left of a word that has nothing visible is no word.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

JOINERS = "\u200c\u200d"
SPACE = re.compile("[\t-\r\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
"""What Unicode calls White_Space."""
INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
BETWEEN_SPACES = re.compile("[^ ]+")
SURROGATE = re.compile("[\ud800-\udfff]")
"""A byte that was not UTF-8: Python keeps it as a lone surrogate."""
JAMO = re.compile("[\u1160-\u11ff]")
"""Hangul vowels and final consonants: NFC makes one letter of them and the consonant before."""


@dataclass(frozen=True, slots=True)
class PlacedWord:
    """A cleaned word, and where it stands: `text[start:end]` of the text as it came, in characters."""

    text: str
    start: int
    end: int


def split_words(text: str) -> tuple[PlacedWord, ...]:
    """Return the words of a text with their places; none where it has no visible character."""
    if is_plain(text):
        return tuple(PlacedWord(word[0], *word.span()) for word in BETWEEN_SPACES.finditer(text))
    words = []
    start = 0
    for space in (*SPACE.finditer(text), None):
        end = len(text) if space is None else space.start()
        if word := _clean_piece(text[start:end]):
            words.append(PlacedWord(word, start, end))
        start = len(text) if space is None else space.end()
    return tuple(words)


def clean_words(text: str) -> tuple[str, ...]:
    """Return the words of a text without their places."""
    return tuple(text.split()) if is_plain(text) else tuple(word.text for word in split_words(text))


def is_plain(text: str) -> bool:
    """Tell whether the words of a text are what stands between its plain spaces, as it stands there.

    It may say no of such a text, too: of one with joiners, or with letters that Python does not know yet. Every part of
    a composed text (NFC) is composed, so that many can be looked at in one go.
    """
    return text.isprintable() and unicodedata.is_normalized("NFC", text)


def clean_label(text: str) -> str:
    """Return a label as it is compared: cleaned like text, its words with one plain space between them."""
    return " ".join(clean_words(text))


def without_prefix(label: str, prefix: str) -> str:
    """Take a prefix off a label that is still to be cleaned, also where an invisible mark stands before it."""
    stripped = label.strip()
    return (stripped if stripped.startswith(prefix) else clean_label(label)).removeprefix(prefix)


def continues_letter(character: str) -> bool:
    """Tell whether a character belongs to the letter before it: an accent, a vowel sign, a joiner."""
    is_part = character in JOINERS or JAMO.match(character) is not None
    return is_part or unicodedata.category(character).startswith("M")


def cut_word(text: str, word: PlacedWord, cuts: Sequence[int]) -> tuple[PlacedWord, ...]:
    """Cut a word of a text before these of its characters, rising, none of which continues a letter."""
    if not cuts:
        return (word,)
    places = _letter_places(text, word)
    return tuple(
        PlacedWord(word.text[first:end].strip(JOINERS), places[first][0], places[end - 1][1])
        for first, end in pairwise((0, *cuts, len(word.text)))
    )


def _letter_places(text: str, word: PlacedWord) -> list[tuple[int, int]]:
    """Return, for each character of a word, where the letter that it is part of stands in the text as it came."""
    if text[word.start : word.end] == word.text:
        return [(place, place + 1) for place in range(word.start, word.end)]
    visible = [place for place in range(word.start, word.end) if not INVISIBLE.match(text[place])]
    while text[visible[0]] in JOINERS:
        visible.pop(0)
    letters: list[list[int]] = []
    for place in visible:
        if letters and continues_letter(text[place]):
            letters[-1].append(place)
        else:
            letters.append([place])
    places: list[tuple[int, int]] = []
    for letter in letters:
        composed = unicodedata.normalize("NFC", "".join(text[place] for place in letter))
        places += [(letter[0], letter[-1] + 1)] * len(composed)
    return places


def is_utf8(text: str) -> bool:
    """Tell whether every byte that a text came from was UTF-8."""
    return SURROGATE.search(text) is None


def _clean_piece(piece: str) -> str:
    """Clean what stands between two spaces."""
    cleaned = INVISIBLE.sub("", piece).strip(JOINERS)
    return unicodedata.normalize("NFC", cleaned)
