"""Test utterances as the page shows them. In: words and IOB2 tags. Out: pieces of text, some of them marked as slots.

A slot type has one colour in a language, and its name beside the words: colour alone says nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from xa_search.records import OUTSIDE
from xa_search.records.report import Example, WeakLanguage

COLOURS = 7
"""How many colours the page's style has for slots; more types than that share them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Some words; those of a slot have its type, and the number of its colour."""

    text: str
    slot: str = ""
    colour: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedExample:
    """An utterance as it is right, and as the winner read it."""

    example: Example
    gold: tuple[Piece, ...]
    predicted: tuple[Piece, ...]


def marked_examples(language: WeakLanguage) -> tuple[MarkedExample, ...]:
    """Return a language's examples with their spans marked."""
    examples = language.mistakes.examples
    tags = (tag for one in examples for tag in (*one.gold_tags, *one.predicted_tags) if tag != OUTSIDE)
    colours = {slot: number % COLOURS for number, slot in enumerate(sorted({tag[2:] for tag in tags}))}
    return tuple(
        MarkedExample(
            example=one,
            gold=pieces_of(one.words, one.gold_tags, colours),
            predicted=pieces_of(one.words, one.predicted_tags, colours),
        )
        for one in examples
    )


def pieces_of(words: Sequence[str], tags: Sequence[str], colours: dict[str, int]) -> tuple[Piece, ...]:
    """Return the words in pieces, a piece a span; I- without its span before it begins one, as conlleval reads it."""
    pieces: list[tuple[str, list[str]]] = []
    for word, tag in zip(words, tags or [OUTSIDE] * len(words), strict=True):
        slot = "" if tag == OUTSIDE else tag[2:]
        goes_on = bool(pieces) and pieces[-1][0] == slot and not tag.startswith("B-")
        if goes_on:
            pieces[-1][1].append(word)
        else:
            pieces.append((slot, [word]))
    return tuple(Piece(text=" ".join(own), slot=slot, colour=colours.get(slot, 0)) for slot, own in pieces)
