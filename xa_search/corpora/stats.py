"""`xa-search data stats`. In: a corpus. Out: sizes, lengths, labels and overlap with train, by split and language.

To find repeated utterances it keeps one number for each training utterance of one language at a time.
"""

from dataclasses import dataclass

from xa_search.corpora.check import slot_types
from xa_search.corpora.corpus import Corpus
from xa_search.corpora.translations import find_translations
from xa_search.records import SPLITS, Split


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitStats:
    """One split of one language."""

    split: Split
    lang: str
    utterances: int
    words: int
    intents: int
    slot_types: int
    repeated: int | None  # utterances whose words stand in train too (in train: earlier in it); None without train

    @property
    def mean_words(self) -> float:
        """Give the mean number of words of an utterance."""
        return self.words / self.utterances if self.utterances else 0.0

    @property
    def share_in_train(self) -> float | None:
        """Give the share of utterances that stand in train too."""
        return None if self.repeated is None or not self.utterances else self.repeated / self.utterances


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusStats:
    """Numbers about a corpus."""

    name: str
    splits: tuple[SplitStats, ...]
    pairs: dict[str, int]  # by target language


def corpus_stats(corpus: Corpus) -> CorpusStats:
    """Count; splits that have no file are left out."""
    found: list[SplitStats] = []
    for lang in (corpus.source, *corpus.targets):
        train: set[int] | None = set() if corpus.file_of(lang, "train") is not None else None
        found += [
            _split_stats(corpus, lang, split, train) for split in SPLITS if corpus.file_of(lang, split) is not None
        ]
    pairs = {
        lang: sum(1 for _ in corpus.translations(lang)) if find_translations(corpus, lang) is not None else 0
        for lang in corpus.targets
    }
    order = sorted(found, key=lambda stats: SPLITS.index(stats.split))
    return CorpusStats(name=corpus.name, splits=tuple(order), pairs=pairs)


def _split_stats(corpus: Corpus, lang: str, split: Split, train: set[int] | None) -> SplitStats:
    """Count one split; reading train fills `train`."""
    utterances = words = repeated = 0
    intents: set[str] = set()
    types: set[str] = set()
    for utterance in corpus.utterances(lang, split):
        utterances += 1
        words += len(utterance.words)
        intents.add(utterance.intent)
        types.update(slot_types(utterance.slots))
        if train is not None:
            key = hash(utterance.words)
            repeated += key in train
            if split == "train":
                train.add(key)
    return SplitStats(
        split=split,
        lang=lang,
        utterances=utterances,
        words=words,
        intents=len(intents),
        slot_types=len(types),
        repeated=None if train is None else repeated,
    )
