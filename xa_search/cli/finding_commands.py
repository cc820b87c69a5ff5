"""The commands about what a model knows: another corpus, a look inside, the paper's claims. In: words and options.
Out: printed tables; an error is an exception.

They belong to the command line, which adds them to its own.
"""

from pathlib import Path
from typing import Annotated

import typer

from xa_search.cli.completion import complete_searches, complete_spaces
from xa_search.cli.options import (
    DEFAULT_HOME,
    Columns,
    Corpus,
    Data,
    Debug,
    FinishedSearches,
    Home,
    Json,
    Languages,
    absolute,
    corpus_of,
    languages_of,
    parse_columns,
    to_stderr,
)
from xa_search.cli.plain import echo

finding_commands = typer.Typer(rich_markup_mode=None)

OneTrial = Annotated[int | None, typer.Option(min=0, metavar="TRIAL", help="A search's trial; its best unless given.")]


@finding_commands.command()
@finding_commands.command("test", hidden=True)
def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A registered model (NAME, NAME@ALIAS, NAME/VERSION), or a search.",
            autocompletion=complete_searches,
        ),
    ],
    corpus: Corpus = None,
    data: Data = None,
    label_map: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="What that corpus calls the model's labels: mtod-to-xsid.")
    ] = None,
    lang: Languages = None,
    languages: Annotated[list[str] | None, typer.Option("--languages", metavar="LANG", hidden=True)] = None,
    columns: Columns = None,
    trial: OneTrial = None,
    max_lost: Annotated[
        float,
        typer.Option(min=0, max=1, metavar="SHARE", help="The share of a language's rows that may be lost to faults."),
    ] = 0.02,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Score a model on the test splits of another corpus, with 95% intervals; --lang scores these languages only."""
    from xa_search.cli.json_output import as_json as plain
    from xa_search.cli.json_output import print_json
    from xa_search.cli.tables import print_transfer
    from xa_search.training.transfer import read_label_map
    from xa_search.workflows.evaluate import model_or_trial, score_on_corpus
    from xa_search.workflows.translate import corpus_named

    home, wanted = absolute(home), languages_of([*(lang or ()), *(languages or ())])
    labels = None if label_map is None else read_label_map(label_map)
    data, named = None if data is None else absolute(data), parse_columns(columns)
    opened = corpus_named(corpus_of(corpus, None), data, home, wanted, named)
    bundle = model_or_trial(home, model, trial, to_stderr if as_json else echo)
    scored = score_on_corpus(bundle, opened, labels, max_lost)
    if as_json:
        print_json({"model": model, **plain(scored)})
    else:
        print_transfer(model, scored)


@finding_commands.command()
def inspect(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A registered model (NAME, NAME@ALIAS, NAME/VERSION), a bundle's folder, or a search.",
            autocompletion=complete_searches,
        ),
    ],
    trial: OneTrial = None,
    space: Annotated[
        str | None,
        typer.Option(
            metavar="SPACE",
            help="The space of a model whose search is not in this home: what it learned from.",
            autocompletion=complete_spaces,
        ),
    ] = None,
    data: Data = None,
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Write the table and the figure here.")] = None,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show how near translations lie in each layer, before and after a model learned; no test data is read."""
    from xa_search.cli.json_output import as_json as plain
    from xa_search.cli.json_output import print_json
    from xa_search.cli.search_tables import print_inspection
    from xa_search.tracking.inspection_report import write_inspection
    from xa_search.workflows.inspection import inspect_named

    home, data = absolute(home), None if data is None else absolute(data)
    inspection, folder = inspect_named(home, model, trial, space, data, to_stderr if as_json else echo)
    paths = write_inspection(inspection, folder if out is None else absolute(out))
    if as_json:
        print_json({**plain(inspection), "files": paths})
    else:
        print_inspection(inspection, paths)


@finding_commands.command()
def audit(
    searches: FinishedSearches = None,
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Write the table here too.")] = None,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Say which selection rule to trust: the regret of each rule's pick, pooled over searches.

    A search is audited where its space says `audit: picks` (what some rule picks is tested) or `audit: all` (every
    complete trial); the same `xa-search run` with --set audit=all does it later, for trials that still have weights.
    """
    from xa_search.claims.audit_report import write_pooled
    from xa_search.cli.json_output import as_json as plain
    from xa_search.cli.json_output import print_json
    from xa_search.cli.search_tables import print_pooled_audit
    from xa_search.search.history import find_search
    from xa_search.workflows.audit import pooled_audit

    home = absolute(home)
    named = [find_search(home, name) for name in searches or (None,)]
    pooled = pooled_audit(tuple({search.search_id: search for search in named}.values()))
    if out is not None:
        write_pooled(pooled, absolute(out))
    if as_json:
        print_json({**plain(pooled), "verdict": pooled.verdict})
    else:
        print_pooled_audit(pooled)


@finding_commands.command()
def claims(
    searches: FinishedSearches = None,
    literature: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Published scores of other systems with their sources (YAML).")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Write the table here too.")] = None,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Hold the XeroAlign paper's claims against what searches have measured."""
    from xa_search.claims.statements import read_literature
    from xa_search.claims.verdicts import claims_record, write_claims
    from xa_search.cli.json_output import print_json
    from xa_search.cli.search_tables import print_claims
    from xa_search.search.history import find_search
    from xa_search.tracking.address import tracking_uri
    from xa_search.workflows.check_claims import check_claims, keep_claims

    home = absolute(home)
    published = () if literature is None else read_literature(absolute(literature))
    named = [find_search(home, name) for name in searches or (None,)]
    found = tuple({search.search_id: search for search in named}.values())
    checked = check_claims(found, published)
    if out is not None:
        write_claims(checked.rulings, checked.remarks, absolute(out))
    if as_json:
        print_json(claims_record(checked.rulings, checked.remarks))
    else:
        print_claims(checked)
    for problem in keep_claims(checked, found, tracking_uri(home)):
        echo(problem, err=True)
