"""Corpora: raw files in, one schema out. The rest of the program imports from here.

A module a corpus; catalogue: all of them, by name. opening: from a name to files. corpus: a corpus at hand;
file_rows: its rows. text, tags: the policies for text and slot tags. raw_files, rows, spans, repair: what readers
share. tar_index: a file in a tar.gz, found near its place. checks, lost_rows, pairs: what is wrong with the files, what
is lost, whether pairs belong together. dev_translations: pairs of the dev split. mini: the bundled corpus.
"""

from xa_search.corpora.catalogue import CATALOGUE, CORPORA
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
from xa_search.corpora.rows import CatalogueEntry

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
