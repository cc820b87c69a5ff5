"""The commands that draw pages: of one search, of several side by side. In: words and options. Out: files, their places
printed; an error is an exception.

They belong to the command line, which adds them to its own.
"""

from pathlib import Path
from typing import Annotated

import typer

from xa_search.cli.completion import complete_searches
from xa_search.cli.options import DEFAULT_HOME, Debug, Home, Json, Search, absolute
from xa_search.cli.plain import echo

report_commands = typer.Typer(rich_markup_mode=None)
COMPARISON = "comparison.html"

Out = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write the page here; else into the search's folder, or this one.")
]
Open = Annotated[bool, typer.Option("--open", help="Open the page in the browser.")]


@report_commands.command()
def report(
    search: Search = None,
    out: Out = None,
    open_page: Open = False,
    live: Annotated[
        bool, typer.Option("--live", help="Serve the page on this machine's loopback address; it renews itself.")
    ] = False,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Draw the page of a search from its files: one HTML file that loads nothing, also while the search runs."""
    from xa_search.cli.json_output import print_json
    from xa_search.errors import UsageError
    from xa_search.search.history import find_search
    from xa_search.workflows.report_page import current_report, page_place, write_page

    found = find_search(absolute(home), search)
    if live:
        if out is not None or as_json:
            raise UsageError(f"--live: serves the page and writes none; leave {'--json' if as_json else '--out'} out")
        _serve(found.directory, open_page=open_page)
        return
    content = current_report(found)
    if as_json:
        print_json(content)
        return
    path = write_page([content], page_place(found) if out is None else absolute(out))
    _tell(path, open_page=open_page)


@report_commands.command()
def compare(
    searches: Annotated[
        list[str],
        typer.Argument(
            metavar="SEARCH...", help="Two searches or more, by id or by space.", autocompletion=complete_searches
        ),
    ],
    out: Out = None,
    open_page: Open = False,
    home: Home = DEFAULT_HOME,
    debug: Debug = False,
) -> None:
    """Draw several searches side by side on one page."""
    from xa_search.errors import UsageError
    from xa_search.search.history import find_search
    from xa_search.workflows.report_page import current_report, write_page

    home = absolute(home)
    found = {search.search_id: search for search in (find_search(home, name) for name in searches)}
    if len(found) < 2:
        raise UsageError(f"compare: {', '.join(searches)} is one search; name two or more, as `xa-search status` lists")
    path = write_page([current_report(one) for one in found.values()], absolute(out or Path(COMPARISON)))
    _tell(path, open_page=open_page)


def _tell(path: Path, *, open_page: bool) -> None:
    import webbrowser

    echo(f"page: {path}")
    if open_page and not webbrowser.open(path.as_uri()):
        echo("no browser was found here: open that file in one", err=True)


def _serve(directory: Path, *, open_page: bool) -> None:
    import webbrowser
    from contextlib import suppress

    from xa_search.workflows.live_report import LivePage

    with LivePage(directory) as page, suppress(KeyboardInterrupt):
        echo(f"page: {page.address} (Ctrl-C ends it)")
        if open_page and not webbrowser.open(page.address):
            echo("no browser was found here: open that address in one", err=True)
        page.serve()
