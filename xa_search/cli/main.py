"""The command line. In: words and options. Out: printed tables and an exit code; it decides nothing itself.

Exit codes: 0 done, 1 the search failed, 2 wrong usage or space, 3 data or model missing, 4 no node can run a trial,
75 stopped early and resumable, 130 interrupted with nothing to resume.
"""

import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xa_search import __version__
from xa_search.cli.data_commands import data_commands
from xa_search.cli.feedback_commands import feedback_commands
from xa_search.cli.finding_commands import finding_commands
from xa_search.cli.machine_commands import cluster_app, machine_commands
from xa_search.cli.options import (
    DEFAULT_HOME,
    Address,
    Change,
    Cluster,
    Data,
    Debug,
    Deterministic,
    DiskBudget,
    DryRun,
    GpuHours,
    Home,
    Json,
    Local,
    New,
    Search,
    Seed,
    Space,
    TimeBudget,
    Translations,
    Trials,
    absolute,
    absolute_or_none,
    parse_duration,
    parse_size,
    resumable,
)
from xa_search.cli.plain import echo, echo_log
from xa_search.cli.report_commands import report_commands
from xa_search.cli.search_commands import search_commands
from xa_search.cli.serving_commands import serving_commands

if TYPE_CHECKING:
    from xa_search.records import Plan

INTERRUPTED = 130
MOST_NAMED = 5

app = typer.Typer(
    name="xa-search",
    help="Search for the best cross-lingually aligned intent and slot model.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(search_commands)
app.add_typer(report_commands)
app.add_typer(finding_commands)
app.add_typer(machine_commands)
app.add_typer(serving_commands)
app.add_typer(data_commands, name="data")
app.add_typer(feedback_commands, name="feedback")
app.add_typer(cluster_app, name="cluster")


def _print_version(asked: bool) -> None:
    if asked:
        from xa_search.config.version import commit

        typer.echo(f"xa-search {__version__} (commit {commit()})")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and its commit, and stop.", callback=_print_version, is_eager=True
        ),
    ] = False,
    debug: Debug = False,
) -> None:
    """Search for the best cross-lingually aligned intent and slot model."""


