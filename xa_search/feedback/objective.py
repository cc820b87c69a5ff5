"""Feedback as a further objective of training. In: a trainer's model, lessons. Out: a step's gradients and loss terms.

The terms of a step are means over its lessons. Which lessons a step has depends on its number and the seed alone, so
that a trial that was interrupted goes on as if nothing had happened.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from xa_search.encoding.batches import Collator
from xa_search.feedback.lessons import LabelNumbers, Lesson, LessonBatch, ReferenceLogits, collate
from xa_search.feedback.losses import (
    answer_log_probability,
    binary_loss,
    intent_margins,
    preference_loss,
    slot_margins,
    sum_words,
    wrong_answer_loss,
)
from xa_search.records import IGNORED
from xa_search.records.feedback import FeedbackSettings
from xa_search.training.evaluation import Predictor

STREAM = 71
"""The random stream of the order of lessons, apart from those of `training/steps.py`."""
MOMENTUM = 0.9


class RewardShift(nn.Module):
    """The running mean d of `losses`: of the rewards of right answers and of wrong ones, each from 0 on.

    A module, so that it is kept with what a trial goes on from.
    """

    means: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("means", torch.zeros(2))

    @property
    def value(self) -> torch.Tensor:
        """Half the sum of both means."""
        return self.means.mean()

    @torch.no_grad()
    def learn(self, rewards: torch.Tensor, right: torch.Tensor) -> None:
        """Take in the rewards of a step, [N]; a kind of verdict that it lacks stays as it was."""
        for number, kind in enumerate((right, ~right)):
            if bool(kind.any()):
                self.means[number] = MOMENTUM * self.means[number] + (1 - MOMENTUM) * rewards[kind].mean()


def lessons_of_step(count: int, step: int, size: int, seed: int) -> list[int]:
    """Return which of `count` lessons a step has: all of them once, in an order by the seed, then in another one."""
    found: list[int] = []
    place = step * size
    while len(found) < size:
        passed, within = divmod(place + len(found), count)
        order = np.random.default_rng([seed, STREAM, passed]).permutation(count)
        found += order[within : within + size - len(found)].tolist()
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackObjective:
    """The lessons of an arm beside a trainer's other losses."""

    predictor: Predictor
    collator: Collator
    lessons: Sequence[Lesson]
    reference: ReferenceLogits
    settings: FeedbackSettings
    shift: RewardShift

    def __call__(self, step: int) -> dict[str, torch.Tensor]:
        """Add the gradients of a step's lessons to the model's. Return the terms, without their graph."""
        settings, device = self.settings, self.predictor.device
        numbers = lessons_of_step(len(self.lessons), step, settings.lessons_a_step, settings.seed)
        labels = LabelNumbers(self.predictor.corpus.intents, self.predictor.corpus.slot_tags)
        batch = collate([self.lessons[number] for number in numbers], self.collator, self.reference, labels).to(device)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.predictor.precision == "bf16"):
            output = self.predictor.model(batch.batch)
        with torch.autocast(device.type, enabled=False):
            terms = lesson_losses(output.intent_logits.float(), output.slot_logits.float(), batch, settings, self.shift)
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
        return {name: term.detach() for name, term in terms.items()}


