"""Corpora: raw files in, one schema out. The rest of the program imports from here."""

from xa_search.corpora.catalogue import CATALOGUE, CORPORA, CatalogueEntry
from xa_search.corpora.checks import (
    CorpusCheck,
    CorpusStats,
    Fault,
    SplitCheck,
    SplitStats,
    TranslationCheck,
    check_corpus,
    corpus_stats,
)
from xa_search.corpora.corpus import Corpus
from xa_search.corpora.opening import open_corpus

__all__ = [
    "CATALOGUE",
    "CORPORA",
    "CatalogueEntry",
    "Corpus",
    "CorpusCheck",
    "CorpusStats",
    "Fault",
    "SplitCheck",
    "SplitStats",
    "TranslationCheck",
    "check_corpus",
    "corpus_stats",
    "open_corpus",
]
