"""The command that rehearses a search. In: words and options. Out: a line a step, and the forecast's table.

It belongs to the command line, which adds it to its own.
"""

# ruff: noqa: ARG001 (--debug is read in main())

from pathlib import Path
from typing import Annotated

import typer

from xa_search.options import DEFAULT_HOME, Change, Data, Debug, Home, Space, absolute

rehearsal_commands = typer.Typer(rich_markup_mode=None)


@rehearsal_commands.command()
def rehearse(
    space: Space,
    data: Data = None,
    cluster: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Check this cluster file too; its GPUs enter the forecast.")
    ] = None,
    gpu_price: Annotated[
        float | None, typer.Option(min=0, metavar="PRICE", help="What an hour of one GPU costs, in any currency.")
    ] = None,
    gpu_step: Annotated[
        list[str] | None,
        typer.Option(metavar="SIZE=SECONDS", help="What a training step of a model size takes on your GPU."),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the rehearsal's folder.")] = False,
    home: Home = DEFAULT_HOME,
    change: Change = None,
    debug: Debug = False,
) -> None:
    """Go through a whole search in minutes, with faults, on the tiny encoder; then forecast hours, cost and disk."""
    from xa_search.amounts import parse_step_seconds
    from xa_search.errors import XaSearchError
    from xa_search.rehearsal.story import Request
    from xa_search.rehearsal.story import rehearse as rehearse_space
    from xa_search.rehearsal.summary import COLUMNS, TEXTS, outlook_lines, outlook_rows
    from xa_search.search.process import ended_by_sigterm
    from xa_search.tables import print_table

    request = Request(
        space=space,
        changes=tuple(change or ()),
        data=None if data is None else absolute(data),
        home=absolute(home),
        cluster=cluster,
        keep=keep,
        gpu_price=gpu_price,
        gpu_steps=dict(map(parse_step_seconds, gpu_step or ())),
    )
    try:
        with ended_by_sigterm():
            outlook = rehearse_space(request, typer.echo)
    except KeyboardInterrupt:
        typer.echo(f"stopped; nothing of it runs{'' if keep else ' or lies on disk'} any more", err=True)
        raise typer.Exit(XaSearchError.exit_code) from None
    name, trials = outlook.plan.name, outlook.plan.space.trials
    print_table(f"Forecast of {name}: {trials} trials", COLUMNS, outlook_rows(outlook), TEXTS)
    for line in outlook_lines(outlook):
        typer.echo(line)
