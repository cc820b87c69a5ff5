"""A user's own corpus. In: `train.en.jsonl` or `en/train.jsonl`, and so on. Out: rows.

One object a line: {"id": "7", "tokens": ["wake", "me"], "intent": "alarm", "slots": ["O", "O"]}; the id may be missing.
Translations have the ids of source rows: {"id": "7", "tokens": [...]} or {"id": "7", "text": "..."}.
"""

import json
from collections.abc import Iterator

from xa_search.corpora.raw_files import Line, RawFiles
from xa_search.corpora.rows import SPLIT_STEMS, CatalogueEntry, Layout, Row, RowError, full_lines, line_id
from xa_search.corpora.text import clean_words
from xa_search.records import Split


def split_files(lang: str, split: Split) -> tuple[str, ...]:
    """Name the files that may hold a split."""
    return tuple(name for stem in SPLIT_STEMS[split] for name in (f"{stem}.{lang}.jsonl", f"{lang}/{stem}.jsonl"))


def id_translations(lang: str) -> tuple[str, ...]:
    """Name the files that may hold translations; of a target training file only ids and words are used."""
    return (f"translations.{lang}.jsonl", f"{lang}/translations.jsonl", *split_files(lang, "train"))


def languages(files: RawFiles) -> tuple[str, ...]:
    """List the languages that have a file of any split."""
    stems = {stem for stems in SPLIT_STEMS.values() for stem in stems}
    found = set()
    for name in files.names(".jsonl"):
        parts = name.removesuffix(".jsonl").replace("/", ".").split(".")
        if len(parts) >= 2 and parts[-2] in stems:
            found.add(parts[-1])
        elif len(parts) >= 2 and parts[-1] in stems:
            found.add(parts[-2])
    return tuple(sorted(found))


def read(_name: str, lines: Iterator[Line], lang: str, split: Split) -> Iterator[Row]:
    """Yield a row for each line."""
    for line in full_lines(lines):
        row_id, own_id = line_id(lang, split, line.number), False
        try:
            found = _load(line)
            row_id, own_id = _own_id(found, row_id)
            words, tags, intent = _strings(found, "tokens"), _strings(found, "slots"), found.get("intent") or ""
            if not isinstance(intent, str):
                raise RowError("bad_json")
        except RowError as fault:
            yield Row(line=line.number, id=row_id, own_id=own_id, dropped=fault.reason)
        else:
            yield Row(line=line.number, id=row_id, own_id=own_id, words=words, tags=tags, intent=intent)


def read_translation_rows(lines: Iterator[Line], lang: str) -> Iterator[Row]:
    """Yield a row with words but no labels for each line."""
    for line in full_lines(lines):
        row_id, own_id = line_id(lang, "train", line.number), False
        try:
            found = _load(line)
            row_id, own_id = _own_id(found, row_id)
            text = found.get("text", "")
            if not isinstance(text, str):
                raise RowError("bad_json")
            words = _strings(found, "tokens") if "tokens" in found else clean_words(text)
        except RowError as fault:
            yield Row(line=line.number, id=row_id, own_id=own_id, dropped=fault.reason)
        else:
            running = "tokens" not in found
            yield Row(line=line.number, id=row_id, own_id=own_id, words=words, running_text=running)


def _load(line: Line) -> dict[str, object]:
    try:
        found = json.loads(line.text)
    except (ValueError, RecursionError) as error:
        raise RowError("bad_json") from error
    if not isinstance(found, dict):
        raise RowError("bad_json")
    return found


def _own_id(found: dict[str, object], otherwise: str) -> tuple[str, bool]:
    own = found.get("id")
    if own is None or own == "":
        return otherwise, False
    if type(own) not in (str, int):
        raise RowError("bad_json")
    return str(own), True


def _strings(found: dict[str, object], key: str) -> tuple[str, ...]:
    value = found.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise RowError("bad_json")
    return tuple(value)


LAYOUT = Layout(
    split_files=split_files,
    read=read,
    id_translations=id_translations,
    read_translation_rows=read_translation_rows,
)

JSONL = CatalogueEntry(
    name="jsonl",
    title="your own corpus",
    languages=(),
    licence="yours",
    layout=LAYOUT,
    expects="train.en.jsonl, dev.en.jsonl, test.en.jsonl (or en/train.jsonl), the same for each target, "
    "and translations.de.jsonl",
    find_languages=languages,
)
