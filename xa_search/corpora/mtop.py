"""MTOP. In: `en/train.txt`, `en/eval.txt`, `en/test.txt`, and so on. Out: rows.

Eight tab-separated columns: id, intent, slots, utterance, domain, locale, decoupled form, tokens; or seven, without id.
With ids, the languages are parallel; without, `<lang>/train.tsv` or `translations/<lang>.txt` holds the translations.
"""

from collections.abc import Iterator

from xa_search.corpora.mini.generate import generate_once
from xa_search.corpora.raw_files import Line
from xa_search.corpora.rows import SPLIT_STEMS, CatalogueEntry, Layout, Row, full_lines, line_id, lines_beside, no_file
from xa_search.corpora.spans import label_words
from xa_search.corpora.text import without_prefix
from xa_search.records import Split

INTENT_PREFIX = "IN:"
COLUMNS_WITH_ID = 8
COLUMNS_WITHOUT_ID = 7


def split_files(lang: str, split: Split) -> tuple[str, ...]:
    """Name the files that may hold a split; MTOP calls dev `eval`."""
    return tuple(f"{lang}/{stem}.txt" for stem in sorted(SPLIT_STEMS[split], key="eval".__ne__))


def line_translations(lang: str) -> tuple[str, ...]:
    """Name the files that may hold the translations of the English training set."""
    return (*lines_beside(lang), f"{lang}/train.tsv")


def id_translations(lang: str) -> tuple[str, ...]:
    """Name the target training file: its ids, never its labels, are used."""
    return split_files(lang, "train")


def read(_name: str, lines: Iterator[Line], lang: str, split: Split) -> Iterator[Row]:
    """Yield a row for each line."""
    for line in full_lines(lines):
        columns = line.text.split("\t")
        own_id = len(columns) == COLUMNS_WITH_ID and bool(columns[0].strip())
        row_id = columns[0].strip() if own_id else line_id(lang, split, line.number)
        if len(columns) not in (COLUMNS_WITH_ID, COLUMNS_WITHOUT_ID):
            yield Row(line=line.number, id=row_id, own_id=False, dropped="wrong_columns")
            continue
        intent, slots, utterance, _, _, _, tokens = columns[-COLUMNS_WITHOUT_ID:]
        found = label_words(slots, utterance, tokens)
        yield Row(
            line=line.number,
            id=row_id,
            own_id=own_id,
            words=found.words,
            tags=found.tags,
            intent=without_prefix(intent, INTENT_PREFIX),
            repairs=found.repairs,
            dropped=found.fault,
            had_slots=bool(slots.strip()),
        )


LAYOUT = Layout(
    split_files=split_files,
    read=read,
    tagged=no_file,
    line_translations=line_translations,
    id_translations=id_translations,
)

MTOP_MINI = CatalogueEntry(
    name="mtop-mini",
    title="mtop-mini: sentence frames in MTOP's format, written for this project",
    languages=("en", "de", "es", "fr", "hi", "th"),
    licence="Apache-2.0",
    layout=LAYOUT,
    expects="en/train.txt, en/eval.txt, en/test.txt, and the same for each target",
    generate=generate_once,
)

MTOP = CatalogueEntry(
    name="mtop",
    title="MTOP (Li et al. 2021)",
    languages=("en", "de", "es", "fr", "hi", "th"),
    licence="CC BY-SA 4.0",
    layout=LAYOUT,
    expects="en/train.txt, en/eval.txt, en/test.txt, and the same for each target",
    address="https://dl.fbaipublicfiles.com/mtop/mtop.zip",
    sha256="0c086500aed2ed48d3df383c91664b152e4a46e2adef6a635fa16d508ebaec0b",
)
