"""From records to rows. In: the records of a file, or lines of JSONL. Out: rows.

One object a line: {"id": "7", "tokens": ["wake", "me"], "intent": "alarm", "slots": ["O", "O"]}; the id may be missing,
`text` may stand for `tokens`, and `spans` for `slots`. What the first row of a language leaves out, the whole file has
to: without slots, intents alone are learned; without intents, slots alone. A row that leaves out slots which others
have is no row without slots: that is an error.

Translations have the ids of source rows: {"id": "7", "tokens": [...]} or {"id": "7", "text": "..."}.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from xa_search.corpora.own.json_form import json_record
from xa_search.corpora.own.records import Record
from xa_search.corpora.raw_files import Line
from xa_search.corpora.rows import NO_INTENT, SPLIT_STEMS, Layout, Row, RowError, full_lines, line_id
from xa_search.corpora.spans import SlotSpan, Token, tags_of_spans
from xa_search.corpora.tags import is_outside
from xa_search.corpora.text import SPACE, split_words
from xa_search.errors import DataError
from xa_search.records import OUTSIDE, Split

Values = Mapping[str, object]
WHOLE = re.compile(r"(\d+)\.0+")
EXACT = 1 << 53
QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
LABEL_NAMES = ("label", "entity", "type", "slot")


def split_files(lang: str, split: Split) -> tuple[str, ...]:
    """Name the files that may hold a split, in their simplest form."""
    return tuple(name for stem in SPLIT_STEMS[split] for name in (f"{stem}.{lang}.jsonl", f"{lang}/{stem}.jsonl"))


def id_translations(lang: str) -> tuple[str, ...]:
    """Name the files that may hold translations; of a target training file only ids and words are used."""
    return (f"translations.{lang}.jsonl", f"{lang}/translations.jsonl", *split_files(lang, "train"))


@dataclass(slots=True)
class _Given:
    """What the first row of a language has, and the others have to have."""

    file: str
    line: int | None = None
    slots: bool = True
    intent: bool = True

    def check(self, record: Record) -> None:
        """Look at a row that has values. Raises DataError where it says otherwise than the first one."""
        slots = any(record.values.get(field) is not None for field in ("slots", "spans"))
        intent = record.values.get("intent") not in (None, "")
        if self.line is None:
            self.line, self.slots, self.intent = record.number, slots, intent
        if slots != self.slots:
            having, lacking = (record.number, self.line) if slots else (self.line, record.number)
            raise DataError(
                f"{self.file}:{lacking} has no slots, but the row at {having} has: give every row its slots "
                "(O for each word where it has none), or none at all"
            )
        if intent and not self.intent:
            raise DataError(
                f"{self.file}:{record.number} has an intent, but the row at {self.line} has none: give every row one, "
                "or none at all"
            )


def read(name: str, lines: Iterator[Line], lang: str, split: Split) -> Iterator[Row]:
    """Yield a row for each record of the language. Raises DataError where rows disagree about what is labelled."""
    given = _Given(name)
    for record in _records(lines):
        row_id, own_id = line_id(lang, split, record.number), False
        try:
            if record.fault is not None:
                raise RowError(record.fault)
            if record.values.get("lang") not in (None, lang):
                continue
            given.check(record)
            row_id, own_id = _own_id(record.values, row_id)
            words, tags, repairs = _labelled(record.values, is_tagged=given.slots)
            if given.slots and not given.intent:
                intent, repairs = NO_INTENT, (*repairs, "stand_in_intent")
            else:
                intent = _intent(record.values)
        except RowError as fault:
            slotted = _seems_slotted(record.values)
            yield Row(line=record.number, id=row_id, own_id=own_id, dropped=fault.reason, had_slots=slotted)
        else:
            yield Row(
                line=record.number, id=row_id, own_id=own_id, words=words, tags=tags, intent=intent, repairs=repairs
            )


def read_translation_rows(lines: Iterator[Line], lang: str) -> Iterator[Row]:
    """Yield a row with words but no labels for each record of the language."""
    for record in _records(lines):
        row_id, own_id = line_id(lang, "train", record.number), False
        try:
            if record.fault is not None:
                raise RowError(record.fault)
            if record.values.get("lang") not in (None, lang):
                continue
            row_id, own_id = _own_id(record.values, row_id)
            words = tuple(token.text for token in _tokens(record.values))
        except RowError as fault:
            yield Row(line=record.number, id=row_id, own_id=own_id, dropped=fault.reason)
        else:
            running = record.values.get("tokens") is None
            yield Row(line=record.number, id=row_id, own_id=own_id, words=words, running_text=running)


def _seems_slotted(values: Values) -> bool:
    """Tell whether a row that cannot be read has slots, as far as that can be seen."""
    slots, spans = values.get("slots"), values.get("spans")
    try:
        if slots is not None:
            return not all(is_outside(tag) for tag in _strings(slots))
        return bool(_written(spans) if isinstance(spans, str) and spans.strip() else spans)
    except RowError:
        return False


def _records(lines: Iterator[Line]) -> Iterator[Record]:
    return (line if isinstance(line, Record) else json_record(line) for line in full_lines(lines))


def _own_id(values: Values, otherwise: str) -> tuple[str, bool]:
    own = values.get("id")
    if own is None or own == "" or own != own:
        return otherwise, False
    if isinstance(own, float) and own.is_integer() and abs(own) < EXACT:
        own = int(own)
    if type(own) not in (str, int, float):
        raise RowError("bad_json")
    whole = WHOLE.fullmatch(own) if isinstance(own, str) else None
    return whole[1] if whole else str(own), True


def _intent(values: Values) -> str:
    """Return the intent; an empty one where there is none. A number is a name like any other."""
    intent = values.get("intent")
    if intent is not None and type(intent) not in (str, int):
        raise RowError("bad_json")
    return "" if intent is None else str(intent)


def _labelled(values: Values, *, is_tagged: bool) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Return words, tags and kinds of repair."""
    if is_tagged and values.get("slots") is not None:
        tags = _strings(values["slots"])
        if values.get("tokens") is not None:
            return _strings(values["tokens"]), tags, ()
        return tuple(word for word in SPACE.split(_text(values)) if word), tags, ()
    tokens = _tokens(values)
    words = tuple(token.text for token in tokens)
    if not is_tagged:
        return words, (OUTSIDE,) * len(words), ()
    tags, repairs = tags_of_spans(tokens, tuple(_spans(values["spans"])), _text(values))
    return words, tags, repairs


