"""Words to sub-words. In: the words of utterances. Out: token ids and, for each word, the one position that is scored.

Between the two sentences of a pair stand the special tokens that the encoder has for it (`</s></s>` for XLM-R).
Positions come from word ids, never from character offsets. Scripts that put no space between words (Thai, Chinese,
Japanese) are tokenised as running text, as the encoder met them in its pre-training.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from xa_search.records import BETWEEN

WORD_START = "▁"
UNSPACED_SCRIPTS = ("THAI", "LAO", "KHMER", "MYANMAR", "CJK", "HIRAGANA", "KATAKANA")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenisedWords:
    """One utterance. `positions[i]` is the scored position of `words[i]`; words cut off by the limit have none."""

    words: tuple[str, ...]
    input_ids: tuple[int, ...]
    positions: tuple[int, ...]


def is_unspaced(character: str) -> bool:
    """Tell whether the script of a character puts no space between words."""
    return unicodedata.name(character, "").startswith(UNSPACED_SCRIPTS)


def tokenise_words(tokenizer: Any, sentences: Sequence[Sequence[str]], max_tokens: int) -> list[TokenisedWords]:
    """Tokenise sentences whose words are given: one scored position a word, its first sub-word."""
    return [
        _assemble(tokenizer, words, word_tokens, max_tokens)
        for words, word_tokens in zip(sentences, _tokens_by_word(tokenizer, sentences), strict=True)
    ]


def tokenise_running_text(tokenizer: Any, texts: Sequence[str], max_tokens: int) -> list[TokenisedWords]:
    """Tokenise raw text. Words are what white space separates; in an unspaced script each sub-word is a word."""
    sentences = [split_scripts(text) for text in texts]
    tokenised = []
    for words, word_tokens in zip(sentences, _tokens_by_word(tokenizer, sentences), strict=True):
        pieces: list[str] = []
        piece_tokens: list[list[int]] = []
        for word, tokens in zip(words, word_tokens, strict=True):
            surfaces = _piece_surfaces(tokenizer, word, tokens)
            pieces += [surface for surface, _ in surfaces]
            piece_tokens += [ids for _, ids in surfaces]
        tokenised.append(_assemble(tokenizer, pieces, piece_tokens, max_tokens))
    return tokenised


def split_scripts(text: str) -> list[str]:
    """Split at white space, and where an unspaced script meets another one."""
    words: list[str] = []
    for chunk in text.split():
        start = 0
        for index in range(1, len(chunk)):
            if _joins_scripts(chunk[index - 1], chunk[index]):
                words.append(chunk[start:index])
                start = index
        words.append(chunk[start:])
    return words


def _joins_scripts(left: str, right: str) -> bool:
    combining = unicodedata.category(right).startswith("M")
    return not combining and is_unspaced(left) != is_unspaced(right)


def _tokens_by_word(tokenizer: Any, sentences: Sequence[Sequence[str]]) -> list[list[list[int]]]:
    """Return the token ids of each word of each sentence, without special tokens; never an empty list."""
    if not sentences:
        return []
    safe = [[word if word.strip() else tokenizer.unk_token for word in words] for words in sentences]
    encoded = tokenizer(safe, is_split_into_words=True, add_special_tokens=False)
    word_start = _token_id(tokenizer, WORD_START)
    between = _between(tokenizer) if any(BETWEEN in words for words in sentences) else []
    by_sentence = []
    for index, words in enumerate(safe):
        tokens: list[list[int]] = [[] for _ in words]
        for token, word_index in zip(encoded["input_ids"][index], encoded.word_ids(index), strict=True):
            tokens[word_index].append(token)
        if word_start is not None:
            tokens = [
                _as_continuation(tokenizer, ids, word_start) if _follows_without_space(words, i) else ids
                for i, ids in enumerate(tokens)
            ]
        by_sentence.append(
            [
                between if word == BETWEEN else ids or [tokenizer.unk_token_id]
                for word, ids in zip(words, tokens, strict=True)
            ]
        )
    return by_sentence


def _between(tokenizer: Any) -> list[int]:
    """Return the special tokens that the tokenizer puts between two texts."""
    pair = tokenizer("a", "a")
    part_of_token = pair.sequence_ids(0)
    second = part_of_token.index(1)
    first_end = second - part_of_token[:second][::-1].index(0)
    return list(pair["input_ids"][first_end:second]) or [tokenizer.sep_token_id]


def _token_id(tokenizer: Any, token: str) -> int | None:
    found: int = tokenizer.convert_tokens_to_ids(token)
    return None if found == tokenizer.unk_token_id else found


def _follows_without_space(words: Sequence[str], index: int) -> bool:
    return index > 0 and is_unspaced(words[index - 1][-1]) and is_unspaced(words[index][0])


def _as_continuation(tokenizer: Any, ids: list[int], word_start: int) -> list[int]:
    """Drop the mark of a word start from a word that follows the one before it without a space."""
    if len(ids) > 1 and ids[0] == word_start:
        return ids[1:]
    if ids:
        bare = _token_id(tokenizer, tokenizer.convert_ids_to_tokens(ids[0]).removeprefix(WORD_START))
        if bare is not None:
            return [bare, *ids[1:]]
    return ids


def _piece_surfaces(tokenizer: Any, word: str, tokens: list[int]) -> list[tuple[str, list[int]]]:
    if not is_unspaced(word[0]):
        return [(word, tokens)]
    pieces: list[tuple[str, list[int]]] = []
    pending: list[int] = []
    for token in tokens:
        surface = tokenizer.convert_ids_to_tokens(token).removeprefix(WORD_START)
        pending.append(token)
        if surface:
            pieces.append((surface, pending))
            pending = []
    return pieces or [(word, tokens)]


def _assemble(
    tokenizer: Any, words: Sequence[str], word_tokens: Sequence[list[int]], max_tokens: int
) -> TokenisedWords:
    """Join the words' tokens between the special tokens, and mark the scored position of each word."""
    opening, closing = tokenizer.cls_token_id, tokenizer.sep_token_id
    word_start = _token_id(tokenizer, WORD_START)
    input_ids = [opening]
    positions: list[int] = []
    for tokens in word_tokens:
        first = 1 if len(tokens) > 1 and tokens[0] == word_start else 0
        if len(input_ids) + first + 1 >= max_tokens:
            break
        positions.append(len(input_ids) + first)
        input_ids += tokens
    return TokenisedWords(
        words=tuple(words), input_ids=(*input_ids[: max_tokens - 1], closing), positions=tuple(positions)
    )
