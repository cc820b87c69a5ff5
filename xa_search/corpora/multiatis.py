"""MultiATIS++. In: `train_EN.tsv`, `dev_EN.tsv`, `test_EN.tsv`, and so on. Out: rows.

Tab-separated: id, utterance, slot_labels, intent, with a header line that names them; words and labels are separated
by spaces. Languages are parallel by id. Rows with a different number of words and labels occur.
"""

from collections.abc import Iterator, Sequence

from xa_search.corpora.raw_files import Line
from xa_search.corpora.rows import SPLIT_STEMS, Layout, Row, full_lines, line_id
from xa_search.records import Split

COLUMNS = ("id", "utterance", "slot_labels", "intent")


def split_files(lang: str, split: Split) -> tuple[str, ...]:
    """Name the files that may hold a split."""
    names = []
    for stem in SPLIT_STEMS[split]:
        for code in (lang.upper(), lang):
            both = f"{stem}_{code}.tsv"
            names += [both, f"{stem}/{both}", f"{code}/{stem}.tsv", f"{code}/{both}"]
    return tuple(names)


def id_translations(lang: str) -> tuple[str, ...]:
    """Name the target training file: its ids, never its labels, are used."""
    return split_files(lang, "train")


def read(_name: str, lines: Iterator[Line], lang: str, split: Split) -> Iterator[Row]:
    """Yield a row for each line below the header; without a header the columns stand in the usual order."""
    places: Sequence[int] = range(len(COLUMNS))
    width = len(COLUMNS)
    for line in full_lines(lines):
        columns = line.text.split("\t")
        if line.number == 1 and columns[0].strip().lower() == "id":
            names = [name.strip().lower().replace(" ", "_").replace("-", "_") for name in columns]
            if all(name in names for name in COLUMNS):
                places, width = [names.index(name) for name in COLUMNS], len(names)
            continue
        row_id = line_id(lang, split, line.number)
        if len(columns) != width:
            yield Row(line=line.number, id=row_id, own_id=False, dropped="wrong_columns")
            continue
        own_id, utterance, labels, intent = (columns[place].strip(" ") for place in places)
        yield Row(
            line=line.number,
            id=own_id or row_id,
            own_id=bool(own_id),
            words=_split(utterance),
            tags=_split(labels),
            intent=intent,
        )


def _split(text: str) -> tuple[str, ...]:
    """Split at plain spaces only, as the labels count the words; `repair` splits a word at its no-break spaces."""
    return tuple(part for part in text.split(" ") if part)


LAYOUT = Layout(split_files=split_files, read=read, id_translations=id_translations)
