"""The commands about feedback: its files checked, and a second stage that learns from it. In: words and options.
Out: printed tables; an error is an exception.

They belong to the command line, which adds them to its own.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xa_search.cli.completion import complete_searches
from xa_search.cli.options import DEFAULT_HOME, Address, Debug, Home, Json, Local, absolute, resumable, to_stderr
from xa_search.cli.plain import echo
from xa_search.errors import UsageError

if TYPE_CHECKING:
    from xa_search.records.feedback import Arm
    from xa_search.workflows.feedback_arms import Simulation
    from xa_search.workflows.feedback_end import FeedbackResult

feedback_commands = typer.Typer(
    help="Learn from verdicts on what a model said.", no_args_is_help=True, rich_markup_mode=None
)
MOST_REMARKS = 20

FeedbackData = Annotated[
    Path | None, typer.Option("--data", metavar="PATH", help="feedback.LANG.jsonl, or a folder of such files.")
]
OneTrial = Annotated[int | None, typer.Option(min=0, metavar="TRIAL", help="A search's trial; its best unless given.")]


@feedback_commands.command("check")
def feedback_check(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="The model that was judged, registered or of a search: its labels are the known ones.",
            autocompletion=complete_searches,
        ),
    ] = None,
    data: FeedbackData = None,
    trial: OneTrial = None,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Count verdicts by language, and say what is dropped, repaired and resolved, each with its file and line."""
    from xa_search.cli.json_output import print_json
    from xa_search.workflows.feedback_check import checked_feedback

    if data is None:
        raise UsageError("--data: which feedback is meant? type --data feedback.de.jsonl, or a folder of such files")
    found = checked_feedback(absolute(data), absolute(home), model, trial, to_stderr)
    if as_json:
        print_json(found)
        return
    echo(f"{', '.join(found.files)}: {found.lines} lines, {len(found.judgements)} judgements, {found.waiting} waiting")
    for lang, counts in found.languages.items():
        echo(f"  {lang}: {counts['up']} up, {counts['down']} down")
    echo(f"  with a correction: {found.corrected}")
    for kind, reasons in (("dropped", found.dropped), ("repaired", found.repaired)):
        echo(f"  {kind}: {', '.join(f'{reason} {count}' for reason, count in reasons.items()) or 'none'}")
    for remark in found.remarks[:MOST_REMARKS]:
        echo(remark)
    if len(found.remarks) > MOST_REMARKS:
        echo(f"... and {len(found.remarks) - MOST_REMARKS} more; --json has all")


