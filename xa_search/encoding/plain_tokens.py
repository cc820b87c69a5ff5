"""Words as plain text to a tokenizer. In: words. Out: their token ids, none of them a special token's.

A vocabulary lists `</s>` and its like as pieces, and a tokenizer finds them in any text. A word that holds one is
tokenised in parts, cut behind the first character of each, and joined as one word.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

WORD_START = "▁"


@dataclass(frozen=True, slots=True)
class WordTokens:
    """The tokens of a word: their ids, and which characters of the word each is made of."""

    ids: list[int]
    spans: list[tuple[int, int]]


def plain_tokens(tokenizer: Any, sentences: Sequence[Sequence[str]]) -> list[list[WordTokens]]:
    """Return the tokens of each word of each sentence; one that the tokenizer makes nothing of is the unknown token."""
    unknown = WordTokens([tokenizer.unk_token_id], [(0, 0)])
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    by_sentence = []
    for words, found in zip(sentences, _encode(tokenizer, sentences), strict=True):
        tokens = [
            _in_parts(tokenizer, word, special) if _special_starts(tokenizer, word, one, special) else one
            for word, one in zip(words, found, strict=True)
        ]
        by_sentence.append([one if one.ids else unknown for one in tokens])
    return by_sentence


def as_continuation(tokenizer: Any, tokens: WordTokens, word_start: int | None) -> WordTokens:
    """Drop the mark of a word start from what follows the word, or the part of a word, before it without a space."""
    if word_start is None or not tokens.ids:
        return tokens
    first, *rest = tokens.ids
    if rest and first == word_start:
        return WordTokens(rest, tokens.spans[1:])
    bare = token_id(tokenizer, tokenizer.convert_ids_to_tokens(first).removeprefix(WORD_START))
    return tokens if bare is None else WordTokens([bare, *rest], tokens.spans)


def token_id(tokenizer: Any, token: str) -> int | None:
    """Return the id of a token that the vocabulary has."""
    found: int = tokenizer.convert_tokens_to_ids(token)
    return None if found == tokenizer.unk_token_id else found


def _encode(tokenizer: Any, sentences: Sequence[Sequence[str]]) -> list[list[WordTokens]]:
    if not sentences:
        return []
    encoded = tokenizer(
        [list(words) for words in sentences],
        is_split_into_words=True,
        add_special_tokens=False,
        split_special_tokens=True,
    )
    by_sentence = []
    for number, words in enumerate(sentences):
        tokens = [WordTokens([], []) for _ in words]
        one = encoded[number]
        for token, word, span in zip(one.ids, one.word_ids, one.offsets, strict=True):
            tokens[word].ids.append(token)
            tokens[word].spans.append(span)
        by_sentence.append(tokens)
    return by_sentence


def _special_starts(tokenizer: Any, word: str, tokens: WordTokens, special: set[int]) -> list[int]:
    """Return at which characters of a word a special token begins; the unknown one only where the word spells it."""
    unknown: int = tokenizer.unk_token_id
    if special.isdisjoint(tokens.ids) and unknown not in tokens.ids:
        return []
    starts = []
    for one, (start, end) in zip(tokens.ids, tokens.spans, strict=True):
        if one in special:
            starts.append(start)
        elif one == unknown:
            starts += [start + place for place in _spelt(tokenizer, word[start:end])]
    return starts


def _spelt(tokenizer: Any, unknown: str) -> list[int]:
    """Return where a text spells the unknown token: a tokenizer makes one token of all unknown letters in a row."""
    name: str = tokenizer.unk_token
    if name in unknown:
        return [found.start() for found in re.finditer(re.escape(name), unknown)]
    normalizer = tokenizer.backend_tokenizer.normalizer
    is_spelt = normalizer is not None and len(unknown) > 1 and name in normalizer.normalize_str(unknown)
    return list(range(len(unknown))) if is_spelt else []


def _in_parts(tokenizer: Any, word: str, special: set[int]) -> WordTokens:
    """Tokenise a word in parts none of which is a special token."""
    parts = [word]
    while True:
        (found,) = _encode(tokenizer, [parts])
        smaller = [
            part[first:end]
            for part, tokens in zip(parts, found, strict=True)
            for first, end in pairwise((0, *_cuts(_special_starts(tokenizer, part, tokens, special), part), len(part)))
        ]
        if len(smaller) == len(parts):
            break
        parts = smaller
    word_start = token_id(tokenizer, WORD_START)
    ids: list[int] = []
    spans: list[tuple[int, int]] = []
    for tokens, offset in zip(found, accumulate(map(len, parts), initial=0), strict=False):
        joined = as_continuation(tokenizer, tokens, word_start) if offset else tokens
        ids += [tokenizer.unk_token_id if one in special else one for one in joined.ids]
        spans += [(start + offset, end + offset) for start, end in joined.spans]
    return WordTokens(ids, spans)


def _cuts(starts: list[int], part: str) -> list[int]:
    return sorted({start + 1 for start in starts if start + 1 < len(part)})
