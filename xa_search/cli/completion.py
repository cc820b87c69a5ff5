"""What a shell proposes when Tab is pressed. In: the word so far. Out: names that begin with it; light to import.

Nothing is opened: the searches of a home are its folders.
"""

import typer

SEARCHES = "searches"


def complete_spaces(incomplete: str) -> list[str]:
    """Return the search spaces that come with the program; a file is completed by the shell."""
    from xa_search.config.plan import space_names

    return [name for name in space_names() if name.startswith(incomplete)]


def complete_corpora(incomplete: str) -> list[str]:
    """Return the corpora that can be read, then the search spaces that name one."""
    from xa_search.corpora.catalogue import CATALOGUE

    corpora = [name for name in CATALOGUE if name.startswith(incomplete)]
    return list(dict.fromkeys([*corpora, *complete_spaces(incomplete)]))


def complete_searches(context: typer.Context, incomplete: str) -> list[str]:
    """Return the searches of the home that the command has, by id."""
    home = context.params.get("home")
    folders = home.expanduser().glob(f"{SEARCHES}/*") if home is not None else ()
    return sorted(folder.name for folder in folders if folder.is_dir() and folder.name.startswith(incomplete))
