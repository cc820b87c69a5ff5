"""Options that several commands share. In: nothing. Out: their types for the command line; light to import."""

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_HOME = Path.home() / ".xa-search"

Home = Annotated[
    Path, typer.Option(envvar="XA_SEARCH_HOME", help="The folder that holds everything.", show_default=False)
]
Space = Annotated[str, typer.Argument(help="A search space by name (mtop-mini, mtop, mtod, ...) or a YAML file.")]
Change = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the space: fixed.epochs=3.")
]
Data = Annotated[Path | None, typer.Option(help="A folder, zip or tar.gz with the raw corpus.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def absolute(path: Path) -> Path:
    """Return a path as the user meant it, from the root on."""
    return path.expanduser().resolve()
