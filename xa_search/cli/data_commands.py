"""The commands about corpora. In: words and options. Out: printed tables; an error is an exception.

They belong to the command line, which adds them to its own.
"""

from typing import Annotated

import typer

from xa_search.cli.options import (
    DEFAULT_HOME,
    Columns,
    Corpus,
    Data,
    Debug,
    EarlierCorpus,
    Home,
    Json,
    Languages,
    Translations,
    absolute,
    absolute_or_none,
    corpus_of,
    languages_of,
    parse_columns,
    resumable,
)
from xa_search.cli.plain import echo

TRANSLATION_MODEL = "facebook/nllb-200-distilled-600M"
PROGRESS_LINES = 20

data_commands = typer.Typer(help="Look at a corpus, or translate it.", no_args_is_help=True, rich_markup_mode=None)

EarlierLanguages = Annotated[list[str] | None, typer.Option("--to", metavar="LANG", hidden=True)]
"""How `--lang` was called before all commands called it so."""


@data_commands.command("check")
def data_check(
    name: EarlierCorpus = None,
    corpus: Corpus = None,
    data: Data = None,
    lang: Languages = None,
    columns: Columns = None,
    translations: Translations = None,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Print rows, repaired, dropped and unseen labels by split and language."""
    from xa_search.cli.display import ReadingBar
    from xa_search.cli.json_output import print_json
    from xa_search.cli.tables import print_corpus_check
    from xa_search.workflows.translate import checked_corpus

    meant, wanted, named, bar = corpus_of(corpus, name), languages_of(lang), parse_columns(columns), ReadingBar()
    progress = None if as_json else bar.show
    try:
        check = checked_corpus(meant, data, absolute(home), wanted, named, progress, translations=translations)
    finally:
        bar.stop()
    if as_json:
        print_json(check)
    else:
        print_corpus_check(check)


@data_commands.command("stats")
def data_stats(
    name: EarlierCorpus = None,
    corpus: Corpus = None,
    data: Data = None,
    lang: Languages = None,
    columns: Columns = None,
    home: Home = DEFAULT_HOME,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Print sizes, lengths and labels by split and language."""
    from xa_search.cli.json_output import print_json
    from xa_search.cli.tables import print_corpus_stats
    from xa_search.workflows.translate import counted_corpus

    meant, wanted, named = corpus_of(corpus, name), languages_of(lang), parse_columns(columns)
    stats = counted_corpus(meant, data, absolute(home), wanted, named)
    if as_json:
        print_json(stats)
    else:
        print_corpus_stats(stats)


@data_commands.command("translate")
def data_translate(
    name: EarlierCorpus = None,
    corpus: Corpus = None,
    lang: Languages = None,
    to: EarlierLanguages = None,
    model: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="NLLB, M2M100 or OPUS-MT: a hub id or a directory. Mind its licence: NLLB's is CC BY-NC.",
        ),
    ] = TRANSLATION_MODEL,
    data: Data = None,
    columns: Columns = None,
    home: Home = DEFAULT_HOME,
    debug: Debug = False,
) -> None:
    """Translate the English training utterances, so that a search has pairs; the same command resumes it."""
    from xa_search.errors import UsageError
    from xa_search.workflows.translate import corpus_named, translate_corpus

    meant, home = corpus_of(corpus, name), absolute(home)
    languages = languages_of([*(lang or ()), *(to or ())])
    if not languages:
        raise UsageError("--lang: which languages are meant? type --lang de, or --lang de,th for several")
    opened = corpus_named(meant, absolute_or_none(data), home, columns=parse_columns(columns))
    for language in languages:
        shown = -1

        def progress(done: int, rows: int, language: str = language) -> None:
            nonlocal shown
            if (step := PROGRESS_LINES * done // max(1, rows)) > shown:
                shown = step
                echo(f"{language}: {done} of {rows} rows")

        with resumable():
            made = translate_corpus(opened, language, model, home, progress)
        echo(f"{language}: {made.rows - made.blank} of {made.rows} rows translated by {made.model}: {made.path}")