@feedback_commands.command("run")
def feedback_run(
    search: Annotated[
        str,
        typer.Argument(
            metavar="SEARCH",
            help="A finished search, by id or by its space: its best trial is the reference.",
            autocompletion=complete_searches,
        ),
    ],
    data: FeedbackData = None,
    simulate: Annotated[
        int | None, typer.Option(min=1, metavar="NUMBER", help="Judge so many utterances from gold labels instead.")
    ] = None,
    gold: Annotated[
        str, typer.Option(metavar="source|target", help="Whose labels judge: the source's, or each language's own.")
    ] = "source",
    noise: Annotated[
        float, typer.Option(min=0, max=1, metavar="SHARE", help="The share of simulated verdicts turned round.")
    ] = 0.1,
    corrections: Annotated[
        float, typer.Option(min=0, max=1, metavar="SHARE", help="How often a simulated thumb down has a correction.")
    ] = 0.5,
    sampling: Annotated[
        str, typer.Option(metavar="uniform|uncertainty", help="Which utterances are judged in a simulation.")
    ] = "uniform",
    arm: Annotated[
        list[str] | None, typer.Option("--arm", metavar="ARM", help="An arm; may be given several times. All, else.")
    ] = None,
    loss: Annotated[str, typer.Option(metavar="preference|sft", help="How corrections are learned.")] = "preference",
    trials: Annotated[
        int, typer.Option(min=2, metavar="NUMBER", help="Trials that search learning rate and beta, on English.")
    ] = 8,
    seeds: Annotated[int, typer.Option(min=1, metavar="NUMBER", help="Each arm is trained with so many seeds.")] = 3,
    epochs: Annotated[int, typer.Option(min=1, metavar="NUMBER", help="Passes over the labelled utterances.")] = 3,
    trial: OneTrial = None,
    home: Home = DEFAULT_HOME,
    local: Local = False,
    address: Address = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Let a search's winner learn from feedback, in arms that are held against each other; the same command resumes."""
    from xa_search.cli.display import SearchDisplay
    from xa_search.cli.interrupts import ended_by_two_interrupts
    from xa_search.cli.json_output import print_json
    from xa_search.feedback.arms import EVERY_ARM
    from xa_search.search.history import find_search
    from xa_search.workflows.feedback_end import FeedbackRun
    from xa_search.workflows.feedback_run import run_feedback

    if (data is None) == (simulate is None):
        raise UsageError("--data or --simulate: give people's feedback, or how many utterances a simulation judges")
    if unknown := [name for name in arm or () if name not in EVERY_ARM]:
        raise UsageError(f"--arm {unknown[0]}: there is {', '.join(EVERY_ARM)}")
    if loss not in ("preference", "sft"):
        raise UsageError(f"--loss {loss}: there is preference and sft")
    simulation = None if simulate is None else simulation_of(simulate, gold, noise, corrections, sampling)
    home = absolute(home)
    asked = FeedbackRun(
        search=search,
        home=home,
        trial=trial,
        data=None if data is None else absolute(data),
        simulation=simulation,
        arms=tuple(name for name in EVERY_ARM if name in arm) if arm else _usual_arms(simulated=data is None),
        tuning=trials,
        seeds=tuple(range(1, seeds + 1)),
        epochs=epochs,
        loss=loss,
        local=local,
        address=address,
    )
    plan = find_search(home, search).plan
    if plan is None:
        raise UsageError(f"{search} was begun by a version that kept no plan; run its space again")
    wanted = max(2, trials) + len(asked.arms) * len(asked.seeds)
    shown = plan.model_copy(
        update={"space": plan.space.model_copy(update={"trials": wanted, "baseline_trials": 1}), "local": local}
    )
    with resumable(), ended_by_two_interrupts(), SearchDisplay(shown) as display:
        result = run_feedback(asked, display)
    if as_json:
        print_json(result)
    else:
        _print_feedback(result)


def _print_feedback(result: "FeedbackResult") -> None:
    """Print the answer table, the settings of all arms, and what was registered."""
    echo(result.files[0].read_text(encoding="utf-8"))
    told = ", ".join(f"{name} {value:.3g}" for name, value in result.settings.items())
    echo(f"chosen on the English arm: {told}")
    if result.registration is None:
        echo("not registered: MLflow was away; the same command goes on")
    else:
        version = result.registration.version
        echo(f"registered: {version.name} version {version.version}: {result.registration.reason}")
    echo(f"report: {result.files[0]}")


def _usual_arms(*, simulated: bool) -> "tuple[Arm, ...]":
    from xa_search.feedback.arms import ARMS

    return ARMS if simulated else ("none", "english", "multilingual", "shuffled", "given")


def simulation_of(count: int, gold: str, noise: float, corrections: float, sampling: str) -> "Simulation":
    """Return the simulation that the options ask for. Raises UsageError for a word that is none of theirs."""
    from xa_search.workflows.feedback_arms import Simulation

    if gold not in ("source", "target"):
        raise UsageError(f"--gold {gold}: type source or target")
    if sampling not in ("uniform", "uncertainty"):
        raise UsageError(f"--sampling {sampling}: type uniform or uncertainty")
    return Simulation(
        count=count,
        gold="simulated:source_gold" if gold == "source" else "simulated:target_gold",
        noise=noise,
        corrections=corrections,
        sampling="uniform" if sampling == "uniform" else "uncertainty",
    )