def lesson_losses(
    intents: torch.Tensor, slots: torch.Tensor, batch: LessonBatch, settings: FeedbackSettings, shift: RewardShift
) -> dict[str, torch.Tensor]:
    """Return the loss of a batch's lessons by what they judge: intents, slots, and parses that are wrong as a whole.

    `intents` [N, intents] and `slots` [S, tags] are the logits of the model that learns.
    """
    count = len(batch.whole)
    if settings.loss == "sft":
        by_intent, by_slots = _labels_learned(intents, slots, batch)
    else:
        by_intent, by_slots = _preferences_learned(intents, slots, batch, settings.beta, shift)
    wrong = answer_log_probability(intents, batch.rejected_intents)
    wrong = wrong + sum_words(answer_log_probability(slots, batch.rejected_slots), batch.batch.word_counts)
    of_whole = torch.where(batch.whole, wrong_answer_loss(wrong), 0.0)
    return {
        "feedback_intent": torch.where(batch.whole, 0.0, by_intent).sum() / count,
        "feedback_slot": torch.where(batch.whole, 0.0, by_slots).sum() / count,
        "feedback_whole": of_whole.sum() / count,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taught:
    """Which rows have a chosen and a rejected answer, bool [N]."""

    chosen: torch.Tensor
    rejected: torch.Tensor

    @property
    def pair(self) -> torch.Tensor:
        return self.chosen & self.rejected

    @property
    def alone(self) -> torch.Tensor:
        return self.chosen ^ self.rejected


def _taught(batch: LessonBatch) -> tuple[_Taught, _Taught]:
    counts = batch.batch.word_counts
    chosen, rejected = (
        sum_words((tags != IGNORED).float(), counts) > 0 for tags in (batch.chosen_slots, batch.rejected_slots)
    )
    of_intents = _Taught(chosen=batch.chosen_intents != IGNORED, rejected=batch.rejected_intents != IGNORED)
    return of_intents, _Taught(chosen=chosen, rejected=rejected)


def _preferences_learned(
    intents: torch.Tensor, slots: torch.Tensor, batch: LessonBatch, beta: float, shift: RewardShift
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the losses of intents and slots, both [N]: of pairs by preference, of verdicts alone by their reward."""
    of_intents, of_slots = _taught(batch)
    counts = batch.batch.word_counts
    margins = (
        intent_margins(intents, batch.reference_intents, batch.chosen_intents, batch.rejected_intents),
        slot_margins(slots, batch.reference_slots, batch.chosen_slots, batch.rejected_slots, counts),
    )
    said_intents = torch.where(of_intents.chosen, batch.chosen_intents, batch.rejected_intents)
    said_slots = torch.where(batch.chosen_slots != IGNORED, batch.chosen_slots, batch.rejected_slots)
    moved = [
        answer_log_probability(logits, said) - answer_log_probability(reference, said)
        for logits, reference, said in (
            (intents, batch.reference_intents, said_intents),
            (slots, batch.reference_slots, said_slots),
        )
    ]
    rewards = (beta * moved[0], beta * sum_words(moved[1], counts))
    # The shift is that of the steps before: what a step itself moves is not taken off it.
    before = shift.value.clone()
    found = []
    for taught, margin, reward in zip((of_intents, of_slots), margins, rewards, strict=True):
        by_reward = binary_loss(reward, taught.chosen, before)
        found.append(torch.where(taught.pair, preference_loss(margin, beta), torch.where(taught.alone, by_reward, 0.0)))
    alone = [one.alone & ~batch.whole for one in (of_intents, of_slots)]
    shift.learn(
        torch.cat([reward.detach()[which] for reward, which in zip(rewards, alone, strict=True)]),
        torch.cat([one.chosen[which] for one, which in zip((of_intents, of_slots), alone, strict=True)]),
    )
    return found[0], found[1]


def _labels_learned(
    intents: torch.Tensor, slots: torch.Tensor, batch: LessonBatch
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the losses of the control, both [N]: cross entropy of what is chosen, and 1 - p of what is rejected alone.

    Of tags the cross entropy is the mean over the words, as in `slot_loss`.
    """
    of_intents, of_slots = _taught(batch)
    counts = batch.batch.word_counts
    by_intent = torch.where(
        of_intents.chosen,
        -answer_log_probability(intents, batch.chosen_intents),
        wrong_answer_loss(answer_log_probability(intents, batch.rejected_intents)),
    )
    right = -sum_words(answer_log_probability(slots, batch.chosen_slots), counts) / counts.clamp(min=1)
    wrong = wrong_answer_loss(sum_words(answer_log_probability(slots, batch.rejected_slots), counts))
    by_slots = torch.where(of_slots.chosen, right, wrong)
    return (
        torch.where(of_intents.chosen | of_intents.rejected, by_intent, 0.0),
        torch.where(of_slots.chosen | of_slots.rejected, by_slots, 0.0),
    )
