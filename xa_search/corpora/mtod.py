"""MTOD. In: `en/train-en.conllu` or `en/train-en.tsv`, and so on. Out: rows.

CoNLL: a block a row, columns index, word, intent, tag, `NoLabel` outside. TSV: intent, slots, utterance, language,
tokens. CoNLL is preferred where both are there. `<lang>/train.tsv` holds one translation a line.
"""

from collections.abc import Iterator

from xa_search.corpora.raw_files import Line, blocks, columns_of, comment_of
from xa_search.corpora.rows import SPLIT_STEMS, CatalogueEntry, Layout, Row, full_lines, line_id, lines_beside
from xa_search.corpora.spans import label_words
from xa_search.corpora.text import clean_label
from xa_search.records import OUTSIDE, Split

NO_LABEL = "NoLabel"
INTENT = "intent"
CONLL_COLUMNS = 4
TSV_COLUMNS = 5


def split_files(lang: str, split: Split) -> tuple[str, ...]:
    """Name the files that may hold a split, CoNLL first."""
    return tuple(
        f"{lang}/{stem}-{lang}.{suffix}" for suffix in ("conllu", "conll", "tsv") for stem in SPLIT_STEMS[split]
    )


def line_translations(lang: str) -> tuple[str, ...]:
    """Name the files that may hold the translations of the English training set."""
    return (*lines_beside(lang), f"{lang}/train.tsv")


def read(name: str, lines: Iterator[Line], lang: str, split: Split) -> Iterator[Row]:
    """Read a file by its ending."""
    return read_conll(lines, lang, split) if is_conll(name) else read_tsv(lines, lang, split)


def is_conll(name: str) -> bool:
    """Tell by a file's ending that its tags stand in it; in the TSV files they are spans."""
    return not name.endswith(".tsv")


def read_conll(lines: Iterator[Line], lang: str, split: Split) -> Iterator[Row]:
    """Yield a row for each block of lines between blank ones."""
    for block in blocks(lines):
        yield _row(block, line_id(lang, split, block[0].number))


def read_tsv(lines: Iterator[Line], lang: str, split: Split) -> Iterator[Row]:
    """Yield a row for each line."""
    for line in full_lines(lines):
        row_id = line_id(lang, split, line.number)
        columns = line.text.split("\t")
        if len(columns) != TSV_COLUMNS:
            yield Row(line=line.number, id=row_id, own_id=False, dropped="wrong_columns")
            continue
        intent, slots, utterance, _, tokens = columns
        found = label_words(slots, utterance, tokens)
        yield Row(
            line=line.number,
            id=row_id,
            own_id=False,
            words=found.words,
            tags=found.tags,
            intent=intent,
            repairs=found.repairs,
            dropped=found.fault,
            had_slots=bool(slots.strip()),
        )


def _row(block: list[Line], row_id: str) -> Row:
    first = block[0].number
    rows = columns_of(block)
    if any(len(columns) != CONLL_COLUMNS for columns in rows):
        return Row(line=first, id=row_id, own_id=False, dropped="wrong_columns")
    return Row(
        line=first,
        id=row_id,
        own_id=False,
        words=tuple(word for _, word, _, _ in rows),
        tags=tuple(OUTSIDE if clean_label(tag) == NO_LABEL else tag for _, _, _, tag in rows),
        intent=rows[0][2] if rows else comment_of(block, INTENT),
    )


LAYOUT = Layout(split_files=split_files, read=read, tagged=is_conll, line_translations=line_translations)

MTOD = CatalogueEntry(
    name="mtod",
    title="MTOD, Multilingual Task-Oriented Dialog (Schuster et al. 2019)",
    languages=("en", "es", "th"),
    licence="stated in the download itself; not checked here",
    layout=LAYOUT,
    expects="en/train-en.conllu (or .tsv), en/dev-en.conllu, en/test-en.conllu, the same for each target, "
    "and es/train.tsv with one translation for each row of the English training file",
    # The download holds no translations, and no checksum is published for it: its structure is checked.
    address="https://fb.me/multilingual_task_oriented_data",
)
