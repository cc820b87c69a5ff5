"""Records of the stage that learns from feedback. In: nothing. Out: its settings, and the job of one of its trials."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from xa_search.records.trial import TrialJob, TrialSettings

Arm = Literal[
    "none", "english", "multilingual", "english_projected", "multilingual_full", "shuffled", "given"
]  # fmt: skip
"""Whose judgements a trial learns from: `given` is all that people gave, the others hold languages against another."""

PEOPLE = "people"
"""Who judged, where nobody was simulated."""


class FeedbackSettings(TrialSettings):
    """What decides how a trial learns from feedback: the reference's settings, and these.

    Its learning rate, epochs and seed are the trial's own; `kept_epoch` is `last`, so that all arms take equal steps.
    """

    arm: Arm
    """Whose judgements it learns from."""
    judgements: int = Field(default=0, ge=0)
    """How many judgements the arm was given; what it has beyond them are copies."""
    beta: float = Field(default=0.1, gt=0)
    """How strongly it is held to the reference: the factor before the difference of log-probabilities."""
    loss: Literal["preference", "sft"] = "preference"
    """`preference` over the frozen reference, or as a control the cross entropy of the corrections."""
    lessons_a_step: int = Field(default=16, ge=1)
    """Judged texts a step, beside `batch_size` labelled source utterances."""
    reference: str = ""
    """The model that it goes on from: a search and its trial."""
    judged_by: str = ""
    """Who judged: people, or how their judgements were simulated."""
    supervision: Literal["none", "target_feedback"] = "none"
    """`target_feedback` where a verdict told a label of a text in a target language: that is not zero-shot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackJob(TrialJob):
    """What a worker needs to let the reference learn from the judgements of an arm."""

    reference: Path
    """The weights of the reference."""
    judged: Path
    """The file of the arm's judgements."""
