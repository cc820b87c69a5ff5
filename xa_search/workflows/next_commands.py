"""What to type after a search. In: its plan and its registered models. Out: command lines as they can be pasted."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xa_search.errors import UsageError
from xa_search.records import Plan
from xa_search.records.report import NextCommand
from xa_search.workflows.plan import make_plan

MORE_TRIALS = 20
SPACES_OF_A_HOME = "spaces"
"""The folder in a home for search spaces that a Python program gave as a dict."""
SAMPLE = "wake me up at seven"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredName:
    """A model as the registry has it."""

    name: str
    version: int
    is_champion: bool


def next_commands(plan: Plan, models: Sequence[RegisteredName]) -> tuple[NextCommand, ...]:
    """Return the commands that go on from a search; those about models where there are any."""
    home = ("--home", str(plan.home))
    found = []
    for model in models:
        version = f"{model.name}/{model.version}"
        found += [
            _command(
                "It is the champion; to go back to another version, promote that"
                if model.is_champion
                else "Promote it: the alias champion points at it from then on",
                "promote", model.name, str(model.version), *home,
            ),
            _command("Ask it", "predict", "--model", version, *home, SAMPLE),
            _command("Keep it ready on this machine", "serve", version, *home),
            _command("Export it as a folder that needs no xa-search", "export", version, model.name, *home),
        ]  # fmt: skip
    extend = run_arguments(plan)
    trials = str(plan.space.trials + MORE_TRIALS)
    if extend is None:
        text = f"xa-search run {plan.name} (with the options that began it) --trials {trials}"
        found.append(
            NextCommand(purpose="Extend the search; its space is in a file that is not known here", command=text)
        )
    else:
        found.append(_command("Extend the search", *extend, "--trials", trials))
    found.append(_command("Draw this page again", "report", plan.search_id, *home, "--open"))
    return tuple(found)


def run_arguments(plan: Plan) -> list[str] | None:
    """Return the words that begin, or go on with, the search of a plan; none where its space's file is not known.

    What differs from the space of that name is given by `--set`; the words are tried, so that they name this search.
    """
    options: dict[str, Any] = {
        "home": plan.home,
        "data": plan.data,
        "translations": plan.translations,
        "seed": plan.seed,
        "deterministic": plan.deterministic,
        "repeat": plan.repeat,
    }
    written = plan.home / SPACES_OF_A_HOME / f"{plan.name}.yaml"
    space = str(written) if written.exists() else plan.name
    try:
        plain = make_plan(space, **options)
        changes = tuple(_changes(_given(plain), _given(plan)))
        if make_plan(space, changes, **options).search_id != plan.search_id:
            return None
    except UsageError:
        return None
    words = ["run", space, "--home", str(plan.home)]
    words += [] if plan.data is None else ["--data", str(plan.data)]
    words += [] if plan.translations is None else ["--translations", str(plan.translations)]
    words += ["--seed", str(plan.seed)] if plan.seed != Plan.model_fields["seed"].default else []
    words += ["--deterministic"] if plan.deterministic else []
    return words + [word for change in changes for word in ("--set", change)]


def _given(plan: Plan) -> dict[str, Any]:
    """Return what decides the scores of a search space."""
    options = {"seed", "data", "repeat", "translations", "deterministic"}
    return {name: value for name, value in plan.decisive.items() if name not in options}


def _changes(stock: Mapping[str, Any], own: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield KEY=VALUE for what differs; inside of a range or a list, the whole of it."""
    for name in sorted({*stock, *own}):
        before, now = stock.get(name), own.get(name)
        if before == now:
            continue
        if not prefix and isinstance(before, Mapping) and isinstance(now, Mapping):
            yield from _changes(before, now, f"{name}.")
        else:
            yield f"{prefix}{name}={json.dumps(now, ensure_ascii=False)}"


def _command(purpose: str, *words: str) -> NextCommand:
    return NextCommand(purpose=purpose, command=shlex.join(["xa-search", *words]))
