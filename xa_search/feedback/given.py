"""The arms of what people gave. In: judgements in some languages. Out: as many judgements an arm, as far as there are.

People do not judge the same utterances in every language, so that the arms differ in their texts as well. Where there
are translations of what was judged in the source, nobody has said so here: `english_projected` is no arm of theirs.
"""

from collections.abc import Sequence

import numpy as np

from xa_search.feedback.arms import shuffle_verdicts
from xa_search.feedback.judgements import Judgement
from xa_search.records.feedback import Arm

GIVEN_STREAM = 15


def given_arm(judgements: Sequence[Judgement], source: str, arm: Arm, seed: int) -> tuple[Judgement, ...]:
    """Return what an arm learns from; nothing where people gave nothing for it.

    `english` and `multilingual` have as many: all that were given in the source language, or where there are more of
    these than can be drawn from all languages alike, so many.
    """
    by_lang = {lang: [one for one in judgements if one.lang == lang] for lang in sorted({j.lang for j in judgements})}
    if arm in ("given", "multilingual_full"):
        return tuple(judgements)
    if arm in ("none", "english_projected") or source not in by_lang:
        return ()
    generator = np.random.default_rng([seed, GIVEN_STREAM])
    share = min(len(by_lang[source]) // len(by_lang), *(len(of_lang) for of_lang in by_lang.values()))
    if len(by_lang) == 1 or not share:
        return tuple(by_lang[source]) if arm == "english" else ()
    drawn = {lang: _draw(of_lang, share, generator) for lang, of_lang in by_lang.items()}
    if arm == "english":
        return _draw(by_lang[source], share * len(by_lang), generator)
    spread = tuple(one for of_lang in drawn.values() for one in of_lang)
    return spread if arm == "multilingual" else shuffle_verdicts(spread, seed)


def _draw(judgements: Sequence[Judgement], count: int, generator: np.random.Generator) -> tuple[Judgement, ...]:
    order = generator.permutation(len(judgements))[:count]
    return tuple(judgements[place] for place in sorted(order.tolist()))
