"""The commands about machines: clusters, nodes, rehearsals. In: words and options. Out: lines and an exit code."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from xa_search.cli.options import (
    DEFAULT_HOME,
    Change,
    Data,
    Debug,
    Home,
    Json,
    Space,
    absolute,
    parse_step_duration,
)
from xa_search.cli.plain import echo

machine_commands = typer.Typer(rich_markup_mode=None)
cluster_app = typer.Typer(help="Look at a cluster file.", no_args_is_help=True, rich_markup_mode=None)

File = Annotated[
    Path, typer.Argument(metavar="FILE", help="A file for `ray up` (AWS or given machines), or a KubeRay RayJob.")
]


@cluster_app.command("check")
def check(file: File, as_json: Json = False, debug: Debug = False) -> None:
    """Print every fault of a cluster file with its line and its fix; no cloud is asked. Exit code 2 says: faults."""
    from xa_search.cli.json_output import print_json
    from xa_search.cluster.check import check_file
    from xa_search.errors import UsageError

    report = check_file(file)
    if as_json:
        print_json({"file": file, "ok": not report.faults, **asdict(report)})
    else:
        for line in report.lines(file):
            echo(line)
        for example in report.examples:
            echo(f"{file}:{example.line}: example: {example.value} stands for yours; cluster/README.md")
        if not report.faults:
            echo(f"{file}: ok" + (", once the examples are replaced" if report.examples else ""))
    if report.faults:
        raise typer.Exit(UsageError.exit_code)


@machine_commands.command()
def doctor(
    address: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Ask all nodes of this Ray too: auto, or host:port of its head."),
    ] = None,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Look at what trials need on this machine and on each node of a cluster, and name the fix for what is missing."""
    from xa_search.cli.json_output import print_json
    from xa_search.cli.search_tables import print_diagnosis
    from xa_search.tracking.address import tracking_uri
    from xa_search.workflows.doctor import examine

    home = absolute(home)
    diagnosis = examine(home, tracking_uri(home), address)
    if as_json:
        print_json(diagnosis)
    else:
        print_diagnosis(diagnosis)
    raise typer.Exit(diagnosis.exit_code)


@machine_commands.command()
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
        typer.Option(metavar="SIZE=0.12s", help="How long a training step of a model size takes on your GPU."),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the rehearsal's folder.")] = False,
    home: Home = DEFAULT_HOME,
    change: Change = None,
    debug: Debug = False,
) -> None:
    """Go through a whole search in minutes, with faults, on the tiny encoder; then forecast hours, cost and disk."""
    from xa_search.cli.light_tables import print_table
    from xa_search.errors import XaSearchError
    from xa_search.rehearsal.search_forecast import COLUMNS, TEXTS, forecast_lines, forecast_rows
    from xa_search.search.driver import ended_by_sigterm
    from xa_search.workflows.rehearse import RehearsalRequest
    from xa_search.workflows.rehearse import rehearse as rehearse_space

    request = RehearsalRequest(
        space=space,
        changes=tuple(change or ()),
        data=None if data is None else absolute(data),
        home=absolute(home),
        cluster=cluster,
        keep=keep,
        gpu_price=gpu_price,
        gpu_steps=dict(map(parse_step_duration, gpu_step or ())),
    )
    try:
        with ended_by_sigterm():
            outlook = rehearse_space(request, echo)
    except KeyboardInterrupt:
        echo(f"stopped; nothing is left running{'' if keep else ' or on disk'}", err=True)
        raise typer.Exit(XaSearchError.exit_code) from None
    name, trials = outlook.plan.name, outlook.plan.space.all_trials
    print_table(f"Forecast of {name}: {trials} trials", COLUMNS, forecast_rows(outlook), TEXTS)
    for line in forecast_lines(outlook):
        echo(line)
