"""Text from outside, made fit for a terminal. In: any text. Out: the same, with nothing in it that a terminal obeys.

Labels, file names and messages come from corpora, models and homes of other people. Control characters, marks that turn
the writing direction around, and bytes that were no UTF-8 are shown by number, as JSON writes them.
"""

import re

import typer

COLOUR = re.compile("\x1b\\[[0-9;]*m")
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """Return a text in which everything can be seen; line ends and tabs stay."""
    return OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def echo(text: str, err: bool = False) -> None:
    """Print a text that may have come from outside."""
    typer.echo(visible(text), err=err)


def echo_log(text: str) -> None:
    """Print a piece of what a job elsewhere printed, which ends its lines itself; the colours of its logs go."""
    typer.echo(visible(COLOUR.sub("", text).replace("\r\n", "\n")), nl=False)
