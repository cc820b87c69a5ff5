"""Translations of the source's dev split. In: a corpus and a target. Out: its dev texts, joined by id; no label.

Where a corpus shares ids between languages, a target's dev split translates the source's. Texts that agree no better
than chance, as where each language counts its own rows, are none.
"""

from collections.abc import Iterable

from xa_search.corpora.corpus import Corpus
from xa_search.corpora.pairs import Pair, at_chance, compare
from xa_search.corpora.rows import Row
from xa_search.records import OUTSIDE, Translation


def dev_translations(corpus: Corpus, lang: str) -> tuple[Translation, ...]:
    """Return at most one translation for each source dev utterance; nothing where there are none."""
    shares_ids = bool(corpus.layout.id_translations(lang))
    if not shares_ids or corpus.file_of(lang, "dev") is None or corpus.file_of(corpus.source, "dev") is None:
        return ()
    sources = _with_ids(corpus.rows(corpus.source, "dev"))
    found = {
        row.id: Translation(source_id=row.id, lang=lang, words=row.words, running_text=row.running_text)
        for row in _with_ids(corpus.rows(lang, "dev")).values()
        if row.id in sources
    }
    pairs = [_pair(sources[source_id], translation.words) for source_id, translation in found.items()]
    return () if at_chance(compare(pairs)) else tuple(found.values())


def _with_ids(rows: Iterable[Row]) -> dict[str, Row]:
    """Return the usable rows whose ids stand in their file, the first of each id."""
    found: dict[str, Row] = {}
    for row in rows:
        if row.dropped is None and row.own_id:
            found.setdefault(row.id, row)
    return found


def _pair(source: Row, words: tuple[str, ...]) -> Pair:
    types = tuple(sorted(tag[2:] for tag in source.tags if tag != OUTSIDE and tag[0] == "B"))
    return Pair(
        source_id=source.id, source_words=source.words, words=words, source_intent=source.intent, source_types=types
    )
