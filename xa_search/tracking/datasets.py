"""The corpus of a search as MLflow's data sets. In: the corpus and its check. Out: the event that enters its splits."""

from typing import Any

from xa_search.corpora import Corpus, CorpusCheck
from xa_search.records import Split
from xa_search.tracking.events import TESTING, DatasetsLogged

CONTEXTS: dict[Split, str] = {"train": "training", "dev": "validation", "test": TESTING}


def splits_read(
    corpus: Corpus, check: CorpusCheck, fingerprint: str, *, target_train: bool, target_dev: bool
) -> DatasetsLogged:
    """Return what trials learn from and are chosen on; labels of targets only where they read such.

    `fingerprint` is that of all files that they read.
    """
    source = (corpus.source,)
    languages: dict[Split, tuple[str, ...]] = {
        "train": source + (corpus.targets if target_train else ()),
        "dev": source + (corpus.targets if target_dev else ()),
    }
    found = [_split(corpus, check, split, fingerprint, langs) for split, langs in languages.items()]
    pairs = {one.lang: one.translations for one in check.translations if one.translations}
    if pairs:
        found.append(_entry(corpus, "translations", fingerprint, CONTEXTS["train"], pairs))
    return DatasetsLogged(datasets=[one for one in found if one["rows"]])


def tests_read(corpus: Corpus, check: CorpusCheck, languages: tuple[str, ...]) -> DatasetsLogged:
    """Return what the winner, and what it is compared with, were tested on."""
    digest = corpus.split_digest("test", languages)
    return DatasetsLogged(datasets=[_split(corpus, check, "test", digest, languages)])


def _split(corpus: Corpus, check: CorpusCheck, split: Split, digest: str, languages: tuple[str, ...]) -> dict[str, Any]:
    rows = {one.lang: one.rows for one in check.splits if one.split == split and one.lang in languages}
    return _entry(corpus, split, digest, CONTEXTS[split], rows)


def _entry(corpus: Corpus, part: str, digest: str, context: str, rows: dict[str, int]) -> dict[str, Any]:
    return {
        "name": f"{corpus.name} {part}",
        "digest": digest,
        "context": context,
        "source": str(corpus.files.root),
        "rows": rows,
    }
