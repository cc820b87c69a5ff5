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
from dataclasses import dataclass

JOINERS = "\u200c\u200d"
SPACE = re.compile("[\t-\r\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
"""What Unicode calls White_Space."""
INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
SURROGATE = re.compile("[\ud800-\udfff]")
"""A byte that was not UTF-8: Python keeps it as a lone surrogate."""


@dataclass(frozen=True, slots=True)
class PlacedWord:
    """A cleaned word, and where it stands: `text[start:end]` of the text as it came, in characters."""

    text: str
    start: int
    end: int


def split_words(text: str) -> tuple[PlacedWord, ...]:
    """Return the words of a text with their places; none where it has no visible character."""
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
    return tuple(word.text for word in split_words(text))


def clean_label(text: str) -> str:
    """Return a label as it is compared: cleaned like text, its words with one plain space between them."""
    return " ".join(clean_words(text))


def is_utf8(text: str) -> bool:
    """Tell whether every byte that a text came from was UTF-8."""
    return SURROGATE.search(text) is None


def _clean_piece(piece: str) -> str:
    """Clean what stands between two spaces."""
    cleaned = INVISIBLE.sub("", piece).strip(JOINERS)
    return unicodedata.normalize("NFC", cleaned)
