"""The rows of one file under the one policy. In: rows as read, and what is known of their file. Out: rows to use.

In this order: tags are read as what their file's scheme says, then the row is repaired or dropped.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache

from xa_search.corpora.repair import repair
from xa_search.corpora.rows import Row
from xa_search.corpora.tags import TagScheme, TagSurvey, is_outside, to_iob2
from xa_search.corpora.text import clean_label, is_utf8
from xa_search.records import Split


@dataclass(slots=True)
class FoundInFiles:
    """What was found in the files of a corpus: each is looked through once a process."""

    schemes: dict[tuple[str, str, Split], TagScheme] = field(default_factory=dict)


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


def _with_known_tags(row: Row, scheme: TagScheme | None) -> Row:
    """Return the row with its tags in IOB2; where one fits no scheme, dropped."""
    if scheme is None or not all(is_utf8(tag) for tag in row.tags):
        return row
    tags = tuple(_cleaned(tag) for tag in row.tags)
    row = replace(row, had_slots=not all(is_outside(tag) for tag in tags))
    if row.dropped is not None or len(row.words) != len(tags):
        return row
    found = to_iob2(tags, scheme)
    if found is None:
        unknown = next(tag for tag in tags if to_iob2((tag,), scheme) is None)
        return replace(row, dropped="bad_tag", example=unknown)
    converted, mended = found
    repairs = row.repairs
    if mended:
        repairs = (*repairs, "stray_inside_tag" if scheme.is_iob2 else "broken_slot")
    as_kept = scheme.is_iob2 and (mended or tags == converted)
    return replace(row, tags=converted, repairs=repairs, converted=row.had_slots and not as_kept)


@lru_cache(maxsize=1 << 16)
def _cleaned(tag: str) -> str:
    return clean_label(tag)
