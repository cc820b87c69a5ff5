"""The rows of one file under the one policy. In: rows as read, and what is known of their file. Out: rows to use.

In this order: tags are read as what their file's scheme says, the row is repaired or dropped, and a row whose id an
earlier one has is told apart from it. Same id, words and labels: one row given twice. Same id, other words: both stay.

A pair takes the first row of an id, as the readers of translations do. The others keep the id with a number behind it,
so that ids stay unique: `7`, `7#2`, `7#3`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache

from xa_search.corpora.repair import repair
from xa_search.corpora.rows import Row
from xa_search.corpora.tags import TagScheme, TagSurvey, is_outside, to_iob2
from xa_search.corpora.text import clean_label, is_utf8
from xa_search.records import Split, Utterance


@dataclass(slots=True)
class FoundInFiles:
    """What was found in the files of a corpus: each is looked through once a process."""

    schemes: dict[tuple[str, str, Split], TagScheme] = field(default_factory=dict)
    source_intents: frozenset[str] | None = None
    source_ids: frozenset[str] | None = None
    source_utterances: dict[str, Utterance] = field(default_factory=dict)


def survey_tags(rows: Iterable[Row]) -> TagScheme:
    """Return the tag scheme of a file; it looks at every row."""
    survey = TagSurvey()
    for row in rows:
        survey.add([_cleaned(tag) for tag in row.tags])
    return survey.scheme()


def read_rows(rows: Iterable[Row], scheme: TagScheme | None) -> Iterator[Row]:
    """Yield every row after the policy, dropped ones too; `scheme` is none where the tags come from spans."""
    for row in rows:
        yield repair(_with_known_tags(row, scheme))


def with_ids_told_apart(rows: Iterable[Row]) -> Iterator[Row]:
    """Drop a row that is given twice, and give each other one an id of its own; ids that a reader made are so."""
    ids: set[str] = set()
    contents: set[int] = set()
    for row in rows:
        if not row.own_id or row.dropped is not None:
            ids.update((row.id,) if row.own_id else ())
            yield row
            continue
        content = hash((row.id, row.words, row.tags, row.intent))
        if content in contents:
            row = replace(row, dropped="duplicate_id")
        elif row.id in ids:
            row = replace(row, id=_free_id(row.id, ids))
        contents.add(content)
        ids.add(row.id)
        yield row


def _free_id(given: str, ids: set[str]) -> str:
    number = 2
    while f"{given}#{number}" in ids:
        number += 1
    return f"{given}#{number}"


def _with_known_tags(row: Row, scheme: TagScheme | None) -> Row:
    """Return the row with its tags in IOB2; where one fits no scheme, dropped."""
    if scheme is None or not all(is_utf8(tag) for tag in row.tags):
        return row
    tags = tuple(_cleaned(tag) for tag in row.tags)
    row = replace(row, had_slots=row.had_slots or not all(is_outside(tag) for tag in tags))
    if row.dropped is not None or len(row.words) != len(tags):
        return row
    found = to_iob2(tags, scheme)
    if found is None:
        unknown = next(tag for tag in tags if to_iob2((tag,), scheme) is None)
        return replace(row, dropped="bad_tag", example=unknown)
    converted, mended = found
    repairs = row.repairs
    if tags != tuple(tag.strip() for tag in row.tags):
        repairs = (*repairs, "cleaned_label")
    if mended:
        repairs = (*repairs, "stray_inside_tag" if scheme.is_iob2 else "broken_slot")
    as_kept = scheme.is_iob2 and (mended or tags == converted)
    return replace(row, tags=converted, repairs=repairs, converted=row.had_slots and not as_kept)


@lru_cache(maxsize=1 << 16)
def _cleaned(tag: str) -> str:
    return clean_label(tag)
