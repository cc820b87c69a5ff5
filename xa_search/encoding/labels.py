"""The label set. In: source training utterances. Out: the intents and slot tags that a model can predict.

Labels come from the source training split alone; what only a target or a test split has can never be predicted.
"""

from collections.abc import Iterable, Sequence

from xa_search.records import OUTSIDE, Utterance


def collect_labels(utterances: Iterable[Utterance]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the sorted intents, and the slot tags: `O` first, then B- and I- of each sorted slot type.

    Both tags of a type are kept when only one occurs, so that every predicted span can be continued.
    """
    intents: set[str] = set()
    slot_types: set[str] = set()
    for utterance in utterances:
        intents.add(utterance.intent)
        slot_types.update(tag[2:] for tag in utterance.slots if tag != OUTSIDE)
    tags = [OUTSIDE]
    for slot_type in sorted(slot_types):
        tags += [f"B-{slot_type}", f"I-{slot_type}"]
    return tuple(sorted(intents)), tuple(tags)


def slot_types_of(slot_tags: Sequence[str]) -> tuple[str, ...]:
    """Return the slot types of a label set's tags, in their order."""
    return tuple(dict.fromkeys(tag[2:] for tag in slot_tags if tag != OUTSIDE))
