"""PAWS-X. In: `en/train.tsv`, `de/translated_train.tsv`, `de/dev_2k.tsv`, `de/test_2k.tsv`, and so on. Out: rows.

Tab-separated: id, sentence1, sentence2, label (1 for a paraphrase), below a header line. Languages are parallel by id.
A pair is one utterance with `BETWEEN` in its middle and the label as its intent; it has no slots. Where a translator
found nothing to translate, a sentence is `NS` or empty: such a pair is left out, and is no loss. The paper scored all
2,000 rows of a test set, these among them, as a corpus `with_left_out` does.
"""

from collections.abc import Iterator

from xa_search.corpora.raw_files import Line
from xa_search.corpora.rows import CatalogueEntry, Layout, Row, full_lines, line_id, no_file
from xa_search.corpora.text import clean_label, clean_words, split_words
from xa_search.records import BETWEEN, OUTSIDE, Split

COLUMNS = ("id", "sentence1", "sentence2", "label")
LABELS = ("0", "1")
NOT_TRANSLATED = ((), ("NS",))
FOLDER = "x-final"


def split_files(lang: str, split: Split) -> tuple[str, ...]:
    """Name the files that may hold a split; only English has a training set that is no translation."""
    names = ("train.tsv", "translated_train.tsv") if split == "train" else (f"{split}_2k.tsv",)
    return tuple(f"{folder}{lang}/{name}" for folder in ("", f"{FOLDER}/") for name in names)


def id_translations(lang: str) -> tuple[str, ...]:
    """Name the translated training file: its ids and sentences, never its labels, are used."""
    return split_files(lang, "train")


def read(_name: str, lines: Iterator[Line], lang: str, split: Split) -> Iterator[Row]:
    """Yield a row for each line below the header."""
    for line in full_lines(lines):
        columns = [column.strip() for column in line.text.split("\t")]
        if line.number == 1 and columns[0] == COLUMNS[0]:
            continue
        if len(columns) != len(COLUMNS):
            row_id = line_id(lang, split, line.number)
            yield Row(line=line.number, id=row_id, own_id=False, dropped="wrong_columns")
            continue
        own_id, first, second, label = columns
        row_id = own_id or line_id(lang, split, line.number)
        fault = _fault((first, second), label)
        # A pair whose text or label cannot be used at all has no words: nothing brings it back.
        unusable = fault == "pair_mark" or (fault == "not_translated" and clean_label(label) not in LABELS)
        words = () if unusable else (*_words(first), BETWEEN, *_words(second))
        yield Row(
            line=line.number,
            id=row_id,
            own_id=bool(own_id),
            words=words,
            tags=(OUTSIDE,) * len(words),
            intent=label,
            dropped=fault,
        )


def _words(sentence: str) -> tuple[str, ...]:
    """Return the words as they stand in the file."""
    return tuple(sentence[word.start : word.end] for word in split_words(sentence))


def _fault(sentences: tuple[str, str], label: str) -> str | None:
    """Say why a pair cannot be used; what its words are is told by their cleaned form."""
    cleaned = [clean_words(sentence) for sentence in sentences]
    if any(words in NOT_TRANSLATED for words in cleaned):
        return "not_translated"
    if any(BETWEEN in words for words in cleaned):
        return "pair_mark"
    return None if clean_label(label) in LABELS else "bad_label"


LAYOUT = Layout(split_files=split_files, read=read, tagged=no_file, id_translations=id_translations)

PAWSX = CatalogueEntry(
    name="pawsx",
    title="PAWS-X (Yang et al. 2019), sentence pairs: paraphrase or not",
    languages=("en", "de", "es", "fr", "ja", "ko", "zh"),
    licence="free for any purpose, with acknowledgement of Google LLC as the source",
    layout=LAYOUT,
    expects="en/train.tsv, de/translated_train.tsv for each target, and dev_2k.tsv and test_2k.tsv for all "
    "(or x-final/en/train.tsv, and so on); columns id, sentence1, sentence2, label",
    # No checksum is published for it: its structure is checked.
    address="https://storage.googleapis.com/paws/pawsx/x-final.tar.gz",
)
