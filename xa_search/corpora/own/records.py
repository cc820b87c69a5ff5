"""One row of a user's own data before it is read. In: a row of any form. Out: its values under our names.

| our name | what it holds |
|---|---|
| id | what languages share; whole numbers may come as 7.0 |
| lang | the language, where a file holds several |
| text, tokens | the words: running text, or a list (in a table also words between spaces) |
| intent, slots | the labels: a name; a tag for each word |
| spans | slots by characters of `text` in place of tags; also under the name `entities` |
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from xa_search.corpora.raw_files import Line
from xa_search.errors import DataError
from xa_search.records import FIELDS

OTHER_NAMES = {"spans": ("entities",)}
SHOWN_COLUMNS = 12
Columns = tuple[tuple[str, str], ...]
"""Our name and the user's, for each field that has another name there."""


@dataclass(frozen=True, slots=True)
class Record(Line):
    """A row by names; `fault`, a key of DROPS, says why it has no values. `text` is no more than not blank."""

    values: Mapping[str, object] = field(default_factory=dict)
    fault: str | None = None


def record_of(number: int, values: object, fault: str | None = None) -> Record:
    """Make a record of what stands at a place: a fault where that is no mapping."""
    if fault is None and isinstance(values, dict):
        return Record(number, str(number), values)
    return Record(number, str(number), {}, fault or "bad_json")


def renamed(values: Mapping[str, object], columns: Columns) -> dict[str, object]:
    """Return the values of our fields: by the name that a mapping gives, or else by our own.

    What a mapping gives to one field is not taken for another one.
    """
    mapped = dict(columns)
    found = {}
    for ours in FIELDS:
        for name in (mapped.get(ours, ours), ours, *OTHER_NAMES.get(ours, ())):
            if name in values and (name == mapped.get(ours) or name not in mapped.values()):
                found[ours] = values[name]
                break
    return found


def check_columns(where: str, values: Mapping[str, object], columns: Columns, *, is_table: bool) -> None:
    """Raise DataError where the first row of a file has no words by any name, or a table lacks a column named."""
    missing = [f"{name!r} (for {ours})" for ours, name in columns if is_table and name not in values]
    if not missing and not {"text", "tokens"}.isdisjoint(renamed(values, columns)):
        return
    names = list(map(str, values))
    shown = ", ".join(names[:SHOWN_COLUMNS]) + (", ..." if len(names) > SHOWN_COLUMNS else "")
    wanted = ", ".join(missing) or "'text' or 'tokens'"
    raise DataError(
        f"{where}: no column {wanted}; it has {shown or 'none'}: say which is which, "
        "for example --columns text=utt,intent=label, or `columns: {text: utt, intent: label}` in a search space"
    )
