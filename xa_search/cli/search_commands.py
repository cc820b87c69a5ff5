"""The commands about searches and their models. In: words and options. Out: printed lines; an error is an exception.

They belong to the command line, which adds them to its own.
"""

import json
from pathlib import Path
from typing import Annotated

import typer

from xa_search.cli.options import DEFAULT_HOME, Columns, Data, Debug, Home, absolute, parse_columns, parse_list
from xa_search.cli.plain import echo

search_commands = typer.Typer(rich_markup_mode=None)

Search = Annotated[str | None, typer.Argument(help="A search by id, or by its space: then its newest one.")]
Trial = Annotated[int, typer.Argument(min=0, help="The number of a trial, as `xa-search status SEARCH` lists it.")]
OfSearch = Annotated[
    str | None, typer.Option("--search", metavar="SEARCH", help="The trial's search; the newest unless given.")
]


@search_commands.command()
def status(search: Search = None, home: Home = DEFAULT_HOME, debug: Debug = False) -> None:
    """Show the searches of a home, or one of them, also while it runs."""
    from xa_search.cli.search_tables import print_search, print_searches
    from xa_search.search.history import find_search, other_folders, searches_in
    from xa_search.tracking.spool import waiting_events
    from xa_search.tracking.store import tracking_uri

    home = absolute(home)
    if search is None:
        searches = searches_in(home)
        print_searches(searches, other_folders(home, searches))
    else:
        found = find_search(home, search)
        print_search(found, waiting_events(found.directory, tracking_uri(home)))


@search_commands.command()
def explain(trial: Trial, search: OfSearch = None, home: Home = DEFAULT_HOME, debug: Debug = False) -> None:
    """Say in plain words why a trial ended as it did, and what a better one had."""
    from xa_search.cli.search_tables import print_explanation
    from xa_search.search.history import find_search
    from xa_search.workflows.explain import explain as explain_trial

    found = find_search(absolute(home), search)
    print_explanation(found, explain_trial(found, trial))


@search_commands.command()
def sync(search: Search = None, home: Home = DEFAULT_HOME, debug: Debug = False) -> None:
    """Give MLflow what it missed while it was away; twice changes nothing."""
    from xa_search.cli.search_tables import print_synced
    from xa_search.errors import XaSearchError
    from xa_search.search.history import find_search, searches_in
    from xa_search.tracking.store import tracking_uri
    from xa_search.workflows.maintenance import sync_search

    home = absolute(home)
    for found in searches_in(home) if search is None else (find_search(home, search),):
        if search is None and found.driver:
            echo(f"{found.search_id}: process {found.driver} runs it, and tells MLflow itself")
            continue
        synced = sync_search(found, tracking_uri(home))
        print_synced(found, synced)
        if synced.state.left:
            raise XaSearchError(synced.state.problem)


@search_commands.command()
def gc(
    keep: Annotated[
        int | None, typer.Option(min=1, help="So many of the best trials keep their weights; else as the space says.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also unused encoders and encoded corpora, and runs deleted in MLflow's UI.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")] = False,
    home: Home = DEFAULT_HOME,
    debug: Debug = False,
) -> None:
    """Free the space that searches which are over no longer need."""
    from xa_search.cli.search_tables import print_cleaned
    from xa_search.search.history import searches_in
    from xa_search.tracking.store import tracking_uri
    from xa_search.workflows.maintenance import clean_deleted_runs, clean_search, clean_shared

    home = absolute(home)
    searches = searches_in(home)
    cleaned = [clean_search(search, keep, rehearse=dry_run) for search in searches]
    if everything:
        cleaned += [clean_deleted_runs(search, tracking_uri(home), rehearse=dry_run) for search in searches]
        cleaned.append(clean_shared(home, searches, rehearse=dry_run))
    print_cleaned(cleaned, dry_run)