@app.command()
def run(
    context: typer.Context,
    space: Space,
    data: Data = None,
    translations: Translations = None,
    home: Home = DEFAULT_HOME,
    trials: Trials = None,
    time_budget: TimeBudget = None,
    seed: Seed = 1,
    gpu_hours: GpuHours = None,
    disk_budget: DiskBudget = None,
    deterministic: Deterministic = False,
    new: New = False,
    local: Local = False,
    address: Address = None,
    cluster: Cluster = None,
    change: Change = None,
    dry_run: DryRun = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Search a space; the same command again resumes or extends the search."""
    from xa_search.workflows.plan import make_plan

    plan = make_plan(
        space,
        tuple(change or ()) + (() if trials is None else (f"trials={trials}",)),
        home=absolute(home),
        data=data if data is None or cluster is not None else absolute(data),
        translations=translations if cluster is not None else absolute_or_none(translations),
        seed=seed,
        time_budget=None if time_budget is None else parse_duration(time_budget, "--time-budget"),
        gpu_hours=gpu_hours,
        disk_budget=None if disk_budget is None else parse_size(disk_budget, "--disk-budget"),
        deterministic=deterministic,
        new=new,
        local=local,
        address=address,
    )
    if dry_run:
        _show_plan(plan, cluster, as_json=as_json)
    elif cluster is not None:
        _run_there(plan, cluster, context, as_json=as_json)
    else:
        from xa_search.search.history import newest_of

        _run_here(newest_of(plan), as_json=as_json)


@app.command()
def confirm(
    search: Search = None,
    top: Annotated[int, typer.Option(min=1, metavar="NUMBER", help="So many of the best settings run again.")] = 3,
    seeds: Annotated[int, typer.Option(min=2, max=100, metavar="NUMBER", help="With so many fresh seeds each.")] = 3,
    home: Home = DEFAULT_HOME,
    local: Local = False,
    address: Address = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Run the best settings of a search again with fresh seeds, and let their means choose the winner.

    The zero-shot trial's settings and the winner's without alignment run with the same seeds. The same command again
    resumes. A search whose space says `confirm: {top: 3, seeds: 3}` ends so by itself.
    """
    from xa_search.search.history import find_search
    from xa_search.workflows.confirmation import confirming_plan

    found = find_search(absolute(home), search)
    _run_here(confirming_plan(found, top, seeds, local=local, address=address), as_json=as_json)


def _show_plan(plan: "Plan", cluster: Path | None, *, as_json: bool) -> None:
    from xa_search.cli.display import print_plan
    from xa_search.cli.json_output import plan_object, print_json
    from xa_search.search.history import newest_of
    from xa_search.workflows.held_out import NOT_AT_HAND, planned_held_out

    plan = newest_of(plan)
    held_out = planned_held_out(plan) if cluster is None else NOT_AT_HAND
    if as_json:
        print_json(plan_object(plan) | {"held_out": held_out})
    else:
        from xa_search.workflows.outlook import plan_outlook

        print_plan(plan, plan_outlook(plan, cluster))
        echo(held_out)


def _run_there(plan: "Plan", cluster: Path, context: typer.Context, *, as_json: bool) -> None:
    from xa_search.cluster.job import run_on_cluster
    from xa_search.errors import UsageError

    if as_json:
        raise UsageError("--json: a job prints lines; leave it out, or type `xa-search status --json` on the cluster")
    if (source := context.get_parameter_source("home")) and source.name == "COMMANDLINE":
        home = context.params["home"]
        raise UsageError(f"--home {home}: with --cluster it is the cluster's; state XA_SEARCH_HOME in {cluster}")
    run_on_cluster(plan, cluster, echo_log)


def _run_here(plan: "Plan", *, as_json: bool) -> None:
    from xa_search.cli.display import SearchDisplay
    from xa_search.cli.interrupts import ended_by_two_interrupts
    from xa_search.cli.json_progress import JsonProgress
    from xa_search.cli.tables import print_result
    from xa_search.workflows.run import run_search

    if as_json:
        with resumable(), ended_by_two_interrupts(), JsonProgress(plan) as progress:
            progress.result(run_search(plan, progress))
        return
    with resumable(), ended_by_two_interrupts(), SearchDisplay(plan) as display:
        result = run_search(plan, display)
    print_result(plan, result)


@app.command()
def train(
    space: Space,
    params: Annotated[str, typer.Option(metavar="JSON", help='The searched settings: {"learning_rate": 2e-4}.')] = "{}",
    data: Data = None,
    translations: Translations = None,
    home: Home = DEFAULT_HOME,
    seed: Seed = 1,
    change: Change = None,
    test: Annotated[bool, typer.Option("--test", help="Score the test splits at the end.")] = False,
    debug: Debug = False,
) -> None:
    """Train one trial alone."""
    from xa_search.cli.tables import print_epoch, print_metrics, read_json_object
    from xa_search.workflows.plan import make_plan
    from xa_search.workflows.run import train_alone

    plan = make_plan(
        space,
        tuple(change or ()),
        home=absolute(home),
        data=None if data is None else absolute(data),
        translations=absolute_or_none(translations),
        seed=seed,
        local=True,
    )
    metrics = train_alone(
        plan, read_json_object(params, "--params"), print_epoch, with_test=test, note=partial(echo, err=True)
    )
    print_metrics(metrics)


@app.command()
def predict(
    text: Annotated[
        list[str] | None, typer.Argument(metavar="TEXT", help="Utterances; none reads lines from standard input.")
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="MODEL", help="NAME, NAME@ALIAS or NAME/VERSION.")] = None,
    threshold: Annotated[
        float, typer.Option(min=0, max=1, metavar="SHARE", help="Below this probability the intent is null.")
    ] = 0.0,
    log: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Add each answer to this file, to be judged: feedback.LANG.jsonl."),
    ] = None,
    home: Home = DEFAULT_HOME,
    debug: Debug = False,
) -> None:
    """Print intent and slots of raw text in any language, one JSON object a line; a text without words has no intent.

    Without a version or an alias the champion answers, or the candidate where there is none; standard error says which.

    A line that is not UTF-8 has its error in its place, and the exit code is 1 at the end.
    """
    from xa_search.cli.options import read_lines
    from xa_search.errors import XaSearchError
    from xa_search.workflows.local_models import predict_here

    asked = absolute(home), model, text or read_lines(sys.stdin.buffer), threshold, partial(echo, err=True)
    answers = predict_here(*asked, absolute_or_none(log))
    if answers is None:  # only now: MLflow takes longer to be imported than a model to answer
        from xa_search.workflows.models import predict_texts

        answers = predict_texts(*asked, absolute_or_none(log))
    for answer in answers:
        echo(json.dumps(answer, ensure_ascii=False))
    faulty = [str(number) for number, answer in enumerate(answers, 1) if "error" in answer]
    if faulty:
        raise XaSearchError(
            f"{len(faulty)} of {len(answers)} texts have no answer, number {', '.join(faulty[:MOST_NAMED])}"
            f"{', ...' if len(faulty) > MOST_NAMED else ''}; save them as UTF-8 and predict them again"
        )


@app.command()
def models(home: Home = DEFAULT_HOME, as_json: Json = False, debug: Debug = False) -> None:
    """List the registered models."""
    from xa_search.cli.json_output import print_json
    from xa_search.cli.light_tables import print_models
    from xa_search.tracking.address import tracking_uri
    from xa_search.tracking.local_registry import versions_here

    found = versions_here(tracking_uri(absolute(home)))
    if found is None:
        from xa_search.workflows.models import registered_models

        found = registered_models(absolute(home))
    if as_json:
        print_json(found)
    else:
        print_models(found)


@app.command()
def promote(
    name: Annotated[str, typer.Argument(metavar="MODEL", help="A registered model, as `xa-search models` lists it.")],
    version: Annotated[int, typer.Argument(min=1, metavar="VERSION", help="The version that becomes the champion.")],
    home: Home = DEFAULT_HOME,
    debug: Debug = False,
) -> None:
    """Point the alias `champion` at a version."""
    from xa_search.workflows.models import promote_version

    echo(promote_version(absolute(home), name, version))


@app.command()
def ui(
    home: Home = DEFAULT_HOME,
    port: Annotated[int, typer.Option(min=1, max=65535, metavar="NUMBER", help="The port it listens on.")] = 5000,
    debug: Debug = False,
) -> None:
    """Open the MLflow UI on this machine's loopback address, or the page of the MLflow server that is used."""
    from xa_search.workflows.models import mlflow_page, mlflow_ui_command

    if page := mlflow_page(absolute(home)):
        echo(f"MLflow UI: {page} (its server serves it)")
        return
    command, environment, address = mlflow_ui_command(absolute(home), port)
    echo(f"MLflow UI: {address} (Ctrl-C ends it)")
    os.execvpe(command[0], command, {**os.environ, **environment})


def main() -> None:
    """Run a command; an error is one line on standard error and an exit code."""
    from xa_search.errors import XaSearchError

    try:
        app()
    except SystemExit as end:
        if end.code != INTERRUPTED:
            raise
        echo("stopped", err=True)
        sys.exit(INTERRUPTED)
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