def _tokens(values: Values) -> tuple[Token, ...]:
    """Return the words and where they stand in the text; the words given count before those of the text."""
    if values.get("tokens") is None:
        whole = _text(values)
        # As they stand there: what the text policy changes in them is counted where every row is repaired.
        return tuple(Token(whole[word.start : word.end], word.start, word.end) for word in split_words(whole))
    words, text, end = _strings(values["tokens"]), values.get("text"), 0
    text = text if isinstance(text, str) else " ".join(words)
    tokens = []
    for word in words:
        start = text.find(word, end)
        if start < 0 and values.get("spans") is not None:
            raise RowError("text_differs")
        start = max(start, end)
        end = start + len(word)
        tokens.append(Token(word, start, end))
    return tuple(tokens)


def _text(values: Values) -> str:
    text = values.get("text")
    if text is None and values.get("tokens") is not None:
        return " ".join(_strings(values["tokens"]))
    if text is not None and not isinstance(text, str):
        raise RowError("bad_json")
    return text or ""


def _strings(value: object) -> tuple[str, ...]:
    """Return the texts of a list; in a table one is written as JSON, as Python, or with spaces between."""
    if isinstance(value, str):
        value = _written(value) if value.lstrip().startswith("[") else value.split()
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise RowError("bad_json")
    return tuple(value)


def _written(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        between = QUOTED.sub("", text)
        if between.strip(" [],\n"):
            return text.split()
        return [re.sub(r"\\(.)", r"\1", found[0][1:-1]) for found in QUOTED.finditer(text)]


def _spans(value: object) -> Iterator[SlotSpan]:
    """Read [{"start": 0, "end": 4, "label": "time"}], [[0, 4, "time"]], or lists of starts, ends and labels."""
    if isinstance(value, str):
        value = _written(value) if value.strip() else []
    if isinstance(value, dict):
        columns = [
            column for column in (value.get("start"), value.get("end"), _label(value)) if isinstance(column, list)
        ]
        if len(columns) < 3 or len({len(column) for column in columns}) > 1:
            raise RowError("bad_span")
        value = list(zip(*columns, strict=True))
    if not isinstance(value, list | tuple):
        raise RowError("bad_span")
    for item in value:
        parts = (item.get("start"), item.get("end"), _label(item)) if isinstance(item, dict) else item
        if not isinstance(parts, list | tuple) or len(parts) != 3:
            raise RowError("bad_span")
        start, end, label = parts
        if type(start) is not int or type(end) is not int or not isinstance(label, str) or not label.strip():
            raise RowError("bad_span")
        if not 0 <= start < end < EXACT:
            raise RowError("bad_span")
        yield SlotSpan(start, end, label.strip())


def _label(span: Mapping[str, object]) -> object:
    return next((span[name] for name in LABEL_NAMES if name in span), None)


LAYOUT = Layout(
    split_files=split_files,
    read=read,
    id_translations=id_translations,
    read_translation_rows=read_translation_rows,
)
