"""The pool that a simulation judges. In: an encoded corpus and a reference's settings. Out: rows that trained nothing.

They share no text and no template with what trained the reference or is held out to select, and stand in every
language. Labels of a translation are its source's intent (`simulated:source_gold`), or where the corpus has the same
utterance in the target with labels of its own, those (`simulated:target_gold`), which is target supervision.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from xa_search.encoding.held_out import HeldOutSplit
from xa_search.encoding.store import NO_ROW, NO_TRANSLATION, TRANSLATIONS, RowIndex, table_path, translation_rows
from xa_search.encoding.table import EncodedRow, EncodedTable
from xa_search.errors import DataError
from xa_search.feedback.judgements import Source
from xa_search.records import EncodedCorpus, TrialSettings
from xa_search.training.data import trial_split


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """`rows[lang][i]` are the same utterance in each language, with its id in the source; `sources` tells whose labels.

    `left_out` is how many utterances trained nothing and still are not in the pool, by why.
    """

    rows: dict[str, list[EncodedRow]]
    sources: dict[str, Source]
    left_out: dict[str, int]

    @property
    def ids(self) -> tuple[str, ...]:
        """The utterances, by their ids in the source."""
        return tuple(row.id for row in next(iter(self.rows.values())))


def simulation_pool(corpus: EncodedCorpus, settings: TrialSettings, gold: Source) -> Pool:
    """Return the pool of a corpus. With `simulated:target_gold` the targets' training tables must be encoded.

    Raises DataError where nothing is left for it.
    """
    source = EncodedTable(table_path(corpus, "train", corpus.source))
    split = trial_split(corpus, settings)
    candidates = np.setdiff1d(np.arange(len(source)), split.of_training)
    seen = _seen(corpus, source, split, candidates)
    rows, left_out = candidates[~seen], {"like what trains or selects": int(seen.sum())}
    found = {lang: _in_target(corpus, source, rows, lang, gold) for lang in corpus.aligned}
    everywhere = np.ones(len(rows), dtype=bool)
    for places in found.values():
        everywhere &= places >= 0
    left_out["not in every language"] = int((~everywhere).sum())
    rows = rows[everywhere]
    if not len(rows):
        raise DataError(
            f"no utterance is left for feedback: all {len(source)} training utterances train or select, or are like "
            f"those; search with a lower fixed.train_limit (now {settings.train_limit})"
        )
    of_source = source.rows(rows)
    pool = {corpus.source: of_source}
    for lang, places in found.items():
        pool[lang] = list(_labelled(corpus, of_source, lang, places[everywhere], gold))
    sources: dict[str, Source] = {lang: gold if lang != corpus.source else "simulated:source_gold" for lang in pool}
    return Pool(rows=pool, sources=sources, left_out=left_out)


def _seen(corpus: EncodedCorpus, source: EncodedTable, split: HeldOutSplit, rows: np.ndarray) -> np.ndarray:
    """Tell which rows share a text with what trains, or a template with what selects, bool [rows]."""
    origin = EncodedTable(table_path(corpus, split.origin, corpus.source))
    held_out = np.union1d(split.selecting, split.kept)
    same_text = np.isin(source.texts[rows], source.texts[split.of_training])
    seen: np.ndarray = same_text | np.isin(source.templates[rows], origin.templates[held_out])
    return seen


def _in_target(corpus: EncodedCorpus, source: EncodedTable, rows: np.ndarray, lang: str, gold: Source) -> np.ndarray:
    """Return where each source row stands in a target's table, or a negative number."""
    if gold == "simulated:target_gold":
        index = RowIndex(EncodedTable(table_path(corpus, "train", lang)).ids())
        places = index.find([row.id for row in source.rows(rows)])
        assert NO_ROW < 0
        return places
    assert NO_TRANSLATION < 0
    return translation_rows(source, EncodedTable(table_path(corpus, TRANSLATIONS, lang)), rows)


def _labelled(
    corpus: EncodedCorpus, sources: list[EncodedRow], lang: str, places: np.ndarray, gold: Source
) -> Iterator[EncodedRow]:
    """Yield the rows of a target with the labels that judge them, under the ids of their sources."""
    own = gold == "simulated:target_gold"
    table = EncodedTable(table_path(corpus, "train" if own else TRANSLATIONS, lang))
    for source, row in zip(sources, table.rows(places), strict=True):
        yield replace(row, id=source.id) if own else replace(row, id=source.id, intent=source.intent, slots=None)
