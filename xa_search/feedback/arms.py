"""The arms of the comparison. In: a pool judged in every language, N. Out: the judgements that each arm learns from.

All arms are given N judgements of the same N utterances, but for `multilingual_full`, which says so. An utterance that
is judged counts once, also where its intent and its slots have a verdict each.
"""

from collections.abc import Mapping, Sequence
from typing import get_args

import numpy as np

from xa_search.feedback.judgements import Judgement
from xa_search.records.feedback import Arm

EVERY_ARM: tuple[Arm, ...] = get_args(Arm)
ARMS: tuple[Arm, ...] = tuple(arm for arm in EVERY_ARM if arm != "given")
"""Those that are held against each other."""
Judged = Mapping[str, Mapping[str, tuple[Judgement, ...]]]
"""By language, then by the utterance's id in the source: its verdicts in that language."""
ARM_STREAM, SHUFFLE_STREAM, DRAW_STREAM = 11, 12, 13


def draw_ids(
    ids: Sequence[str], count: int, seed: int, uncertainty: Mapping[str, float] | None = None
) -> tuple[str, ...]:
    """Draw utterances to be judged: uniformly, or with `uncertainty` those of which the reference is least sure.

    Raises ValueError where there are fewer.
    """
    if count > len(ids):
        raise ValueError(f"{count} judgements were asked for, and {len(ids)} utterances can be judged")
    if uncertainty is not None:
        return tuple(sorted(sorted(ids, key=lambda one: -uncertainty[one])[:count]))
    order = np.random.default_rng([seed, DRAW_STREAM]).permutation(len(ids))[:count]
    return tuple(ids[place] for place in sorted(order.tolist()))


def arm_judgements(arm: Arm, judged: Judged, source: str, ids: Sequence[str], seed: int) -> tuple[Judgement, ...]:
    """Return what an arm learns from, of these utterances' verdicts; `source` is the labelled language."""
    if arm == "none":
        return ()
    if arm == "english":
        return tuple(one for utterance in ids for one in judged[source][utterance])
    if arm == "multilingual_full":
        return tuple(one for of_lang in judged.values() for utterance in ids for one in of_lang[utterance])
    if arm == "english_projected":
        return _projected(judged, source, ids)
    in_one_language = _each_in_one_language(judged, ids, seed)
    return in_one_language if arm == "multilingual" else shuffle_verdicts(in_one_language, seed)


def shuffle_verdicts(judgements: Sequence[Judgement], seed: int) -> tuple[Judgement, ...]:
    """Give each judgement the verdict of another one of its language and part; what they teach is chance.

    A correction goes with its verdict where it fits the other text; else a thumb down stands alone.
    """
    groups: dict[tuple[str, str], list[int]] = {}
    for place, one in enumerate(judgements):
        groups.setdefault((one.lang, one.part), []).append(place)
    found = list(judgements)
    generator = np.random.default_rng([seed, SHUFFLE_STREAM])
    for places in groups.values():
        for place, other in zip(places, generator.permutation(places).tolist(), strict=True):
            found[place] = _with_verdict(judgements[place], judgements[other])
    return tuple(found)


def _with_verdict(judgement: Judgement, other: Judgement) -> Judgement:
    corrected = other.corrected
    if corrected is not None and judgement.judges_slots and judgement.predicted.slots is not None:
        tags = corrected.slots
        if tags is not None and len(tags) != len(judgement.predicted.slots):
            corrected = None
    if corrected == judgement.predicted:
        corrected = None
    return judgement.model_copy(update={"verdict": other.verdict, "corrected": corrected})


def _each_in_one_language(judged: Judged, ids: Sequence[str], seed: int) -> tuple[Judgement, ...]:
    languages = tuple(judged)
    order = np.random.default_rng([seed, ARM_STREAM]).permutation(len(ids))
    lang_of = {ids[place]: languages[turn % len(languages)] for turn, place in enumerate(order.tolist())}
    return tuple(one for utterance in ids for one in judged[lang_of[utterance]][utterance])


def _projected(judged: Judged, source: str, ids: Sequence[str]) -> tuple[Judgement, ...]:
    """Copy the verdict on a source utterance's intent to its translations; where slots lie there, nobody has said."""
    found: list[Judgement] = []
    for utterance in ids:
        for one in judged[source][utterance]:
            found.append(one)
            if one.part == "intent":
                found += [_copied(one, judged[lang][utterance][0]) for lang in judged if lang != source]
    return tuple(found)


def _copied(verdict: Judgement, translation: Judgement) -> Judgement:
    return verdict.model_copy(
        update={
            "id": f"{verdict.id}:{translation.lang}",
            "lang": translation.lang,
            "text": translation.text,
            "tokens": translation.tokens,
            # A verdict on the source is none on the translation: no target label was told.
            "source": "simulated:source_gold",
        }
    )
