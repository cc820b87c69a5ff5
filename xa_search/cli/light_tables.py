"""Tables of what is merely read: printed without torch, which takes longer to be imported than they to be answered."""

from collections.abc import Collection, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from xa_search.cli.display import console, percent, say
from xa_search.cli.plain import visible
from xa_search.tracking.versions import RegisteredVersion


def print_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], texts: Collection[int] = (0,)
) -> None:
    """Print a table in which the columns of these numbers are text, and all others numbers."""
    table = Table(title=Text(visible(title), style="table.title"), title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(Text(visible(column)), justify="left" if index in texts else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    Console(highlight=False, emoji=False, width=None if console.is_terminal else 120).print(table)


def print_models(models: Sequence[RegisteredVersion]) -> None:
    """Print the registered models."""
    if not models:
        say("no model is registered yet; `xa-search run mtop-mini` makes one")
        return
    columns = ["model", "version", "aliases", "score", "selection", "test accuracy", "test slot F1", "search", "trial"]
    rows = []
    for model in models:
        scores = model.test_metrics
        accuracy = scores.get("test_intent_acc_mean", scores.get("test_accuracy_mean"))
        tests = [accuracy, scores.get("test_slot_f1_mean")]
        chosen_by = model.selection if model.zero_shot else f"{model.selection}, not zero-shot"
        rows.append(
            [model.name, str(model.version), " ".join(model.aliases), percent(model.selection_score), chosen_by]
            + [*map(percent, tests), model.search_id, str(model.trial)]
        )
    print_table("Registered models, scores in percent", columns, rows)
    for model in models:
        if model.aliases and model.verdict:
            say(f"{model.name} version {model.version}, {' and '.join(model.aliases)}: {model.verdict}")
