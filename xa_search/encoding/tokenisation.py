"""Words to sub-words. In: the words of utterances, or running text. Out: token ids and, for each word, the one position
that is scored; of running text also where each word stands in it.

Whatever a text says is plain text: no word ever becomes a special token, also where it spells one. Only `BETWEEN`, in a
corpus of pairs, stands for the special tokens that the encoder has between two sentences (`</s></s>` for XLM-R).
Scored positions come from word ids, never from character offsets. Scripts that put no space between words (Thai,
Chinese, Japanese) are tokenised as running text, as the encoder met them in its pre-training: a word is cut where such
a script meets another one, so that a text has the same token ids whether its words are given or not.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from xa_search.corpora.text import PlacedWord, continues_letter, cut_word, split_words
from xa_search.encoding.plain_tokens import WORD_START, WordTokens, as_continuation, plain_tokens, token_id
from xa_search.records import BETWEEN

UNSPACED_SCRIPTS = ("THAI", "LAO", "KHMER", "MYANMAR", "CJK", "HIRAGANA", "KATAKANA")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenisedWords:
    """One utterance. `positions[i]` is the scored position of `words[i]`; words cut off by the limit have none.

    `places` says where each word of running text stands in it, in characters; given words have no places.
    """

    words: tuple[str, ...]
    input_ids: tuple[int, ...]
    positions: tuple[int, ...]
    places: tuple[tuple[int, int], ...] = ()


def is_unspaced(character: str) -> bool:
    """Tell whether the script of a character puts no space between words."""
    return bool(character) and unicodedata.name(character, "").startswith(UNSPACED_SCRIPTS)


def tokenise_words(
    tokenizer: Any, sentences: Sequence[Sequence[str]], max_tokens: int, *, pairs: bool = False
) -> list[TokenisedWords]:
    """Tokenise sentences whose words are given: one scored position a word, its first sub-word.

    `pairs` says that a corpus has no slots: `BETWEEN` divides two sentences then, and words are not cut.
    """
    cut = [[_by_script(word, PlacedWord(word, 0, len(word)), pairs) for word in words] for words in sentences]
    tokens = _tokens_by_word(tokenizer, [[part.text for parts in words for part in parts] for words in cut], pairs)
    tokenised = []
    for words, cut_words, of_parts in zip(sentences, cut, tokens, strict=True):
        rest = iter(of_parts)
        word_ids = [[one for _ in parts for one in next(rest).ids] for parts in cut_words]
        tokenised.append(_assemble(tokenizer, words, word_ids, max_tokens))
    return tokenised


def tokenise_running_text(
    tokenizer: Any, texts: Sequence[str], max_tokens: int, *, pairs: bool = False
) -> list[TokenisedWords]:
    """Tokenise raw text. Words are what white space separates; in an unspaced script each sub-word is a word.

    `pairs` is as in `tokenise_words`: words matter to slots alone, without them text is cut at white space only.
    """
    sentences = [[part for word in split_words(text) for part in _by_script(text, word, pairs)] for text in texts]
    tokens = _tokens_by_word(tokenizer, [[word.text for word in words] for words in sentences], pairs)
    tokenised = []
    for text, words, of_words in zip(texts, sentences, tokens, strict=True):
        pieces: list[PlacedWord] = []
        piece_ids: list[list[int]] = []
        for word, word_tokens in zip(words, of_words, strict=True):
            firsts = [] if pairs or not is_unspaced(word.text[0]) else _piece_starts(tokenizer, word.text, word_tokens)
            pieces += cut_word(text, word, [word_tokens.spans[first][0] for first in firsts])
            piece_ids += _parts_of(word_tokens.ids, firsts)
        found = _assemble(tokenizer, [piece.text for piece in pieces], piece_ids, max_tokens)
        places = tuple((piece.start, piece.end) for piece in pieces)
        tokenised.append(
            TokenisedWords(words=found.words, input_ids=found.input_ids, positions=found.positions, places=places)
        )
    return tokenised


def script_cuts(word: str) -> list[int]:
    """Return before which characters of a word an unspaced script meets another one."""
    if word.isascii():
        return []
    cuts = []
    unspaced = is_unspaced(word[0])
    for place, character in enumerate(word[1:], 1):
        if is_unspaced(character) != unspaced and not continues_letter(character):
            cuts.append(place)
            unspaced = not unspaced
    return cuts


def _by_script(text: str, word: PlacedWord, pairs: bool) -> tuple[PlacedWord, ...]:
    return (word,) if pairs else cut_word(text, word, script_cuts(word.text))


def _parts_of(ids: list[int], firsts: list[int]) -> list[list[int]]:
    return [ids[first:end] for first, end in pairwise((0, *firsts, len(ids)))]


def _piece_starts(tokenizer: Any, word: str, tokens: WordTokens) -> list[int]:
    """Return which tokens of a word begin a word of their own, but for the first: those that begin with a letter.

    A token that begins with an accent or a vowel sign goes on with the letter before it, as does one of the several
    that the tokenizer has made of one character.
    """
    word_start = token_id(tokenizer, WORD_START)
    starts: list[int] = []
    covered = 0
    for number, (one, (start, end)) in enumerate(zip(tokens.ids, tokens.spans, strict=True)):
        if one == word_start:
            continue
        if 0 < covered <= start < len(word) and not continues_letter(word[start]):
            starts.append(number)
        covered = max(covered, end, start + 1)
    return starts


def _tokens_by_word(tokenizer: Any, sentences: Sequence[Sequence[str]], pairs: bool) -> list[list[WordTokens]]:
    """Return the tokens of each word of each sentence, without special tokens; never none."""
    between = WordTokens(_between(tokenizer), []) if pairs and any(BETWEEN in words for words in sentences) else None
    word_start = token_id(tokenizer, WORD_START)
    by_sentence = []
    for words, found in zip(sentences, plain_tokens(tokenizer, sentences), strict=True):
        tokens = [
            as_continuation(tokenizer, one, word_start) if _follows_without_space(words, place) else one
            for place, one in enumerate(found)
        ]
        if between is not None:
            tokens = [between if word == BETWEEN else one for word, one in zip(words, tokens, strict=True)]
        by_sentence.append(tokens)
    return by_sentence


def _between(tokenizer: Any) -> list[int]:
    """Return the special tokens that the tokenizer puts between two texts."""
    pair = tokenizer("a", "a")
    part_of_token = pair.sequence_ids(0)
    second = part_of_token.index(1)
    first_end = second - part_of_token[:second][::-1].index(0)
    return list(pair["input_ids"][first_end:second]) or [tokenizer.sep_token_id]


def _follows_without_space(words: Sequence[str], place: int) -> bool:
    return place > 0 and is_unspaced(_last_letter(words[place - 1])) and is_unspaced(words[place][:1])


def _last_letter(word: str) -> str:
    return next((character for character in reversed(word) if not continues_letter(character)), word[:1])


def _assemble(tokenizer: Any, words: Sequence[str], word_ids: Sequence[list[int]], max_tokens: int) -> TokenisedWords:
    """Join the words' tokens between the special tokens, and mark the scored position of each word."""
    opening, closing = tokenizer.cls_token_id, tokenizer.sep_token_id
    word_start = token_id(tokenizer, WORD_START)
    input_ids = [opening]
    positions: list[int] = []
    for ids in word_ids:
        first = 1 if len(ids) > 1 and ids[0] == word_start else 0
        if len(input_ids) + first + 1 >= max_tokens:
            break
        positions.append(len(input_ids) + first)
        input_ids += ids
    return TokenisedWords(
        words=tuple(words), input_ids=(*input_ids[: max_tokens - 1], closing), positions=tuple(positions)
    )
