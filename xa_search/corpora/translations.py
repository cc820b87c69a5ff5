"""Translations of the source training utterances. In: a corpus and a target language. Out: Translations, no labels.

First choice: what `xa-search data translate` made; second: a file of translations (one line for each row of the source
training file, or rows with its ids); third: the target's training file where it shares ids with the source's. Its
labels are not looked at.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xa_search.corpora.machine_translations import machine_file
from xa_search.corpora.raw_files import RawFiles
from xa_search.corpora.repair import clean_words, split_text
from xa_search.corpora.rows import Row
from xa_search.errors import DataError
from xa_search.records import Translation

if TYPE_CHECKING:
    from xa_search.corpora.corpus import Corpus


@dataclass(frozen=True, slots=True)
class TranslationFile:
    """A file that holds translations: one line for each row of the source training file, or rows with its ids."""

    files: RawFiles
    name: str
    by_line: bool


def find_translations(corpus: "Corpus", lang: str) -> TranslationFile | None:
    """Find the translations into a language; only the source training file may be opened for this."""
    if corpus.file_of(corpus.source, "train") is None:
        return None
    made = corpus.machine_translations
    if made is not None and (name := made.find((machine_file(lang),))) is not None:
        return TranslationFile(made, name, by_line=True)
    if (name := corpus.files.find(corpus.layout.line_translations(lang))) is not None:
        return TranslationFile(corpus.files, name, by_line=True)
    name = corpus.files.find(corpus.layout.id_translations(lang))
    return TranslationFile(corpus.files, name, by_line=False) if name is not None and _source_has_ids(corpus) else None


def read_translations(corpus: "Corpus", lang: str) -> Iterator[Translation]:
    """Yield one translation at most for each source training utterance; raises DataError where there are none."""
    found = find_translations(corpus, lang)
    if found is None:
        raise DataError(_no_translations(corpus, lang))
    yield from _by_line(corpus, lang, found) if found.by_line else _by_id(corpus, lang, found.name)


def _by_line(corpus: "Corpus", lang: str, found: TranslationFile) -> Iterator[Translation]:
    """Walk through the source training rows and the lines side by side."""
    lines = found.files.lines(found.name)
    rows = 0
    for row in corpus.rows(corpus.source, "train"):
        rows += 1
        line = next(lines, None)
        if line is None:
            raise DataError(
                f"{found.files.where(found.name)} has fewer lines than {corpus.source} training rows "
                f"(it ends before the row at line {row.line}): write one line for each row"
            )
        words = split_text(line.text)
        if row.dropped is None and words:
            yield Translation(source_id=row.id, lang=lang, words=words, running_text=True)
    extra = next((line for line in lines if line.text.strip()), None)
    if extra is not None:
        raise DataError(
            f"{found.files.where(found.name, extra.number)}: a line too many, the {corpus.source} training file has "
            f"{rows} rows: write one line for each row"
        )


def _by_id(corpus: "Corpus", lang: str, name: str) -> Iterator[Translation]:
    """Keep the target rows whose id a source training utterance has; one for each."""
    waiting = {utterance.id for utterance in corpus.utterances(corpus.source, "train")}
    read_keyed = corpus.layout.read_translation_rows
    rows: Iterator[Row]
    if read_keyed is not None:
        rows = read_keyed(corpus.files.lines(name), lang)
    else:
        rows = corpus.layout.read(name, corpus.files.lines(name), lang, "train")
    found = False
    for row in rows:
        words = clean_words(row.words)
        if row.own_id and row.id in waiting and words:
            waiting.discard(row.id)
            found = True
            yield Translation(source_id=row.id, lang=lang, words=words, running_text=row.running_text)
    if not found:
        raise DataError(
            f"no translations of {corpus.name} into {lang}: {corpus.files.where(name)} shares no id with the "
            f"{corpus.source} training file; use the same ids in both"
        )


def _source_has_ids(corpus: "Corpus") -> bool:
    first = next((row for row in corpus.rows(corpus.source, "train") if row.dropped is None), None)
    return first is not None and first.own_id


def _no_translations(corpus: "Corpus", lang: str) -> str:
    by_line, by_id = corpus.layout.line_translations(lang), corpus.layout.id_translations(lang)
    if by_line:
        advice = f"add {by_line[0]}, one line for each row of the {corpus.source} training file"
    else:
        advice = f"add {by_id[0]}, with the ids of the {corpus.source} training file"
    return (
        f"no translations of {corpus.name} into {lang} in {corpus.files.root}: {advice}, "
        f"or type `xa-search data translate` with --to {lang}"
    )
