"""The command line. In: words and options. Out: printed tables and an exit code; it decides nothing itself.

Exit codes: 0 done, 1 the search failed, 2 wrong usage or space, 3 data or model missing, 4 no node can run a trial,
75 stopped early and resumable.
"""

import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from xa_search.cli.data_commands import data_commands
from xa_search.cli.machine_commands import cluster_app, machine_commands, rehearsal_commands
from xa_search.cli.options import DEFAULT_HOME, Change, Data, Debug, Home, Space, absolute
from xa_search.cli.plain import echo
from xa_search.cli.search_commands import search_commands

INTERRUPTED = 130

app = typer.Typer(
    name="xa-search",
    help="Search for the best cross-lingually aligned intent and slot model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(search_commands)
app.add_typer(machine_commands)
app.add_typer(rehearsal_commands)
app.add_typer(data_commands, name="data")
app.add_typer(cluster_app, name="cluster")

Seed = Annotated[int, typer.Option(min=0, help="Fixes data order, initialisation, dropout and proposals.")]


@app.command()
def run(
    context: typer.Context,
    space: Space,
    data: Data = None,
    home: Home = DEFAULT_HOME,
    trials: Annotated[int | None, typer.Option(min=2, help="Number of trials; more extends a finished search.")] = None,
    time_budget: Annotated[str | None, typer.Option(metavar="90s|30m|8h", help="Stop after this long.")] = None,
    seed: Seed = 1,
    gpu_hours: Annotated[
        float | None, typer.Option(min=0, help="The GPU hours of all runs of this search together.")
    ] = None,
    disk_budget: Annotated[
        str | None, typer.Option(metavar="500MB|20GB", help="All that this search may take on disk.")
    ] = None,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="The same seed proposes the same trials, whichever end first.")
    ] = False,
    new: Annotated[
        bool, typer.Option("--new", help="Begin another search although one of this space is unfinished.")
    ] = False,
    local: Annotated[bool, typer.Option("--local", help="Run the trials in this process, one after another.")] = False,
    address: Annotated[str | None, typer.Option(help="The Ray that this node belongs to: auto, or host:port.")] = None,
    cluster: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Run as a job of this file's cluster, and follow it.")
    ] = None,
    change: Change = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
    debug: Debug = False,
) -> None:
    """Search a space; the same command again resumes or extends the search."""
    from xa_search.cli.options import parse_duration, parse_size
    from xa_search.config.plan import make_plan

    changes = tuple(change or ()) + (() if trials is None else (f"trials={trials}",))
    plan = make_plan(
        space,
        changes,
        home=absolute(home),
        data=data if data is None or cluster is not None else absolute(data),
        seed=seed,
        time_budget=None if time_budget is None else parse_duration(time_budget),
        gpu_hours=gpu_hours,
        disk_budget=None if disk_budget is None else parse_size(disk_budget),
        deterministic=deterministic,
        new=new,
        local=local,
        address=address,
    )
    if dry_run:
        from xa_search.cli.display import print_plan

        print_plan(plan)
        return
    if cluster is not None:
        from xa_search.cluster.job import run_on_cluster
        from xa_search.errors import UsageError

        if (source := context.get_parameter_source("home")) and source.name == "COMMANDLINE":
            raise UsageError(f"--home {home}: with --cluster it is the cluster's; state XA_SEARCH_HOME in {cluster}")
        run_on_cluster(plan, cluster, partial(typer.echo, nl=False))
        return
    from xa_search.cli.display import SearchDisplay
    from xa_search.cli.tables import print_result
    from xa_search.search.driver import ended_by_sigterm
    from xa_search.workflows.run import run_search

    with ended_by_sigterm(), SearchDisplay(plan) as display:
        result = run_search(plan, display)
    print_result(plan, result)


@app.command()
def train(
    space: Space,
    params: Annotated[str, typer.Option(metavar="JSON", help='The searched settings: {"learning_rate": 2e-4}.')] = "{}",
    data: Data = None,
    home: Home = DEFAULT_HOME,
    seed: Seed = 1,
    change: Change = None,
    test: Annotated[bool, typer.Option("--test", help="Score the test splits at the end.")] = False,
    debug: Debug = False,
) -> None:
    """Train one trial alone."""
    from xa_search.cli.tables import print_epoch, print_metrics, read_json_object
    from xa_search.config.plan import make_plan
    from xa_search.workflows.run import train_alone

    plan = make_plan(
        space,
        tuple(change or ()),
        home=absolute(home),
        data=None if data is None else absolute(data),
        seed=seed,
        local=True,
    )
    metrics = train_alone(plan, read_json_object(params, "--params"), print_epoch, with_test=test)
    print_metrics(metrics)


@app.command()
def predict(
    text: Annotated[list[str] | None, typer.Argument(help="Utterances; none reads lines from standard input.")] = None,
    model: Annotated[str | None, typer.Option(help="NAME, NAME@ALIAS or NAME/VERSION.")] = None,
    home: Home = DEFAULT_HOME,
    debug: Debug = False,
) -> None:
    """Print intent and slots of raw text in any language, one JSON object a line."""
    from xa_search.workflows.models import predict_texts

    lines = text or [line.strip() for line in sys.stdin if line.strip()]
    for answer in predict_texts(absolute(home), model, lines):
        echo(json.dumps(answer, ensure_ascii=False))


@app.command()
def models(home: Home = DEFAULT_HOME, debug: Debug = False) -> None:
    """List the registered models."""
    from xa_search.cli.tables import print_models
    from xa_search.workflows.models import registered_models

    print_models(registered_models(absolute(home)))


@app.command()
def promote(
    name: Annotated[str, typer.Argument(help="A registered model, as `xa-search models` lists it.")],
    version: Annotated[int, typer.Argument(min=1, help="The version that becomes the champion.")],
    home: Home = DEFAULT_HOME,
    debug: Debug = False,
) -> None:
    """Point the alias `champion` at a version."""
    from xa_search.workflows.models import promote_version

    echo(promote_version(absolute(home), name, version))


@app.command()
def ui(
    home: Home = DEFAULT_HOME,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 5000,
    debug: Debug = False,
) -> None:
    """Open the MLflow UI on this machine's loopback address."""
    from xa_search.workflows.models import mlflow_ui_command

    command, environment, address = mlflow_ui_command(absolute(home), port)
    echo(f"MLflow UI: {address} (Ctrl-C ends it)")
    os.execvpe(command[0], command, {**os.environ, **environment})


def main() -> None:
    """Run a command; an error is one line on standard error and an exit code."""
    from xa_search.errors import StoppedEarly, XaSearchError

    try:
        app()
    except SystemExit as end:
        if end.code != INTERRUPTED:
            raise
        echo("stopped; the same command goes on from here", err=True)
        sys.exit(StoppedEarly.exit_code)
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        for line in _explain(error):
            echo(f"error: {line}", err=True)
        sys.exit(error.exit_code if isinstance(error, XaSearchError) else 1)


def _explain(error: Exception) -> list[str]:
    from xa_search.errors import XaSearchError

    if isinstance(error, XaSearchError):
        return str(error).splitlines()
    if isinstance(error, OSError):
        return [f"{error.filename or 'the system'}: {error.strerror or error}; --debug shows where"]
    return [f"{type(error).__name__}: {error}; this is a fault of xa-search: --debug shows where"]
