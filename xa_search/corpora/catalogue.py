"""What is known of each corpus. In: nothing. Out: languages, licence, download address and checksum, expected files.

The only place that holds an address.
"""

from dataclasses import dataclass, replace

from xa_search.corpora import massive, mtod, mtop, multiatis, own, pawsx, xsid
from xa_search.corpora.rows import Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueEntry:
    """One corpus. `languages` is empty where the corpus itself tells; `sha256` is None where none is published."""

    name: str
    title: str
    languages: tuple[str, ...]
    licence: str
    layout: Layout
    expects: str  # what a folder or zip holds, for messages
    address: str | None = None
    sha256: str | None = None


CATALOGUE: dict[str, CatalogueEntry] = {
    entry.name: entry
    for entry in (
        CatalogueEntry(
            name="mtop-mini",
            title="mtop-mini: sentence frames in MTOP's format, written for this project",
            languages=("en", "de", "es", "fr", "hi", "th"),
            licence="Apache-2.0",
            layout=mtop.LAYOUT,
            expects="en/train.txt, en/eval.txt, en/test.txt, and the same for each target",
        ),
        CatalogueEntry(
            name="mtop",
            title="MTOP (Li et al. 2021)",
            languages=("en", "de", "es", "fr", "hi", "th"),
            licence="CC BY-SA 4.0",
            layout=mtop.LAYOUT,
            expects="en/train.txt, en/eval.txt, en/test.txt, and the same for each target",
            address="https://dl.fbaipublicfiles.com/mtop/mtop.zip",
            sha256="0c086500aed2ed48d3df383c91664b152e4a46e2adef6a635fa16d508ebaec0b",
        ),
        CatalogueEntry(
            name="mtod",
            title="MTOD, Multilingual Task-Oriented Dialog (Schuster et al. 2019)",
            languages=("en", "es", "th"),
            licence="stated in the download itself; not checked here",
            layout=mtod.LAYOUT,
            expects="en/train-en.conllu (or .tsv), en/dev-en.conllu, en/test-en.conllu, the same for each target, "
            "and es/train.tsv with one translation for each row of the English training file",
            # The download holds no translations, and no checksum is published for it: its structure is checked.
            address="https://fb.me/multilingual_task_oriented_data",
        ),
        CatalogueEntry(
            name="multiatis",
            title="MultiATIS++ (Xu et al. 2020)",
            languages=("en", "de", "es", "fr", "hi", "ja", "pt", "tr", "zh"),
            licence="LDC (LDC2021T04): not to be downloaded freely",
            layout=multiatis.LAYOUT,
            expects="train_EN.tsv, dev_EN.tsv, test_EN.tsv, and the same for each target (train_DE.tsv); "
            "columns id, utterance, slot_labels, intent",
        ),
        CatalogueEntry(
            name="massive",
            title="MASSIVE 1.1 (FitzGerald et al. 2022)",
            languages=massive.LANGUAGES,
            licence="CC BY 4.0",
            layout=massive.LAYOUT,
            expects="en-US.jsonl (or data/en-US.jsonl) and the same for each target, all splits in one file",
            address="https://amazon-massive-nlu-dataset.s3.amazonaws.com/amazon-massive-dataset-1.1.tar.gz",
            # Not published with the download; it is what those who pin the archive agree on.
            sha256="4cba5faa11c71437928e17cb1b9b3d8b8e727e7ea363a3a9a8045e19c0491577",
        ),
        CatalogueEntry(
            name="xsid",
            title="xSID 0.7 (van der Goot et al. 2021, Aepli et al. 2023, Winkler et al. 2024)",
            languages=(
                *("en", "ar", "da", "de", "de-ba", "de-muc", "de-st", "gsw", "id"),
                *("it", "ja", "kk", "lt", "nap", "nl", "sr", "tr", "zh"),
            ),
            licence="CC BY-SA 4.0",
            layout=xsid.LAYOUT,
            expects="en.test.conll and the same for each target to test a model; to train one also en.train.conll, "
            "en.valid.conll and translations/de.txt with one translation for each row of en.train.conll",
        ),
        CatalogueEntry(
            name="pawsx",
            title="PAWS-X (Yang et al. 2019), sentence pairs: paraphrase or not",
            languages=("en", "de", "es", "fr", "ja", "ko", "zh"),
            licence="free for any purpose, with acknowledgement of Google LLC as the source",
            layout=pawsx.LAYOUT,
            expects="en/train.tsv, de/translated_train.tsv for each target, and dev_2k.tsv and test_2k.tsv for all "
            "(or x-final/en/train.tsv, and so on); columns id, sentence1, sentence2, label",
            # No checksum is published for it: its structure is checked.
            address="https://storage.googleapis.com/paws/pawsx/x-final.tar.gz",
        ),
        CatalogueEntry(
            name="own",
            title="your own corpus",
            languages=(),
            licence="yours",
            layout=own.LAYOUT,
            expects="train.en.jsonl, dev.en.jsonl, test.en.jsonl (or en/train.jsonl), the same for each target, "
            "and translations.de.jsonl; or the same as JSON, CSV, TSV, CoNLL, Parquet or a saved `datasets` folder",
        ),
    )
}
CORPORA: tuple[str, ...] = tuple(CATALOGUE)
CATALOGUE["jsonl"] = replace(CATALOGUE["own"], name="jsonl")  # what it was called when it read nothing else
