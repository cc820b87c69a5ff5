"""Labelled translations. In: an encoder's files and encoded tables. Out: the translations with the source's labels.

Intents are the source's own. Slot tags go to the words that match: two words match when each is the most similar one to
the other, by the cosine of their contextual embeddings (mutual argmax, as in SimAlign, arXiv 2004.08728). A word's
embedding is its first sub-word's in a middle layer of the untouched pretrained encoder. The tables are made once for
an encoder, a corpus and the rows that trials learn from, beside the corpus's others.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import transformers
from torch.nn import functional

from xa_search.encoding.batches import Collator, sorted_batches
from xa_search.encoding.files import ROWS_A_CHUNK, write_table
from xa_search.encoding.locks import one_at_a_time
from xa_search.encoding.store import table_path
from xa_search.encoding.table import EncodedRow, EncodedTable
from xa_search.model.materialise import stamp
from xa_search.model.packed import encode_packed, encode_padded, use_packed_attention
from xa_search.model.trimming import content_key, load_trimmed_encoder
from xa_search.records import OUTSIDE, EncodedCorpus, EncoderFiles

Link = tuple[int, int]
"""A source word and the translation's word that matches it, by number."""
METHOD_VERSION = 1
TOKENS_A_BATCH = 4096


def project_tags(tags: Sequence[str], links: Sequence[Link], words: int) -> list[str]:
    """Return IOB2 tags of a translation of so many words.

    A span is dropped where none of its words has a match, or where an earlier span has one of the words it would get.
    """
    projected = [OUTSIDE] * words
    for slot_type, first, end in _spans(tags):
        reached = [target for source, target in links if first <= source < end]
        if not reached:
            continue
        begin, last = min(reached), max(reached)
        if all(tag == OUTSIDE for tag in projected[begin : last + 1]):
            projected[begin : last + 1] = [f"B-{slot_type}"] + [f"I-{slot_type}"] * (last - begin)
    return projected


def _spans(tags: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """Yield the slot type, the first word and the end of each span."""
    first = 0
    for end in range(1, len(tags) + 1):
        if end == len(tags) or tags[end] != f"I-{tags[first][2:]}":
            if tags[first] != OUTSIDE:
                yield tags[first][2:], first, end
            first = end


def project_translations(
    files: EncoderFiles,
    corpus: EncodedCorpus,
    token_ids: torch.Tensor,
    source_rows: np.ndarray,
    device: torch.device,
) -> dict[str, EncodedTable]:
    """Return each target's table of translations, those of these source rows with labels.

    `token_ids` are all tokens of these tables. Trials that start together wait for the one that makes the tables.
    """
    rows = hashlib.sha256(source_rows.astype("<i8").tobytes()).hexdigest()
    key = content_key([METHOD_VERSION, files.origin, files.revision, stamp(files.directory), rows])
    paths = {lang: table_path(corpus, f"projected-{key}", lang) for lang in corpus.aligned}
    with one_at_a_time(corpus.directory / f"projected-{key}.lock"):
        missing = [lang for lang, path in paths.items() if not path.exists()]
        if missing:
            encoder, _ = load_trimmed_encoder(files, token_ids, corpus.directory)
            words = WordEmbeddings(encoder, matching_layer(encoder.config.num_hidden_layers), device)
            source = EncodedTable(table_path(corpus, "train", corpus.source))
            for lang in missing:
                translations = EncodedTable(table_path(corpus, "translations", lang))
                write_table(paths[lang], _labelled(source, translations, source_rows, words))
    return {lang: EncodedTable(path) for lang, path in paths.items()}


def matching_layer(depth: int) -> int:
    """Return the layer, counted from 1, whose embeddings match words: the one at two thirds of an encoder's depth.

    That is the 8th of 12, which SimAlign's authors take for multilingual BERT and XLM-R base. With E5 small, as
    `benchmarks/projected_tags.py` measures, the 6th to the 8th do about as well, and the last does worst. That the 16th
    of XLM-R large's 24 is as good is a guess.
    """
    return round(depth * 2 / 3)


class WordEmbeddings:
    """Embeds the words of utterances with a layer of a pretrained encoder."""

    def __init__(self, encoder: "transformers.PreTrainedModel", layer: int, device: torch.device) -> None:
        self._encoder: Any = encoder.to(device)  # type: ignore[arg-type]
        self._encode = encode_packed if use_packed_attention(encoder) else encode_padded
        self._layer = layer
        self._device = device

    @torch.inference_mode()
    def embed(self, rows: Sequence[EncodedRow]) -> list[torch.Tensor]:
        """Return the embeddings of each row's words, of length 1, [words, H]; of those only that are not cut off."""
        found: dict[int, torch.Tensor] = {}
        collator = Collator([], [])
        lengths = np.array([len(row.input_ids) for row in rows], dtype=np.int64)
        for indices in sorted_batches(lengths, TOKENS_A_BATCH):
            batch = collator([rows[index] for index in indices])
            hidden = self._encode(self._encoder, batch.to(self._device), self._layer).float().cpu()
            words = functional.normalize(hidden.index_select(0, batch.words), dim=-1)
            found |= zip(indices.tolist(), torch.split(words, batch.word_counts.tolist()), strict=True)
        return [found[index] for index in range(len(rows))]


def match_words(source: torch.Tensor, target: torch.Tensor) -> list[Link]:
    """Return which words match, of embeddings [S, H] and [T, H] of length 1: each is the other's most similar one."""
    if not len(source) or not len(target):
        return []
    similarity = source @ target.T
    forth, back = similarity.argmax(1).tolist(), similarity.argmax(0).tolist()
    return [(word, other) for word, other in enumerate(forth) if back[other] == word]


def _labelled(
    source: EncodedTable, translations: EncodedTable, wanted: np.ndarray, words: WordEmbeddings
) -> Iterator[dict[str, Any]]:
    """Yield the columns of the translations, chunk by chunk; those of the wanted source rows have labels."""
    for start in range(0, len(translations), ROWS_A_CHUNK):
        chunk = slice(start, start + ROWS_A_CHUNK)
        source_rows = translations.source_rows[chunk]
        rows = translations.rows(np.arange(len(translations))[chunk])
        known = np.flatnonzero(np.isin(source_rows, wanted))
        sources = dict(zip(known.tolist(), source.rows(source_rows[known]), strict=True))
        tags = _project({place: (one, rows[place]) for place, one in sources.items()}, words)
        yield {
            "id": [row.id for row in rows],
            "words": [row.words for row in rows],
            "input_ids": [row.input_ids for row in rows],
            "positions": [row.positions for row in rows],
            "intent": [sources[place].intent if place in sources else None for place in range(len(rows))],
            "slots": [tags.get(place) for place in range(len(rows))],
            "text": translations.texts[chunk],
            "template": translations.templates[chunk],
            "source_row": source_rows,
        }


def _project(pairs: dict[int, tuple[EncodedRow, EncodedRow]], words: WordEmbeddings) -> dict[int, list[str]]:
    """Return the tags of each pair's translation; only where the source has a slot are words matched."""
    tags = {place: [OUTSIDE] * len(target.words) for place, (_, target) in pairs.items()}
    slotted = {place: pair for place, pair in pairs.items() if any(tag != OUTSIDE for tag in pair[0].slots or [])}
    sources = words.embed([source for source, _ in slotted.values()])
    targets = words.embed([target for _, target in slotted.values()])
    for (place, (source, target)), here, there in zip(slotted.items(), sources, targets, strict=True):
        tags[place] = project_tags(source.slots or [], match_words(here, there), len(target.words))
    return tags
