"""docs/commands.md. In: the command line itself. Out: every command with its arguments and options, as Markdown.

`python -m xa_search.cli.reference > docs/commands.md` writes it anew; a test says when that is due.
"""

from collections.abc import Iterator
from typing import Any

import typer
import typer.main

from xa_search.cli.main import app

HEAD = """# Commands

Every command with its arguments and options, as `xa-search COMMAND --help` has them. This page is made from the command
line itself: `python -m xa_search.cli.reference > docs/commands.md`.

`SEARCH` is a search's id or the name of its space, which means its newest search; where it is left out, the newest
search of the home, or all of them. `--home` is `~/.xa-search` unless it or `XA_SEARCH_HOME` is given. Durations: `90s`,
`30m`, `8h`, `1d`, `1h30m`. Sizes: `500MB`, `20GB`, `1.5TB`. `--debug` may also stand before the command.
"""


def reference() -> str:
    """Return the whole page."""
    root: Any = typer.main.get_command(app)
    options = [row for row in map(_option, root.params) if row is not None]
    parts = [HEAD, _section("xa-search", "", options)]
    parts += [_section(f"xa-search {name}", command.help, _rows(command)) for name, command in _commands(root, "")]
    return "\n".join(parts)


def _commands(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield each command that is shown, by the words that call it."""
    for name, command in group.commands.items():
        if command.hidden:
            continue
        if hasattr(command, "commands"):
            yield from _commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def _section(title: str, text: str, rows: list[tuple[str, str]]) -> str:
    lines = [f"## `{title}`", "", *([_one_line(text), ""] if text else [])]
    lines += ["| argument or option | meaning |", "|---|---|"]
    lines += [
        f"| `{name.replace('|', chr(92) + '|')}` | {meaning.replace('|', chr(92) + '|')} |" for name, meaning in rows
    ]
    return "\n".join([*lines, ""])


def _rows(command: Any) -> list[tuple[str, str]]:
    """Return the arguments, in their order, then the options, by name; what is hidden is left out."""
    arguments = [row for one in command.params if (row := _argument(one)) is not None]
    options = [row for one in command.params if (row := _option(one)) is not None]
    return [*arguments, *sorted(options)]


def _argument(parameter: Any) -> tuple[str, str] | None:
    if parameter.param_type_name != "argument" or parameter.hidden:
        return None
    name = f"{parameter.metavar}{'...' if parameter.nargs == -1 else ''}"
    return (name if parameter.required else f"[{name}]"), _one_line(parameter.help)


def _option(parameter: Any) -> tuple[str, str] | None:
    if parameter.param_type_name != "option" or parameter.hidden:
        return None
    names = ", ".join(parameter.opts)
    default = (
        "" if not parameter.show_default or not _is_shown(parameter.default) else f" Default: {parameter.default}."
    )
    return (f"{names} {parameter.metavar}" if parameter.metavar else names), _one_line(parameter.help) + default


def _is_shown(default: Any) -> bool:
    return isinstance(default, int | float | str) and not isinstance(default, bool)


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())


if __name__ == "__main__":
    typer.echo(reference(), nl=False)
