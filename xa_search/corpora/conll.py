"""CoNLL blocks. In: the lines of a file. Out: one block of lines a row, its words' columns, its comments.

A block ends at a blank line. A `#` that stands alone before a tab is a word's index gone wrong, not a comment.
"""

from collections.abc import Iterator

from xa_search.corpora.raw_files import Line

COMMENT = "# "


def blocks(lines: Iterator[Line]) -> Iterator[list[Line]]:
    """Yield the lines between blank ones."""
    block: list[Line] = []
    for line in lines:
        if line.text.strip():
            block.append(line)
        elif block:
            yield block
            block = []
    if block:
        yield block


def columns_of(block: list[Line]) -> list[list[str]]:
    """Return the columns of each word's line."""
    return [line.text.split("\t") for line in block if not _is_comment(line.text)]


def comment_of(block: list[Line], key: str) -> str:
    """Return what the first comment `# key: value` or `# key = value` says; empty where there is none."""
    for line in block:
        name, _, value = line.text.removeprefix(COMMENT).replace("=", ":", 1).partition(":")
        if _is_comment(line.text) and name.strip() == key:
            return value.strip()
    return ""


def _is_comment(text: str) -> bool:
    return text == "#" or (text.startswith(COMMENT) and "\t" not in text)
