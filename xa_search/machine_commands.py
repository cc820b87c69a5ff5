"""The commands about the machines that trials run on. In: words and options. Out: printed lines and an exit code.

They belong to the command line, which adds them to its own.
"""

# ruff: noqa: ARG001 (--debug is read in main())

import json
from dataclasses import asdict
from typing import Annotated

import typer

from xa_search.options import DEFAULT_HOME, Debug, Home, absolute

machine_commands = typer.Typer(rich_markup_mode=None)


@machine_commands.command()
def doctor(
    address: Annotated[
        str | None, typer.Option(help="Ask all nodes of this Ray too: auto, or host:port of its head.")
    ] = None,
    home: Home = DEFAULT_HOME,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    debug: Debug = False,
) -> None:
    """Look at what trials need on this machine and on each node of a cluster, and name the fix for what is missing."""
    from xa_search.doctor import examine
    from xa_search.search.runner import prepare_ray
    from xa_search.search_tables import print_diagnosis
    from xa_search.tracking.store import tracking_uri

    home = absolute(home)
    prepare_ray(address)
    diagnosis = examine(home, tracking_uri(home), address)
    if as_json:
        typer.echo(json.dumps(asdict(diagnosis), ensure_ascii=False))
    else:
        print_diagnosis(diagnosis)
    raise typer.Exit(diagnosis.exit_code)
