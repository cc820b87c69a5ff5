"""Verdicts on what a model said of texts. In: the fields of one line of a feedback file. Out: a frozen record.

A verdict judges the intent, the slots, or the whole answer. A thumb down may come with what would have been right.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Verdict = Literal["up", "down"]
Part = Literal["intent", "slots", "all"]
Source = Literal["human", "simulated:source_gold", "simulated:target_gold"]


class Parse(BaseModel):
    """An intent and a tag a word (IOB2); either may be left out of a correction that is about the other."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    intent: str | None = None
    slots: tuple[str, ...] | None = None


class Judgement(BaseModel):
    """One line of `feedback.LANG.jsonl`; a line whose verdict is empty waits for somebody to fill it in.

    `tokens` are the words that `predicted.slots` are about. `source_id` is the utterance of the corpus that the text is
    a translation of, where there is one. `noise` is the share of verdicts that a simulated judge turned round.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1)
    lang: str = Field(min_length=1)
    text: str
    tokens: tuple[str, ...] = ()
    source_id: str | None = None
    predicted: Parse
    verdict: Verdict | None = None
    part: Part = "all"
    corrected: Parse | None = None
    judge: str | None = None
    at: str | None = None
    model: str | None = None
    source: Source = "human"
    noise: float = Field(default=0.0, ge=0, le=1)

    @model_validator(mode="after")
    def _says_what_it_judges(self) -> "Judgement":
        if self.part in ("intent", "all") and self.predicted.intent is None:
            raise ValueError(f"part {self.part} judges an intent, and predicted has none")
        if self.part == "slots" and self.predicted.slots is None:
            raise ValueError("part slots judges slot tags, and predicted has none")
        return self

    @property
    def judges_intent(self) -> bool:
        """Whether the verdict is about the intent."""
        return self.part in ("intent", "all")

    @property
    def judges_slots(self) -> bool:
        """Whether the verdict is about the slot tags, where there are any."""
        return self.part in ("slots", "all") and self.predicted.slots is not None

    def is_target_supervision(self, source_language: str) -> bool:
        """Whether the verdict tells a label of a text in a target language; one from source labels does not."""
        return self.lang != source_language and self.source != "simulated:source_gold"
