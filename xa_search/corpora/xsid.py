"""xSID. In: `en.train.conll`, `en.valid.conll`, `en.test.conll`, and so on. Out: rows.

A block a row: comments (`# text = `, `# intent = `), then index, word, intent, tag. The release's ids are left unused:
English has none, and Lithuanian gives one several times. `translations/<lang>.txt` holds one translation a line.
"""

from collections.abc import Iterator

from xa_search.corpora.raw_files import Line, blocks, columns_of, comment_of
from xa_search.corpora.rows import CatalogueEntry, Layout, Row, line_id
from xa_search.corpora.text import clean_label
from xa_search.records import Split

COLUMNS = 4
STEMS: dict[Split, tuple[str, ...]] = {"train": ("train",), "dev": ("valid", "dev"), "test": ("test",)}


def split_files(lang: str, split: Split) -> tuple[str, ...]:
    """Name the files that may hold a split; xSID calls dev `valid`."""
    return tuple(f"{lang}.{stem}.conll" for stem in STEMS[split])


def read(_name: str, lines: Iterator[Line], lang: str, split: Split) -> Iterator[Row]:
    """Yield a row for each block of lines between blank ones."""
    for block in blocks(lines):
        yield _row(block, line_id(lang, split, block[0].number))


def _row(block: list[Line], row_id: str) -> Row:
    """Read one block. The header's intent counts; where a word states another one, that is a slip of its annotator."""
    first = block[0].number
    rows = columns_of(block)
    if any(len(columns) != COLUMNS for columns in rows):
        return Row(line=first, id=row_id, own_id=False, dropped="wrong_columns")
    stated, of_words = comment_of(block, "intent"), {clean_label(intent) for _, _, intent, _ in rows}
    if not stated and len(of_words) > 1:
        return Row(line=first, id=row_id, own_id=False, dropped="two_intents")
    intent = stated or "".join(of_words)
    return Row(
        line=first,
        id=row_id,
        own_id=False,
        words=tuple(word for _, word, _, _ in rows),
        tags=tuple(tag for _, _, _, tag in rows),
        intent=intent,
        repairs=("odd_intent",) if of_words - {clean_label(intent)} else (),
    )


LAYOUT = Layout(split_files=split_files, read=read)

XSID = CatalogueEntry(
    name="xsid",
    title="xSID 0.7 (van der Goot et al. 2021, Aepli et al. 2023, Winkler et al. 2024)",
    languages=(
        *("en", "ar", "da", "de", "de-ba", "de-muc", "de-st", "gsw", "id"),
        *("it", "ja", "kk", "lt", "nap", "nl", "sr", "tr", "zh"),
    ),
    licence="CC BY-SA 4.0",
    layout=LAYOUT,
    expects="en.test.conll and the same for each target to test a model; to train one also en.train.conll, "
    "en.valid.conll and translations/de.txt with one translation for each row of en.train.conll",
)
