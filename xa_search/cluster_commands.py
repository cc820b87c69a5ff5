"""The commands about clusters. In: words and options. Out: printed lines and an exit code.

They belong to the command line, which adds them to its own.
"""

# ruff: noqa: ARG001 (--debug is read in main())

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from xa_search.options import Debug

cluster_app = typer.Typer(help="Look at a cluster file.", no_args_is_help=True, rich_markup_mode=None)

File = Annotated[Path, typer.Argument(help="A file for `ray up` (AWS or given machines), or a KubeRay RayJob.")]


@cluster_app.command("check")
def check(
    file: File,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    debug: Debug = False,
) -> None:
    """Print every fault of a cluster file with its line and its fix; no cloud is asked. Exit code 2 says: faults."""
    from xa_search.cluster.check import check_file
    from xa_search.errors import UsageError

    report = check_file(file)
    if as_json:
        typer.echo(json.dumps({"file": str(file), "ok": not report.faults, **asdict(report)}, ensure_ascii=False))
    else:
        for line in report.lines(file):
            typer.echo(line)
        for example in report.examples:
            typer.echo(f"{file}:{example.line}: example: {example.value} stands for yours; cluster/README.md")
        if not report.faults:
            typer.echo(f"{file}: ok" + (", once the examples are replaced" if report.examples else ""))
    if report.faults:
        raise typer.Exit(UsageError.exit_code)
