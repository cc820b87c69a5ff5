"""The loss of each method's first step, against one computed by hand: row by row, in plain arithmetic."""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, log, log1p
from typing import Any

import pytest
import torch

from xa_search.encoding.table import EncodedRow
from xa_search.records import TrialJob
from xa_search.training.objective import compute_losses
from xa_search.training.steps import step_batches
from xa_search.training.trainer import Trainer, build_trainer

Numbers = list[float]
WEIGHTS = {"align": 2.0, "contrastive": 3.0, "translate_intent": 5.0, "slot_presence": 7.0}
METHODS: dict[str, tuple[str, ...]] = {
    "zero_shot": (),
    "target": (),
    "target_english": (),
    "translate_train": (),
    "xeroalign": ("align",),
    "english_only": ("align",),
    "cross_aligner": ("align", "contrastive", "translate_intent", "slot_presence"),
}
"""The losses between pairs of each method."""


@dataclass(frozen=True)
class Answer:
    """What the model says of one row that went through it alone."""

    sentence: Numbers
    intent: Numbers
    tags: list[Numbers]
    presence: Numbers


def answer(trainer: Trainer, row: EncodedRow) -> Answer:
    with torch.no_grad():
        output = trainer.model(trainer.collator([row]))
    presence = output.presence_logits
    return Answer(
        sentence=output.sentence[0].tolist(),
        intent=output.intent_logits[0].tolist(),
        tags=output.slot_logits.tolist(),
        presence=[] if presence is None else presence[0].tolist(),
    )


def surprise(logits: Numbers, label: int) -> float:
    """The cross entropy of one label."""
    highest = max(logits)
    return highest + log(sum(exp(one - highest) for one in logits)) - logits[label]


def mean(values: Numbers) -> float:
    return sum(values) / len(values)


def cosine(one: Numbers, other: Numbers) -> float:
    def dot(left: Numbers, right: Numbers) -> float:
        return sum(a * b for a, b in zip(left, right, strict=True))

    return dot(one, other) / (dot(one, one) * dot(other, other)) ** 0.5


def presence_by_hand(logits: Numbers, present: Numbers) -> float:
    return sum(log1p(exp(-one)) if there else log1p(exp(one)) for one, there in zip(logits, present, strict=True))


def pair_losses_by_hand(trainer: Trainer, sources: list[EncodedRow], partners: list[EncodedRow]) -> dict[str, float]:
    ours, theirs = ([answer(trainer, row) for row in rows] for rows in (sources, partners))
    intents = [trainer.job.corpus.intents.index(row.intent or "") for row in sources]
    sims = [[cosine(one.sentence, other.sentence) / 0.05 for other in theirs] for one in ours]
    forth = mean([surprise(line, place) for place, line in enumerate(sims)])
    back = mean([surprise(list(line), place) for place, line in enumerate(zip(*sims, strict=True))])
    present = [1.0]  # the rooms' one slot type, which every utterance has
    return {
        "align": mean(
            [
                (a - b) ** 2
                for o, t in zip(ours, theirs, strict=True)
                for a, b in zip(o.sentence, t.sentence, strict=True)
            ]
        ),
        "contrastive": (forth + back) / 2,
        "translate_intent": mean([surprise(t.intent, intent) for t, intent in zip(theirs, intents, strict=True)]),
        "slot_presence": sum(
            mean([presence_by_hand(one.presence, present) for one in side])
            for side in (ours, theirs)
            if ours[0].presence
        ),
    }


@pytest.mark.parametrize("method", METHODS)
def test_a_methods_loss_by_hand(method: str, make_job: Callable[..., TrialJob]) -> None:
    weights: dict[str, Any] = {f"{name}_weight": weight for name, weight in WEIGHTS.items()}
    trainer = build_trainer(make_job(method=method, dropout=0.0, **weights))
    trainer.model.train()
    step = next(step_batches(trainer.data, trainer.collator, trainer.job.settings, 0))
    rows, corpus = step.rows, trainer.job.corpus
    answers = [answer(trainer, row) for row in rows.task]
    expected = mean(
        [
            surprise(said.intent, corpus.intents.index(row.intent or ""))
            for said, row in zip(answers, rows.task, strict=True)
        ]
    )
    expected += mean(
        [
            surprise(logits, corpus.slot_tags.index(tag))
            for said, row in zip(answers, rows.task, strict=True)
            for logits, tag in zip(said.tags, row.slots or [], strict=True)
        ]
    )
    if METHODS[method]:
        found = pair_losses_by_hand(trainer, [rows.task[place] for place in rows.places], rows.partners)
        expected += sum(WEIGHTS[name] * found[name] for name in METHODS[method])
    assert bool(rows.partners) == bool(METHODS[method])
    total = compute_losses(trainer.model, step, trainer.job.settings, trainer.micro_batches.weights.factors()).total
    assert float(total.detach()) == pytest.approx(expected, rel=1e-4)
