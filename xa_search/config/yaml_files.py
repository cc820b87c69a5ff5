"""YAML as text. In: the text of a file or of one value. Out: what it holds, or the line that is no YAML.

It is YAML 1.2: `1e-4` is a number and `no` is a word. A key that is written twice is a fault.
"""

import io
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from xa_search.errors import UsageError


class BrokenYamlError(Exception):
    """The text is no YAML document; `line` says where that shows."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


def is_file(path: Path) -> bool:
    """Tell whether there is such a file; a name that no file can have is that of none."""
    try:
        return path.is_file()
    except OSError:
        return False


def load_yaml(text: str) -> Any:
    """Return what a text holds. Raises BrokenYamlError."""
    try:
        return YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, RecursionError) as error:
        raise broken_yaml(text, error) from None


def load_yaml_file(path: object, text: str) -> Any:
    """Return what the text of a file holds. Raises UsageError with its line."""
    try:
        return load_yaml(text)
    except BrokenYamlError as error:
        raise UsageError(f"{path}:{error.line}: not valid YAML ({error}); mend that line") from None


def dump_yaml(value: Any) -> str:
    """Return a mapping as the text of a file, its keys in their order."""
    writer, text = YAML(typ="safe", pure=True), io.StringIO()
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    writer.dump(value, text)
    return text.getvalue()


def yaml_line(key: str, value: Any) -> str:
    """Return a key and its value as a search space has them, in one line."""
    writer, text = YAML(typ="safe", pure=True), io.StringIO()
    writer.default_flow_style = None
    writer.width = 1000
    writer.dump({key: value}, text)
    return text.getvalue().strip()


def broken_yaml(text: str, error: Exception) -> BrokenYamlError:
    """Return what a parser's error says of a text; a value that it cannot make, such as a 13th month, has no line."""
    lines = max(1, len(text.splitlines()))
    if isinstance(error, RecursionError):
        return BrokenYamlError(1, "an alias stands within what it names")
    if not isinstance(error, MarkedYAMLError):
        return BrokenYamlError(1, " ".join(str(error).split()))
    mark = error.problem_mark or error.context_mark
    problem = " ".join(str(error.problem or error).split())
    return BrokenYamlError(1 if mark is None else min(mark.line + 1, lines), problem)
