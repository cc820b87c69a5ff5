"""Files that could not be read, where the work goes on without them. In: which file, and what is done instead. Out: a
line for each, for whoever talks to the user.

Who finds one is often deep in a trial, on a node, and has nobody to tell: the line is kept in this process until a
trial reports, or a command says what it found.
"""

from pathlib import Path

_lines: list[str] = []


def tell_torn(path: Path, reason: object, instead: str) -> None:
    """Keep a line on a file that is torn or gone, and on what is done instead."""
    why = " ".join(str(reason).split())[:160]
    _lines.append(f"{path.name} in {path.parent} is torn ({why}): {instead}")


def take_torn() -> tuple[str, ...]:
    """Return the lines that nobody has taken yet, each once."""
    lines = tuple(dict.fromkeys(_lines))
    _lines.clear()
    return lines
