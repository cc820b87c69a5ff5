"""The commands about searches and their trials. In: words and options. Out: printed lines; an error is an exception.

They belong to the command line, which adds them to its own.
"""

from typing import Annotated

import typer

from xa_search.cli.options import (
    DEFAULT_HOME,
    AnySearch,
    Debug,
    EarlierSearch,
    Home,
    Json,
    Search,
    Trial,
    absolute,
    one_of,
    to_stderr,
)
from xa_search.cli.plain import echo

search_commands = typer.Typer(rich_markup_mode=None)


@search_commands.command()
def status(search: AnySearch = None, home: Home = DEFAULT_HOME, as_json: Json = False, debug: Debug = False) -> None:
    """Show the searches of a home, or one of them, also while it runs."""
    from xa_search.cli.json_output import print_json, search_object, searched_object
    from xa_search.cli.search_tables import print_search, print_searches, unread_line
    from xa_search.search.history import find_search, other_folders, searches_in
    from xa_search.tracking.address import tracking_uri
    from xa_search.tracking.spool import waiting_events

    home = absolute(home)
    if search is None:
        searches = searches_in(home)
        unread = other_folders(home, searches)
        if as_json:
            for folder in unread:
                to_stderr(unread_line(folder))
            print_json([search_object(one) for one in searches])
        else:
            print_searches(searches, unread)
        return
    found = find_search(home, search)
    waiting = waiting_events(found.directory, tracking_uri(home))
    if as_json:
        print_json(searched_object(found, waiting))
    else:
        print_search(found, waiting)


@search_commands.command()
def explain(
    trial: Trial,
    search: Search = None,
    earlier: EarlierSearch = None,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Say in plain words why a trial ended as it did, and what a better one had."""
    from xa_search.cli.json_output import explanation_object, print_json
    from xa_search.cli.search_tables import print_explanation
    from xa_search.search.history import find_search
    from xa_search.workflows.explain import explain as explain_trial

    found = find_search(absolute(home), one_of(search, earlier, "the search"))
    explanation = explain_trial(found, trial)
    if as_json:
        print_json(explanation_object(found, explanation))
    else:
        print_explanation(found, explanation)


@search_commands.command()
def sync(search: AnySearch = None, home: Home = DEFAULT_HOME, as_json: Json = False, debug: Debug = False) -> None:
    """Give MLflow what it missed while it was away; twice changes nothing."""
    from xa_search.cli.json_output import print_json, synced_object
    from xa_search.cli.search_tables import print_synced
    from xa_search.errors import XaSearchError
    from xa_search.records.torn_files import take_torn
    from xa_search.search.history import find_search, searches_in
    from xa_search.tracking.address import tracking_uri
    from xa_search.workflows.maintenance import sync_search

    home, objects, problem = absolute(home), [], ""
    for found in searches_in(home) if search is None else (find_search(home, search),):
        if search is None and found.driver:
            echo(f"{found.search_id}: process {found.driver} runs it, and logs to MLflow itself", err=as_json)
            continue
        synced = sync_search(found, tracking_uri(home))
        for line in take_torn():
            to_stderr(line)
        objects.append(synced_object(found, synced))
        if not as_json:
            print_synced(found, synced)
        if synced.state.left:
            problem = synced.state.problem
            break
    if as_json:
        print_json(objects)
    if problem:
        raise XaSearchError(problem)


@search_commands.command()
def gc(
    search: AnySearch = None,
    keep: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="NUMBER", help="So many of the best trials keep their weights; else as the space says."
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also unused encoders and encoded corpora, and runs deleted in MLflow's UI.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")] = False,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Free the space that searches which are over no longer need."""
    from xa_search.cli.json_output import cleaned_object, print_json
    from xa_search.cli.search_tables import print_cleaned
    from xa_search.errors import UsageError
    from xa_search.search.history import find_search, searches_in
    from xa_search.tracking.address import tracking_uri
    from xa_search.workflows.maintenance import clean_deleted_runs, clean_left_behind, clean_search, clean_shared

    if everything and search is not None:
        raise UsageError(f"--all: looks at all searches of the home; leave {search} out, or --all")
    home = absolute(home)
    searches = searches_in(home) if search is None else (find_search(home, search),)
    cleaned = [clean_search(one, keep, rehearse=dry_run) for one in searches]
    cleaned.append(clean_left_behind(rehearse=dry_run))
    if everything:
        cleaned += [clean_deleted_runs(one, tracking_uri(home), rehearse=dry_run) for one in searches]
        cleaned.append(clean_shared(home, searches, rehearse=dry_run))
    if as_json:
        print_json(cleaned_object(cleaned, dry_run))
    else:
        print_cleaned(cleaned, dry_run)


@search_commands.command()
def replay(
    trial: Trial,
    search: Search = None,
    earlier: EarlierSearch = None,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Train a trial again in this process, and compare its scores with those of then."""
    from xa_search.cli.json_output import print_json, replay_object
    from xa_search.cli.search_tables import print_replay, print_replayed_epoch
    from xa_search.search.history import find_search
    from xa_search.workflows.replay import replay_trial

    found = find_search(absolute(home), one_of(search, earlier, "the search"))
    if as_json:
        print_json(replay_object(found, replay_trial(found, trial, to_stderr, lambda _: None)))
    else:
        print_replay(replay_trial(found, trial, echo, print_replayed_epoch))
