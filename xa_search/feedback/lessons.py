"""What a verdict teaches. In: judgements and the rows that they are about. Out: labels chosen and rejected, as numbers.

- a thumb up: the prediction is chosen
- a thumb down with a correction: the correction is chosen and the prediction rejected, where the two differ
- a thumb down alone: the prediction is rejected; of a whole parse nobody knows which part is wrong
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from xa_search.encoding.batches import Batch, Collator
from xa_search.encoding.table import EncodedRow
from xa_search.feedback.judgements import Judgement, Parse
from xa_search.records import IGNORED


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """A text with a chosen and a rejected answer; a part that is None teaches nothing.

    `whole`: the rejected parse is wrong as a whole, in its intent or in its tags. `place` is the row's place among all
    rows that the reference was asked about.
    """

    place: int
    row: EncodedRow
    chosen: Parse
    rejected: Parse
    whole: bool = False


def lesson_of(judgement: Judgement, row: EncodedRow, place: int) -> Lesson:
    """Return what a judgement teaches. Raises ValueError without a verdict."""
    said = Parse(
        intent=judgement.predicted.intent if judgement.judges_intent else None,
        slots=judgement.predicted.slots if judgement.judges_slots else None,
    )
    if judgement.verdict is None:
        raise ValueError(f"{judgement.id} has no verdict")
    if judgement.verdict == "up":
        return Lesson(place=place, row=row, chosen=said, rejected=Parse())
    corrected = judgement.corrected
    if corrected is None:
        whole = said.intent is not None and said.slots is not None
        return Lesson(place=place, row=row, chosen=Parse(), rejected=said, whole=whole)
    # A part that the correction leaves as it was is chosen: somebody looked at it and let it stand.
    right = Parse(
        intent=None if said.intent is None else corrected.intent or said.intent,
        slots=None if said.slots is None else corrected.slots or said.slots,
    )
    wrong = Parse(
        intent=None if right.intent == said.intent else said.intent,
        slots=None if right.slots == said.slots else said.slots,
    )
    return Lesson(place=place, row=row, chosen=right, rejected=wrong)


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonBatch:
    """N lessons as tensors, and what the reference says of their rows.

    Intents are [N], tags [S] of the scored words; IGNORED where nothing is taught. `whole` is bool [N].
    `reference_intents` [N, intents] and `reference_slots` [S, tags] are the reference's logits.
    """

    batch: Batch
    chosen_intents: torch.Tensor
    rejected_intents: torch.Tensor
    chosen_slots: torch.Tensor
    rejected_slots: torch.Tensor
    whole: torch.Tensor
    reference_intents: torch.Tensor
    reference_slots: torch.Tensor

    def to(self, device: torch.device) -> "LessonBatch":
        """Return the batch on a device."""
        return LessonBatch(
            batch=self.batch.to(device),
            chosen_intents=self.chosen_intents.to(device),
            rejected_intents=self.rejected_intents.to(device),
            chosen_slots=self.chosen_slots.to(device),
            rejected_slots=self.rejected_slots.to(device),
            whole=self.whole.to(device),
            reference_intents=self.reference_intents.to(device),
            reference_slots=self.reference_slots.to(device),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceLogits:
    """What the frozen reference says of R rows: intents [R, intents], and tags [words, tags] of one row after another.

    `starts` [R + 1] says where the words of each row begin.
    """

    intents: torch.Tensor
    slots: torch.Tensor
    starts: torch.Tensor

    def of(self, places: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the logits of some rows, in their order."""
        words = [self.slots[self.starts[place] : self.starts[place + 1]] for place in places]
        return self.intents[list(places)], torch.cat(words)


def collate(
    lessons: Sequence[Lesson], collator: Collator, reference: ReferenceLogits, numbers: "LabelNumbers"
) -> LessonBatch:
    """Return the lessons as tensors."""
    intents, slots = reference.of([lesson.place for lesson in lessons])
    return LessonBatch(
        batch=collator([lesson.row for lesson in lessons]),
        chosen_intents=numbers.intents([lesson.chosen for lesson in lessons]),
        rejected_intents=numbers.intents([lesson.rejected for lesson in lessons]),
        chosen_slots=numbers.slots(lessons, [lesson.chosen for lesson in lessons]),
        rejected_slots=numbers.slots(lessons, [lesson.rejected for lesson in lessons]),
        whole=torch.tensor([lesson.whole for lesson in lessons]),
        reference_intents=intents,
        reference_slots=slots,
    )


class LabelNumbers:
    """The numbers of a label set; a label that it lacks is IGNORED."""

    def __init__(self, intents: Sequence[str], slot_tags: Sequence[str]) -> None:
        self._intents: Mapping[str, int] = {intent: number for number, intent in enumerate(intents)}
        self._tags: Mapping[str, int] = {tag: number for number, tag in enumerate(slot_tags)}

    def intents(self, parses: Sequence[Parse]) -> torch.Tensor:
        """Return the intent of each parse, int64 [N]."""
        return torch.tensor([self._intents.get(parse.intent or "", IGNORED) for parse in parses], dtype=torch.int64)

    def slots(self, lessons: Sequence[Lesson], parses: Sequence[Parse]) -> torch.Tensor:
        """Return the tags of the scored words of each parse, int64 [S]."""
        found: list[int] = []
        for lesson, parse in zip(lessons, parses, strict=True):
            words = len(lesson.row.positions)
            tags = [None] * words if parse.slots is None else [*parse.slots[:words]]
            found += [IGNORED if tag is None else self._tags.get(tag, IGNORED) for tag in tags]
        return torch.tensor(found, dtype=torch.int64)
