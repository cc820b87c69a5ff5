"""The commands about corpora. In: words and options. Out: printed tables; an error is an exception.

They belong to the command line, which adds them to its own.
"""

from typing import Annotated

import typer

from xa_search.cli.options import (
    DEFAULT_HOME,
    Columns,
    Data,
    Debug,
    Home,
    Languages,
    absolute,
    parse_columns,
    parse_list,
)
from xa_search.cli.plain import echo

data_commands = typer.Typer(help="Look at a corpus, or translate it.", no_args_is_help=True, rich_markup_mode=None)

Corpus = Annotated[
    str, typer.Argument(help="mtop-mini, mtop, mtod, multiatis, massive, xsid, pawsx, own, or a search space.")
]
TRANSLATION_MODEL = "facebook/nllb-200-distilled-600M"
PROGRESS_LINES = 20


@data_commands.command("check")
def data_check(
    corpus: Corpus,
    data: Data = None,
    languages: Languages = None,
    columns: Columns = None,
    home: Home = DEFAULT_HOME,
    debug: Debug = False,
) -> None:
    """Print rows, repaired, dropped and unseen labels by split and language."""
    from xa_search.cli.display import ReadingBar
    from xa_search.cli.tables import print_corpus_check
    from xa_search.workflows.translate import checked_corpus

    wanted, named, bar = parse_list(languages), parse_columns(columns), ReadingBar()
    try:
        check = checked_corpus(corpus, data, absolute(home), wanted, named, bar.show)
    finally:
        bar.stop()
    print_corpus_check(check)


@data_commands.command("stats")
def data_stats(
    corpus: Corpus,
    data: Data = None,
    languages: Languages = None,
    columns: Columns = None,
    home: Home = DEFAULT_HOME,
    debug: Debug = False,
) -> None:
    """Print sizes, lengths and labels by split and language."""
    from xa_search.cli.tables import print_corpus_stats
    from xa_search.workflows.translate import counted_corpus

    wanted, named = parse_list(languages), parse_columns(columns)
    print_corpus_stats(counted_corpus(corpus, data, absolute(home), wanted, named))


@data_commands.command("translate")
def data_translate(
    corpus: Corpus,
    to: Annotated[list[str], typer.Option(metavar="LANG", help="A target language; may be given several times.")],
    model: Annotated[
        str,
        typer.Option(help="NLLB, M2M100 or OPUS-MT: a hub id or a directory. Mind its licence: NLLB's is CC BY-NC."),
    ] = TRANSLATION_MODEL,
    data: Data = None,
    home: Home = DEFAULT_HOME,
    debug: Debug = False,
) -> None:
    """Translate the English training utterances, so that a search has pairs; the same command goes on after a stop."""
    from xa_search.workflows.translate import corpus_named, translate_corpus

    home = absolute(home)
    opened = corpus_named(corpus, None if data is None else absolute(data), home)
    for lang in to:
        shown = -1

        def progress(done: int, rows: int, lang: str = lang) -> None:
            nonlocal shown
            if (step := PROGRESS_LINES * done // max(1, rows)) > shown:
                shown = step
                echo(f"{lang}: {done} of {rows} rows")

        made = translate_corpus(opened, lang, model, home, progress)
        echo(f"{lang}: {made.rows - made.blank} of {made.rows} rows translated by {made.model}: {made.path}")
