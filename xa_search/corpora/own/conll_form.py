"""CoNLL. In: a file with a word a line, its tag in the last column, and a blank line between utterances. Out: records.

Tabs part the columns, or spaces where there is no tab. The word is in the first column, or in the second one where the
first counts the words. Comments (`# intent: alarm`, `# id = 7`, `# lang: de`) give the other values.
"""

import re
from collections.abc import Iterator

from xa_search.corpora.own.records import Record, record_of
from xa_search.corpora.raw_files import COMMENT, RawFiles, blocks

STATED = re.compile(r"#\s+([\w.-]+)\s*[:=]\s*(.*)")
TAG = re.compile(r"O|[BIESLUM]-\S+", re.IGNORECASE)
NO_UTTERANCE = "-DOCSTART-"


def conll_records(files: RawFiles, name: str) -> Iterator[Record]:
    """Yield a record for each block of lines between blank ones."""
    for block in blocks(files.lines(name)):
        values: dict[str, object] = {}
        rows = []
        for line in block:
            if stated := STATED.fullmatch(line.text) if "\t" not in line.text else None:
                values[stated[1]] = stated[2].strip()
            elif not _is_comment(line.text):
                rows.append(line.text.split("\t") if "\t" in line.text else line.text.split())
        if not rows or rows[0][0] == NO_UTTERANCE:
            continue
        if len({len(row) for row in rows}) > 1 or len(rows[0]) < 2:
            yield record_of(block[0].number, None, "wrong_columns")
            continue
        counted = len(rows[0]) > 2 and [row[0] for row in rows] == [str(number + 1) for number in range(len(rows))]
        words = [row[1 if counted else 0] for row in rows]
        yield record_of(block[0].number, {**values, "tokens": words, "slots": [row[-1] for row in rows]})


def _is_comment(text: str) -> bool:
    """Tell whether a line is a comment; `# O` is the word `#`."""
    return text == "#" or (text.startswith(COMMENT) and "\t" not in text and not TAG.fullmatch(text.split()[-1]))
