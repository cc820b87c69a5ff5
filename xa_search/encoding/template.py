"""What makes two rows the same for a split. In: words, and slot tags. Out: a number for a text, and for its template.

A template is the text with slot types for slot values. Case, punctuation, spaces and numbers are set aside in both, so
that a text is found again however a file splits it into words.
"""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from xa_search.records import OUTSIDE

DIGITS = re.compile(r"\d+")
SET_ASIDE = "PSZC"
"""The first letters of the Unicode categories that are left out: punctuation, symbols, spaces, control characters."""


@lru_cache(maxsize=65536)
def plain_word(word: str) -> str:
    """Return a word without case and punctuation, each number in it as 0."""
    folded = unicodedata.normalize("NFKC", word).casefold()
    return DIGITS.sub("0", "".join(sign for sign in folded if unicodedata.category(sign)[0] not in SET_ASIDE))


def text_key(words: Sequence[str]) -> int:
    """Return a number of 64 bits that equal texts share; a text of nothing but punctuation equals itself alone."""
    return _number("".join(map(plain_word, words)) or " ".join(words))


def template_key(words: Sequence[str], slots: Sequence[str]) -> int:
    """Return a number of 64 bits that texts of one template share; `slots` are IOB2 tags, one a word."""
    pieces = []
    for word, tag in zip(words, slots, strict=True):
        if tag == OUTSIDE:
            pieces.append(plain_word(word))
        elif tag[0] == "B":
            pieces.append(f"<{tag[2:]}>")  # no word keeps such brackets
    return _number("".join(pieces) or " ".join(words))


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big", signed=True)