@search_commands.command()
def replay(trial: Trial, search: OfSearch = None, home: Home = DEFAULT_HOME, debug: Debug = False) -> None:
    """Train a trial again in this process, and compare its scores with those of then."""
    from xa_search.cli.search_tables import print_replay, print_replayed_epoch
    from xa_search.search.history import find_search
    from xa_search.workflows.replay import replay_trial

    print_replay(replay_trial(find_search(absolute(home), search), trial, echo, print_replayed_epoch))


@search_commands.command("test")
def score_elsewhere(
    model: Annotated[str, typer.Argument(help="A registered model (NAME, NAME@ALIAS, NAME/VERSION), or a search.")],
    corpus: Annotated[str, typer.Option(help="The corpus to test on, or a search space.")],
    data: Data = None,
    label_map: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="What that corpus calls the model's labels: mtod-to-xsid.")
    ] = None,
    languages: Annotated[str | None, typer.Option(metavar="de,th", help="Test these only.")] = None,
    columns: Columns = None,
    trial: Annotated[int | None, typer.Option(min=0, help="A search's trial; its best unless given.")] = None,
    home: Home = DEFAULT_HOME,
    debug: Debug = False,
) -> None:
    """Score a model on the test splits of another corpus, with 95% intervals."""
    from xa_search.cli.tables import print_transfer
    from xa_search.training.transfer import read_label_map
    from xa_search.workflows.evaluate import model_or_trial, score_on_corpus
    from xa_search.workflows.translate import corpus_named

    home, wanted, named = absolute(home), parse_list(languages), parse_columns(columns)
    labels = None if label_map is None else read_label_map(label_map)
    opened = corpus_named(corpus, None if data is None else absolute(data), home, wanted, named)
    print_transfer(model, score_on_corpus(model_or_trial(home, model, trial, echo), opened, labels))


@search_commands.command()
def inspect(
    model: Annotated[
        str, typer.Argument(help="A registered model (NAME, NAME@ALIAS, NAME/VERSION), a bundle's folder, or a search.")
    ],
    trial: Annotated[int | None, typer.Option(min=0, help="A search's trial; its best unless given.")] = None,
    space: Annotated[
        str | None, typer.Option(help="The space of a model whose search is not in this home: what it learned from.")
    ] = None,
    data: Data = None,
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Write the table and the figure here.")] = None,
    home: Home = DEFAULT_HOME,
    debug: Debug = False,
) -> None:
    """Show how near translations lie in each layer, before and after a model learned; no test data is read."""
    from xa_search.cli.search_tables import print_inspection
    from xa_search.tracking.inspection_report import write_inspection
    from xa_search.workflows.inspection import inspect_named

    home, data = absolute(home), None if data is None else absolute(data)
    inspection, folder = inspect_named(home, model, trial, space, data, echo)
    print_inspection(inspection, write_inspection(inspection, folder if out is None else absolute(out)))


@search_commands.command()
def claims(
    searches: Annotated[list[str], typer.Argument(help="Finished searches, by id or by space.")],
    literature: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Published scores of other systems with their sources (YAML).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Write the table here too.")] = None,
    home: Home = DEFAULT_HOME,
    debug: Debug = False,
) -> None:
    """Hold the XeroAlign paper's claims against what searches have measured."""
    from xa_search.claims.statements import read_literature
    from xa_search.claims.verdicts import claims_record, write_claims
    from xa_search.cli.search_tables import print_claims
    from xa_search.search.history import find_search
    from xa_search.tracking.store import tracking_uri
    from xa_search.workflows.check_claims import check_claims, keep_claims

    home = absolute(home)
    published = () if literature is None else read_literature(absolute(literature))
    found = tuple({search.search_id: search for search in (find_search(home, name) for name in searches)}.values())
    checked = check_claims(found, published)
    if out is not None:
        write_claims(checked.rulings, checked.remarks, absolute(out))
    if as_json:
        echo(json.dumps(claims_record(checked.rulings, checked.remarks), indent=2, ensure_ascii=False))
    else:
        print_claims(checked)
    for problem in keep_claims(checked, found, tracking_uri(home)):
        echo(problem, err=True)
