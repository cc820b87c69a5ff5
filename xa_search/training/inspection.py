"""Looking inside an encoder. In: utterances and their translations. Out: how near to each other they lie, by layer.

A sentence embedding is taken of each layer in the way in which the model takes the one that it aligns, in full
precision. Nothing here reads a label or a test split.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from xa_search.encoding.batches import Collator, sorted_batches
from xa_search.encoding.store import NO_TRANSLATION, translation_rows
from xa_search.encoding.table import EncodedRow, EncodedTable
from xa_search.model.joint import embed_sentences
from xa_search.model.packed import encode_all_layers
from xa_search.training.statistics import Interval, Sample, interval

MOST_PAIRS = 1000
LEAST_PAIRS = 2
MEAN = "mean"
INSPECTIONS, FINDINGS = "inspections", "inspection.json"
"""The folder of a search, or of a home, for what was found, and the file that has all of it."""
TOKENS_A_BATCH = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Closeness:
    """How near translations lie: the mean cosine of pairs that are translations, and of all pairs that are not.

    `retrieval` is the share of the translations whose nearest source utterance is the one that they translate.
    """

    pair_cosine: float
    random_cosine: float
    retrieval: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Pairs without a text that is in another pair: `translations[i]` is that of row `sources[i]` of the source."""

    sources: np.ndarray
    translations: list[EncodedRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A language as an encoder sees it: each layer, and by how much in the last one each pair tops random pairs."""

    layers: tuple[Closeness, ...]
    margins: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectedLayer:
    """A language in one layer, counted from 1, of the pretrained encoder and of what became of it."""

    lang: str
    unseen: bool
    layer: int
    pairs: int
    before: Closeness
    after: Closeness


@dataclass(frozen=True, slots=True, kw_only=True)
class PairGrowth:
    """By how much the last layer's cosine of each pair grew above that of random pairs; `rows` are of the source."""

    rows: tuple[int, ...]
    growth: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What was found inside a model. `closer` tells by language, and as `mean` over those that are not unseen, by how
    much the last layer's pairs stand out more from random pairs than before: a difference of cosines.
    """

    model: str
    encoder: str
    embedding: str
    layers: tuple[InspectedLayer, ...]
    closer: dict[str, Interval]
    notes: tuple[str, ...]
    growth: dict[str, PairGrowth]
    """Of each aligned language, pair by pair, so that two models can be compared."""


def distinct_pairs(source: EncodedTable, rows: np.ndarray, translations: EncodedTable) -> Pairs:
    """Pair rows of the source with their translations, MOST_PAIRS at most, evenly spread.

    Of the pairs with the same text on either side, the first is taken: else the nearest text could not be told.
    """
    found = translation_rows(source, translations, rows)
    rows, found = rows[found != NO_TRANSLATION], found[found != NO_TRANSLATION]
    texts = zip(source.rows(rows), translations.rows(found), strict=True)
    here: set[bytes] = set()
    there: set[bytes] = set()
    kept = []
    for place, (one, other) in enumerate(texts):
        mine, its = one.input_ids.tobytes(), other.input_ids.tobytes()
        if mine not in here and its not in there:
            kept.append(place)
        here.add(mine)
        there.add(its)
    chosen = np.linspace(0, len(kept), min(MOST_PAIRS, len(kept)), endpoint=False).astype(np.int64)
    places = np.array(kept, dtype=np.int64)[chosen]
    return Pairs(sources=rows[places], translations=translations.rows(found[places]))


def look_inside(
    encoder: Any, embedding: str, collator: Collator, source: EncodedTable, pairs: Mapping[str, Pairs]
) -> dict[str, View]:
    """Return how the encoder sees each language."""
    rows = np.unique(np.concatenate([one.sources for one in pairs.values()]))
    sources = embed_layers(encoder, embedding, collator, source.rows(rows))
    views = {}
    for lang, one in pairs.items():
        own = sources[:, torch.from_numpy(np.searchsorted(rows, one.sources))]
        translations = embed_layers(encoder, embedding, collator, one.translations)
        seen = [closeness(here, there) for here, there in zip(own, translations, strict=True)]
        views[lang] = View(layers=tuple(layer for layer, _ in seen), margins=seen[-1][1].numpy())
    return views


@torch.inference_mode()
def embed_layers(encoder: Any, embedding: str, collator: Collator, rows: Sequence[EncodedRow]) -> torch.Tensor:
    """Return the sentence embeddings of each layer [layers, rows, H]; the pooler belongs to the last one alone."""
    encoder.eval()
    device = next(encoder.parameters()).device
    inner = "cls" if embedding == "pooler" else embedding
    found: dict[int, torch.Tensor] = {}
    for indices in sorted_batches(collator.lengths(rows), TOKENS_A_BATCH):
        batch = collator([rows[index] for index in indices]).to(device)
        *layers, last = encode_all_layers(encoder, batch)
        embedded = [embed_sentences(encoder, inner, hidden, batch).float().cpu() for hidden in layers]
        embedded.append(embed_sentences(encoder, embedding, last, batch).float().cpu())
        found |= zip(indices.tolist(), torch.stack(embedded, dim=1), strict=True)
    return torch.stack([found[index] for index in range(len(rows))], dim=1)


def closeness(sources: torch.Tensor, translations: torch.Tensor) -> tuple[Closeness, torch.Tensor]:
    """Compare the embeddings of N >= 2 pairs, both [N, H].

    Return also by how much each pair's cosine tops the mean cosine of its translation and the other sources, [N].
    """
    cosines = functional.normalize(sources, dim=-1) @ functional.normalize(translations, dim=-1).T
    own = cosines.diagonal()
    others = (cosines.sum(0) - own) / (len(cosines) - 1)
    hits = cosines.argmax(0) == torch.arange(len(cosines))
    seen = Closeness(
        pair_cosine=float(own.mean()), random_cosine=float(others.mean()), retrieval=float(hits.float().mean())
    )
    return seen, own - others


def compare_views(
    before: Mapping[str, View], after: Mapping[str, View], unseen_languages: Sequence[str]
) -> tuple[InspectedLayer, ...]:
    """Put what two encoders see side by side."""
    return tuple(
        InspectedLayer(
            lang=lang,
            unseen=lang in unseen_languages,
            layer=layer,
            pairs=len(view.margins),
            before=then,
            after=now,
        )
        for lang, view in after.items()
        for layer, (then, now) in enumerate(zip(before[lang].layers, view.layers, strict=True), start=1)
    )


def closer_by(
    before: Mapping[str, View], after: Mapping[str, View], pairs: Mapping[str, Pairs], languages: Sequence[str]
) -> Interval:
    """Return by how much the margins grew, in the mean over languages; translations of one utterance go together."""
    rows = np.unique(np.concatenate([pairs[lang].sources for lang in languages]))
    columns = np.zeros((len(rows), 2 * len(languages)))
    for number, lang in enumerate(languages):
        places = np.searchsorted(rows, pairs[lang].sources)
        columns[places, 2 * number] = after[lang].margins - before[lang].margins
        columns[places, 2 * number + 1] = 1
    weights = np.full(len(languages), 1 / len(languages))
    return interval([Sample(counts=[columns], weights=weights)], shares=False)


def pair_growth(before: View, after: View, pairs: Pairs) -> PairGrowth:
    """Return by how much each pair's margin grew."""
    grown = after.margins - before.margins
    return PairGrowth(rows=tuple(pairs.sources.tolist()), growth=tuple(round(float(one), 6) for one in grown))
