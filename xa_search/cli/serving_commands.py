"""The command that keeps a model ready over HTTP. In: words and options. Out: lines, until a signal ends it.

It belongs to the command line, which adds it to its own.
"""

from functools import partial
from typing import Annotated

import typer

from xa_search.cli.options import DEFAULT_HOME, Debug, Home, absolute
from xa_search.cli.plain import echo

serving_commands = typer.Typer(rich_markup_mode=None)


@serving_commands.command()
def serve(
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help="NAME, NAME@ALIAS or NAME/VERSION.")] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="NUMBER", help="The port it listens on; 0 takes a free one.")
    ] = 5001,
    threads: Annotated[
        int, typer.Option(min=0, metavar="NUMBER", help="Processor threads of the model; 0 leaves it to torch.")
    ] = 0,
    threshold: Annotated[
        float, typer.Option(min=0, max=1, metavar="SHARE", help="Below this probability the intent is null.")
    ] = 0.0,
    window: Annotated[
        float, typer.Option(min=0, max=1000, metavar="MS", help="How long a first request waits for others, in ms.")
    ] = 2.0,
    batch: Annotated[int, typer.Option(min=1, metavar="TEXTS", help="Texts that are answered together.")] = 64,
    waiting: Annotated[
        int, typer.Option(min=1, metavar="TEXTS", help="Texts that may wait; more are refused with status 503.")
    ] = 1024,
    home: Home = DEFAULT_HOME,
    debug: Debug = False,
) -> None:
    """Keep a model ready on this machine's loopback address; POST to /invocations as to `mlflow models serve`.

    Requests that come at once are answered together, as `xa-search predict` answers them; also /ping, /health and
    /version.
    """
    from xa_search.tracking.batching import Limits
    from xa_search.workflows.serve import ServeRequest
    from xa_search.workflows.serve import serve as serve_model

    limits = Limits(window=window / 1000, batch=batch, waiting=waiting)
    request = ServeRequest(
        home=absolute(home), model=model, port=port, threads=threads, threshold=threshold, limits=limits
    )

    def ready(address: str) -> None:
        echo(f"ready: {address}/invocations (Ctrl-C ends it)")

    serve_model(request, ready, partial(echo, err=True))
