"""MultiATIS++. In: `train_EN.tsv`, `dev_EN.tsv`, `test_EN.tsv`, and so on. Out: rows.

Tab-separated: id, utterance, slot_labels, intent, with a header line that names them; words and labels are separated
by spaces. Languages are parallel by id, as far as the pairs' check agrees. XeroAlign's authors give `en/train.txt`,
`en/dev.txt`, `en/test.txt`, and `de/train.tsv` with one translation a line.

Rows with a different number of words and labels occur.
"""

from collections.abc import Iterator, Sequence

from xa_search.corpora.raw_files import Line
from xa_search.corpora.rows import SPLIT_STEMS, CatalogueEntry, Layout, Row, full_lines, line_id, lines_beside
from xa_search.records import Split

COLUMNS = ("id", "utterance", "slot_labels", "intent")
PREFIX = "atis_"
JOINED = "#"


def split_files(lang: str, split: Split) -> tuple[str, ...]:
    """Name the files that may hold a split."""
    names = []
    for stem in SPLIT_STEMS[split]:
        for code in (lang.upper(), lang):
            both = f"{stem}_{code}.tsv"
            names += [both, f"{stem}/{both}", f"{code}/{stem}.tsv", f"{code}/{both}"]
    return tuple(names)


def authors_files(lang: str, split: Split) -> tuple[str, ...]:
    """Name the files that may hold a split as XeroAlign's authors give the corpus."""
    return tuple(f"{code}/{stem}.txt" for code in (lang, lang.upper()) for stem in SPLIT_STEMS[split])


def authors_translations(lang: str) -> tuple[str, ...]:
    """Name the files that may hold translations there: `train.tsv` is no table, but one translation a line."""
    return (*lines_beside(lang), f"{lang}/train.tsv", f"{lang.upper()}/train.tsv")


def authors_ids(lang: str) -> tuple[str, ...]:
    """Name the target training file there: its ids, never its labels, are used."""
    return authors_files(lang, "train")


def id_translations(lang: str) -> tuple[str, ...]:
    """Name the target training file: its ids, never its labels, are used."""
    return split_files(lang, "train")


def same_intent(stated: str, known: frozenset[str]) -> str | None:
    """Return the known intent that "atis_flight airfare" means, as Hindi and Turkish write "atis_flight#atis_airfare".

    None where it is known as it stands, or means no known one.
    """
    parts = stated.replace(JOINED, " ").split()
    if stated in known or len(parts) < 2:
        return None
    wanted = {part if part.startswith(PREFIX) else PREFIX + part for part in parts}
    return next((intent for intent in sorted(known) if set(intent.split(JOINED)) == wanted), None)


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


AUTHORS_LAYOUT = Layout(
    split_files=authors_files,
    read=read,
    same_intent=same_intent,
    line_translations=authors_translations,
    id_translations=authors_ids,
)
LAYOUT = Layout(
    split_files=split_files,
    read=read,
    same_intent=same_intent,
    others=(AUTHORS_LAYOUT,),
    id_translations=id_translations,
)

MULTIATIS = CatalogueEntry(
    name="multiatis",
    title="MultiATIS++ (Xu et al. 2020)",
    languages=("en", "de", "es", "fr", "hi", "ja", "pt", "tr", "zh"),
    licence="LDC (LDC2021T04): not to be downloaded freely",
    layout=LAYOUT,
    expects="train_EN.tsv, dev_EN.tsv, test_EN.tsv, and the same for each target (train_DE.tsv); "
    "columns id, utterance, slot_labels, intent",
    how_to_get="MultiATIS++ is licensed by the LDC (LDC2021T04) and cannot be downloaded: get it there and give",
)
