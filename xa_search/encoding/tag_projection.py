"""Slot tags carried over to a translation. In: the source's tags and which words match. Out: tags of the translation.

A span goes to all words from the first to the last that match one of its words.
"""

from collections.abc import Iterator, Sequence

from xa_search.records import OUTSIDE

Link = tuple[int, int]
"""A source word and the translation's word that matches it, by number."""


def project_tags(tags: Sequence[str], links: Sequence[Link], words: int) -> list[str]:
    """Return IOB2 tags of a translation of so many words.

    A span is dropped where none of its words has a match, or where an earlier span has one of the words it would get.
    """
    projected = [OUTSIDE] * words
    for slot_type, first, end in _spans(tags):
        reached = [target for source, target in links if first <= source < end]
        if not reached:
            continue
        begin, last = min(reached), max(reached)
        if all(tag == OUTSIDE for tag in projected[begin : last + 1]):
            projected[begin : last + 1] = [f"B-{slot_type}"] + [f"I-{slot_type}"] * (last - begin)
    return projected


def _spans(tags: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """Yield the slot type, the first word and the end of each span."""
    first = 0
    for end in range(1, len(tags) + 1):
        if end == len(tags) or tags[end] != f"I-{tags[first][2:]}":
            if tags[first] != OUTSIDE:
                yield tags[first][2:], first, end
            first = end
