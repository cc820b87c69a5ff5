"""The commands that hand a model on: over HTTP, as a folder, as ONNX. In: words and options. Out: lines.

They belong to the command line, which adds them to its own.
"""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from xa_search.cli.options import DEFAULT_HOME, Debug, Home, absolute
from xa_search.cli.plain import echo
from xa_search.errors import UsageError

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


@serving_commands.command()
def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="NAME, NAME@ALIAS or NAME/VERSION.")],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that is empty or does not exist.")],
    onnx: Annotated[
        bool,
        typer.Option("--onnx", help="As ONNX, which answers with onnxruntime alone: python DIR/model_onnx.py TEXT."),
    ] = False,
    int8: Annotated[
        bool,
        typer.Option("--int8", help="With --onnx: 8-bit weights, a quarter of the size, not quite the same answers."),
    ] = False,
    home: Home = DEFAULT_HOME,
    debug: Debug = False,
) -> None:
    """Write a registered model as a folder that answers with torch and transformers alone: python DIR/model.py TEXT."""
    directory = absolute(directory)
    if int8 and not onnx:
        raise UsageError("--int8 is a kind of ONNX export; give --onnx, too")
    if onnx:
        try:
            from xa_search.workflows.export_onnx import export_model_as_onnx
        except ModuleNotFoundError as error:
            raise UsageError(f"{error.name} is not installed; pip install 'xa-search[onnx]'") from error
        files = export_model_as_onnx(absolute(home), model, directory, int8=int8)
    else:
        from xa_search.workflows.models import export_model

        files = export_model(absolute(home), model, directory)
    echo(f"{model} in {directory}: {', '.join(path.name for path in files)}")
    program = directory / ("model_onnx.py" if onnx else "model.py")
    echo(f'ask it: python {program} "Set an alarm for 7:30 tomorrow morning."')
