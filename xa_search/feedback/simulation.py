"""Simulated judges. In: predictions and gold labels. Out: judgements, marked as simulated, with the judge's noise.

A judge compares a prediction with the gold label and says up or down; with the probability `noise` the opposite. With
the probability `corrections` a thumb down comes with a correction: the gold label, or where the judge errs a wrong one.
Whether and how a judge errs depends on the seed, the text's language, its utterance and the part alone: the same text
is judged alike in every arm.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xa_search.encoding.table import EncodedRow
from xa_search.feedback.arms import Judged
from xa_search.feedback.judgements import Judgement, Parse, Source, Verdict
from xa_search.records import OUTSIDE
from xa_search.training.evaluation import Prediction

JUDGE_STREAM = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """How a simulated judge judges; the labels are those that a wrong correction is drawn from."""

    noise: float
    corrections: float
    seed: int
    intents: tuple[str, ...]
    slot_tags: tuple[str, ...]

    def __str__(self) -> str:
        return f"simulated from gold: {self.noise:.0%} noise, corrections given with probability {self.corrections:g}"

    def intent(self, said: str, gold: str, place: str) -> tuple[Verdict, str | None]:
        """Return a verdict on an intent, and the correction, if one is given."""
        errs, corrects, generator = self._draws(place, "intent")
        if (said == gold) != errs:
            return "up", None
        wrong = [intent for intent in self.intents if intent != said]
        right = gold if said != gold else wrong[int(generator.integers(len(wrong)))]
        return "down", right if corrects else None

    def slots(self, said: tuple[str, ...], gold: tuple[str, ...], place: str) -> tuple[Verdict, tuple[str, ...] | None]:
        """Return a verdict on the tags of a text, and the correction, if one is given."""
        errs, corrects, generator = self._draws(place, "slots")
        if (said == gold) != errs:
            return "up", None
        return "down", (gold if said != gold else self._other_tags(said, generator)) if corrects else None

    def _other_tags(self, said: tuple[str, ...], generator: np.random.Generator) -> tuple[str, ...]:
        """Return other legal tags: one slot of another type, or where there is none one word that is a slot."""
        begins = [tag for tag in self.slot_tags if tag.startswith("B-")]
        starts = [place for place, tag in enumerate(said) if tag != OUTSIDE] or list(range(len(said)))
        place = starts[int(generator.integers(len(starts)))]
        old = said[place][2:]
        others = [tag for tag in begins if tag[2:] != old]
        if not others:
            return tuple([OUTSIDE] * len(said))
        new = others[int(generator.integers(len(others)))]
        tags = list(said)
        while place > 0 and tags[place].startswith("I-"):
            place -= 1
        tags[place] = new
        for after in range(place + 1, len(tags)):
            if tags[after] != f"I-{old}":
                break
            tags[after] = f"I-{new[2:]}"
        return tuple(tags)

    def _draws(self, place: str, part: str) -> tuple[bool, bool, np.random.Generator]:
        generator = np.random.default_rng([self.seed, JUDGE_STREAM, zlib.crc32(f"{place}:{part}".encode())])
        errs, corrects = generator.random(2)
        return bool(errs < self.noise), bool(corrects < self.corrections), generator


def judge_pool(
    rows: Mapping[str, Sequence[EncodedRow]],
    said: Mapping[str, Sequence[Prediction]],
    judge: Judge,
    sources: Mapping[str, Source],
    model: str,
) -> Judged:
    """Return the verdicts on what a model said of a pool in every language.

    `rows[lang][i]` carries the gold labels; without tags (None) only its intent is judged. Its `id` is that of the
    utterance in the source. `sources` says by language where the gold labels come from.
    """
    return {
        lang: {
            row.id: _judged(row, one, judge, lang, sources[lang], model)
            for row, one in zip(of_lang, said[lang], strict=True)
        }
        for lang, of_lang in rows.items()
    }


def _judged(
    row: EncodedRow, said: Prediction, judge: Judge, lang: str, source: Source, model: str
) -> tuple[Judgement, ...]:
    common: dict[str, Any] = {
        "lang": lang,
        "text": " ".join(row.words),
        "tokens": tuple(row.words),
        "source_id": row.id,
        "model": model,
        "source": source,
        "noise": judge.noise,
        "judge": "simulated",
    }
    verdict, intent = judge.intent(said.intent, row.intent or "", f"{lang}:{row.id}")
    found = [
        Judgement(
            id=f"{lang}:{row.id}:intent",
            predicted=Parse(intent=said.intent),
            part="intent",
            verdict=verdict,
            corrected=None if intent is None else Parse(intent=intent),
            **common,
        )
    ]
    if row.slots is not None and row.words:
        verdict, tags = judge.slots(said.slots, tuple(row.slots), f"{lang}:{row.id}")
        found.append(
            Judgement(
                id=f"{lang}:{row.id}:slots",
                predicted=Parse(slots=said.slots),
                part="slots",
                verdict=verdict,
                corrected=None if tags is None else Parse(slots=tags),
                **common,
            )
        )
    return tuple(found)
