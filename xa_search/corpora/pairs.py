"""Whether pairs belong together. In: a corpus and a target. Out: how far both sides agree, and what chance would give.

However pairs are joined, by line or by id, a true translation has the numbers of its source, its names, and about its
length; where both sides have labels, the same intent and slot types. Each is held against the same pairs shuffled. A
join is at chance where the labels agree no better than that, or where nothing of the text does; also where that is so
for a part of the file in order, as in one that is shifted from some line on.

Of a target's labels only this check takes notice. They reach neither training nor selection.
"""

import math
import random
import re
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from xa_search.corpora.corpus import Corpus, find_translations, read_translations
from xa_search.corpora.rows import Row
from xa_search.records import OUTSIDE

SAMPLE = 2000
BLOCKS = 10
PAIRS_A_BLOCK = 100
SHUFFLES = 20
SEED = 20210505
ENOUGH_LABELS = 30
ENOUGH_LENGTHS = 5
"""So many different lengths each side must have for their order to say anything."""
ABOVE_CHANCE = 3.0
"""In standard deviations of what chance gives."""
TELLING = 4.0
"""A sign can tell a join from chance where agreement halfway to perfect would lie so far above it."""
DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """One sign: in how many pairs it can be seen, how far they agree, from 0 to 1, and how far by chance."""

    sign: str
    pairs: int
    agreement: float
    by_chance: float
    above_chance: bool
    tells: bool  # there is enough of it to tell a join from chance

    def __str__(self) -> str:
        if self.sign == "lengths":
            return f"lengths correlate by {self.agreement:.2f}, by chance 0"
        return f"{self.sign} agree in {100 * self.agreement:.1f}%, by chance {100 * self.by_chance:.1f}%"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairCheck:
    """How far the pairs of a language agree; `fault` says what is at chance, and is empty where nothing is."""

    lang: str
    translations: int
    agreements: tuple[Agreement, ...]
    unread: Mapping[str, int] = field(default_factory=dict)  # rows of the file that cannot be read, by keys of DROPS
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What of a pair is compared; `intent` and `types` of the target are none where it has no labels."""

    source_id: str
    source_words: tuple[str, ...]
    words: tuple[str, ...]
    source_intent: str
    source_types: tuple[str, ...]
    intent: str | None = None
    types: tuple[str, ...] | None = None


def check_pairs(corpus: Corpus, lang: str) -> PairCheck:
    """Count a language's pairs, and compare a sample of them, in the order of their file."""
    unread: Counter[str] = Counter()
    translations, pairs = sample_pairs(corpus, lang, unread)
    agreements = compare(pairs)
    fault = at_chance(agreements)
    if not fault:
        count = min(BLOCKS, len(pairs) // PAIRS_A_BLOCK)
        for number in range(count if count > 1 else 0):
            block = pairs[number * len(pairs) // count : (number + 1) * len(pairs) // count]
            if found := at_chance(compare(block)):
                first, last = block[0].source_id, block[-1].source_id
                fault = f"in part {number + 1} of {count}, {first} to {last}, {found}"
                break
    return PairCheck(
        lang=lang,
        translations=translations,
        unread=dict(unread.most_common()),
        agreements=agreements,
        fault=f"{lang}: {fault}: {_advice(corpus, lang)}" if fault else "",
    )


def sample_pairs(corpus: Corpus, lang: str, unread: Counter[str]) -> tuple[int, list[Pair]]:
    """Return how many pairs there are, and some evenly spread over the file of the translations.

    What of that file cannot be read is counted into `unread`, by the keys of DROPS.
    """
    translated: dict[str, tuple[tuple[str, ...], Row | None]] = {}
    stride, count = 1, 0
    for translation, row in read_translations(corpus, lang, unread):
        if count % stride == 0:
            translated[translation.source_id] = translation.words, row
        if len(translated) > 2 * SAMPLE:
            stride *= 2
            translated = dict(list(translated.items())[::2])
        count += 1
    kept = list(translated)
    kept = [kept[number * len(kept) // SAMPLE] for number in range(SAMPLE)] if len(kept) > SAMPLE else kept
    sources = corpus.source_utterances(set(kept))
    labels = _target_labels(corpus, lang, [row for one in kept if (row := translated[one][1]) is not None])
    return count, [
        Pair(
            source_id=source_id,
            source_words=source.words,
            words=translated[source_id][0],
            source_intent=source.intent,
            source_types=_types(source.slots),
            intent=labels[source_id][0] if source_id in labels else None,
            types=labels[source_id][1] if source_id in labels else None,
        )
        for source_id in kept
        if (source := sources.get(source_id)) is not None
    ]


def compare(pairs: Sequence[Pair]) -> tuple[Agreement, ...]:
    """Return how far the pairs agree, by each sign."""
    intents = {pair.source_intent for pair in pairs}
    types = {kind for pair in pairs for kind in pair.source_types}
    words = {word for pair in pairs for word in _names(pair.source_words)}
    alike = (
        ("intents", [(pair.source_intent, pair.intent) for pair in pairs if pair.intent in intents], _same),
        (
            "slot types",
            [(pair.source_types, pair.types) for pair in pairs if pair.types and types.issuperset(pair.types)],
            _same,
        ),
        ("numbers", [(_numbers(pair.source_words), _numbers(pair.words)) for pair in pairs], _shared),
        ("shared words", [(_names(pair.source_words), _names(pair.words) & words) for pair in pairs], _shared),
    )
    found = [_against_chance(sign, [both for both in sides if both[1]], agree) for sign, sides, agree in alike]
    return (*(one for one in found if one.pairs), _lengths(pairs))


def at_chance(agreements: Sequence[Agreement]) -> str:
    """Say what agrees no better than by chance, although there is enough of it; nothing where the pairs are right."""
    labels = [one for one in agreements if one.sign in ("intents", "slot types") and one.tells]
    text = [one for one in agreements if one.sign not in ("intents", "slot types") and one.tells]
    # Without lengths the rest is too little: a language may share few words and numbers with the source.
    if not any(one.sign == "lengths" for one in text):
        text = []
    for signs in (labels, text):
        if signs and not any(one.above_chance for one in signs):
            return "; ".join(str(one) for one in signs)
    return ""


def _against_chance(sign: str, sides: Sequence[tuple[Any, Any]], agree: Callable[[Any, Any], float]) -> Agreement:
    """Compare the pairs with themselves shuffled."""
    count = len(sides)
    if not count:
        return Agreement(sign=sign, pairs=0, agreement=0.0, by_chance=0.0, above_chance=False, tells=False)
    agreement = sum(agree(*both) for both in sides) / count
    sources, targets = [source for source, _ in sides], [target for _, target in sides]
    rng = random.Random(SEED)
    shuffled = []
    for _ in range(SHUFFLES):
        rng.shuffle(sources)
        shuffled.append(sum(map(agree, sources, targets)) / count)
    mean = sum(shuffled) / SHUFFLES
    spread = math.sqrt(sum((one - mean) ** 2 for one in shuffled) / (SHUFFLES - 1))
    # Twenty shuffles of rare agreement may all be alike: chance spreads at least as a coin of that chance does.
    chance = min(max(mean, 1 / count), 1 - 1 / (count + 1))
    spread = max(spread, math.sqrt(chance * (1 - chance) / count))
    return Agreement(
        sign=sign,
        pairs=count,
        agreement=agreement,
        by_chance=mean,
        above_chance=agreement - mean >= ABOVE_CHANCE * spread,
        tells=count >= ENOUGH_LABELS and (1 - mean) / 2 >= TELLING * spread,
    )


def _lengths(pairs: Sequence[Pair]) -> Agreement:
    """Correlate the ranks of the lengths in characters; shuffled, that is 0 give or take 1 / sqrt(pairs - 1)."""
    sides = [[len("".join(pair.source_words)) for pair in pairs], [len("".join(pair.words)) for pair in pairs]]
    ranks = [_centred_ranks(side) for side in sides]
    norm = math.sqrt(math.prod(sum(rank * rank for rank in side) for side in ranks))
    correlation = sum(map(float.__mul__, *ranks)) / norm if norm else 0.0
    spread = 1 / math.sqrt(max(1, len(pairs) - 1))
    return Agreement(
        sign="lengths",
        pairs=len(pairs),
        agreement=correlation,
        by_chance=0.0,
        above_chance=correlation >= ABOVE_CHANCE * spread,
        tells=min(len(set(side)) for side in sides) >= ENOUGH_LENGTHS and len(pairs) >= PAIRS_A_BLOCK,
    )


def _centred_ranks(values: Sequence[int]) -> list[float]:
    """Return the rank of each value less their mean; equal values share theirs."""
    ordered = sorted(values)
    first = {value: place for place, value in reversed(list(enumerate(ordered)))}
    last = {value: place for place, value in enumerate(ordered)}
    return [(first[value] + last[value]) / 2 - (len(values) - 1) / 2 for value in values]


def _same(source: Hashable, target: Hashable) -> float:
    return float(source == target)


def _shared(source: frozenset[str], target: frozenset[str]) -> float:
    """Return the share of the target's that the source has too."""
    return len(source & target) / len(target)


def _numbers(words: Sequence[str]) -> frozenset[str]:
    """Return the numbers in a text, in whatever digits they are written."""
    return frozenset(str(int(digits)) for word in words for digits in DIGITS.findall(word))


def _names(words: Sequence[str]) -> frozenset[str]:
    """Return the words that may stand in both languages: those with a letter, in any case."""
    return frozenset(word.casefold() for word in words if any(map(str.isalpha, word)))


def _types(tags: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(tag[2:] for tag in tags if tag != OUTSIDE and tag[0] == "B"))


def _target_labels(corpus: Corpus, lang: str, rows: Sequence[Row]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return the intents and slot types of the target rows that pairs by id are joined with, if they have any."""
    found = find_translations(corpus, lang)
    if found is None or found.name != corpus.file_of(lang, "train"):
        return {}
    if corpus.layout.read_translation_rows is None:
        labelled = corpus.repaired(rows, lang, "train")
    else:  # they were read for their words alone
        ids = {row.id for row in rows}
        labelled = (row for row in corpus.rows(lang, "train") if row.id in ids)
    return {row.id: (row.intent, _types(row.tags)) for row in labelled if row.dropped is None}


def _advice(corpus: Corpus, lang: str) -> str:
    found = find_translations(corpus, lang)
    if found is not None and found.by_line:
        return f"a line of {found.files.where(found.name)} is not the translation of its {corpus.source} row; mend it"
    return (
        f"the ids of {corpus.name} {lang} are not those of {corpus.source}; give translations by line instead: "
        f"translations.{lang}.txt, one line for each row of the {corpus.source} training file"
    )
