"""A corpus that is at hand. In: raw files and their layout. Out: repaired utterances, translations, a fingerprint.

One file a language, `fr.txt`, with one line for each row of the training file; the folder's name has that file's hash,
so that translations of other rows are never taken for these.

First choice: what is given by --translations; then what `xa-search data translate` made; then a file of translations
(one line for each row of the source training file, or rows with its ids); last: the target's training file where it
shares ids with the source's. Its labels are not looked at.

Utterances are read as they are asked for; of a file that states ids, these and a number a row are kept, to find those
given twice.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from pathlib import Path

from xa_search.corpora.file_rows import FoundInFiles, read_rows, survey_tags, with_ids_told_apart
from xa_search.corpora.raw_files import RawFiles
from xa_search.corpora.rows import DROPS, LEFT_OUT_AS_PUBLISHED, Layout, Row
from xa_search.corpora.tags import TagScheme
from xa_search.corpora.text import clean_words, is_utf8
from xa_search.errors import DataError
from xa_search.records import Split, Translation, Utterance


def translations_file(lang: str) -> str:
    """Name the file of a language in the folder."""
    return f"{lang}.txt"


def translations_folder(corpus: "Corpus", home: Path) -> Path:
    """Name the folder of a corpus's machine translations; reads the source training file."""
    corpus.require(corpus.source, "train")
    name = corpus.file_of(corpus.source, "train")
    assert name is not None
    digest = hashlib.sha256()
    for chunk in corpus.files.chunks(name):
        digest.update(chunk)
    return _parent(home) / f"{corpus.name}-{corpus.source}-{digest.hexdigest()[:16]}"


def find_translations_folder(corpus: "Corpus", home: Path) -> Path | None:
    """Return the folder if there is one; nothing is read where no corpus of this name was ever translated."""
    if not any(_parent(home).glob(f"{corpus.name}-{corpus.source}-*")):
        return None
    if corpus.file_of(corpus.source, "train") is None:
        return None
    folder = translations_folder(corpus, home)
    return folder if folder.is_dir() else None


def _parent(home: Path) -> Path:
    return home / "corpora" / "translations"


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
    for files in (corpus.given_translations, corpus.machine_translations):
        if files is not None and (name := files.find((translations_file(lang),))) is not None:
            return TranslationFile(files, name, by_line=True)
    if (name := corpus.files.find(corpus.layout.line_translations(lang))) is not None:
        return TranslationFile(corpus.files, name, by_line=True)
    name = corpus.files.find(corpus.layout.id_translations(lang))
    return TranslationFile(corpus.files, name, by_line=False) if name is not None and _source_has_ids(corpus) else None


def read_translations(corpus: "Corpus", lang: str, unread: Counter[str]) -> Iterator[tuple[Translation, Row | None]]:
    """Yield one translation at most for each source training utterance; raises DataError where there are none.

    With it comes the row that it was read from, where it was joined by its id. What of a file of translations cannot be
    read is counted into `unread`, by the keys of DROPS.
    """
    found = find_translations(corpus, lang)
    if found is None:
        raise DataError(_nothing_usable(corpus) or _no_translations(corpus, lang))
    if found.by_line:
        yield from ((translation, None) for translation in _by_line(corpus, lang, found, unread))
    else:
        yield from _by_id(corpus, lang, found.name, unread)


def _by_line(corpus: "Corpus", lang: str, found: TranslationFile, unread: Counter[str]) -> Iterator[Translation]:
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
        words = _clean((line.text,))
        unread.update(() if is_utf8(line.text) else ("not_utf8",))
        if row.dropped is None and words:
            yield Translation(source_id=row.id, lang=lang, words=words, running_text=True)
    extra = next((line for line in lines if line.text.strip()), None)
    if extra is not None:
        raise DataError(
            f"{found.files.where(found.name, extra.number)}: a line too many, the {corpus.source} training file has "
            f"{rows} rows: write one line for each row"
        )


def _by_id(corpus: "Corpus", lang: str, name: str, unread: Counter[str]) -> Iterator[tuple[Translation, Row]]:
    """Keep the target rows whose id a source training utterance has; one for each."""
    waiting = set(corpus.source_ids())
    read_keyed = corpus.layout.read_translation_rows
    rows: Iterator[Row]
    if read_keyed is not None:
        rows = read_keyed(corpus.files.lines(name), lang)
    else:
        rows = corpus.rows_as_read(name, lang, "train")
    # What a training file loses is counted where its rows are.
    of_its_own = name != corpus.file_of(lang, "train")
    found = False
    for row in rows:
        words = () if row.dropped in LEFT_OUT_AS_PUBLISHED else _clean(row.words)
        if of_its_own and (row.dropped or not words):
            unread[row.dropped or ("no_words" if all(map(is_utf8, row.words)) else "not_utf8")] += 1
        if row.own_id and row.id in waiting and words:
            waiting.discard(row.id)
            found = True
            yield Translation(source_id=row.id, lang=lang, words=words, running_text=row.running_text), row
    if not found:
        raise DataError(
            f"no translations of {corpus.name} into {lang}: {corpus.files.where(name)} shares no id with the "
            f"{corpus.source} training file; use the same ids in both"
        )


def _clean(words: Iterable[str]) -> tuple[str, ...]:
    """Return the words of a translation; none at all where one is not UTF-8."""
    text = " ".join(words)
    return clean_words(text) if is_utf8(text) else ()


def _source_has_ids(corpus: "Corpus") -> bool:
    first = next((row for row in corpus.rows(corpus.source, "train") if row.dropped is None), None)
    return first is not None and first.own_id


def _nothing_usable(corpus: "Corpus") -> str:
    """Say why no source training row can be used; nothing where one can."""
    reasons: Counter[str] = Counter()
    first = ""
    for row in corpus.rows(corpus.source, "train"):
        if row.dropped is None:
            return ""
        reasons[row.dropped] += 1
        first = first or f"the first at line {row.line}{f', {row.example!r}' if row.example else ''}"
    name = corpus.file_of(corpus.source, "train") or ""
    counts = ", ".join(f"{count} x {DROPS[reason]}" for reason, count in reasons.most_common())
    why = f"{counts}; {first}" if counts else "it has none"
    return (
        f"{corpus.files.where(name)}: none of its {reasons.total()} rows can be used ({why}), so that there is nothing "
        "to pair: mend that file; `xa-search data check` shows more"
    )


def _no_translations(corpus: "Corpus", lang: str) -> str:
    by_line, by_id = corpus.layout.line_translations(lang), corpus.layout.id_translations(lang)
    advice = f"add {by_line[0]}, one line for each row of the {corpus.source} training file"
    if by_id:
        advice += f", or {by_id[0]} with its ids"
    return (
        f"no translations of {corpus.name} into {lang} in {corpus.files.root}: {advice}, "
        f"or type `xa-search data translate --corpus {corpus.name} --lang {lang}`"
    )


def _kept(row: Row) -> Row:
    """Take back that a row is left out as published."""
    if row.dropped not in LEFT_OUT_AS_PUBLISHED:
        return row
    return replace(row, dropped=None, repairs=(*row.repairs, "kept_untranslated"))


@dataclass(frozen=True, slots=True)
class Corpus:
    """A source language, target languages, and where their raw files lie. It holds no open file."""

    name: str
    source: str
    targets: tuple[str, ...]
    files: RawFiles = field(repr=False)
    layout: Layout = field(repr=False)
    given_translations: RawFiles | None = field(default=None, repr=False)
    machine_translations: RawFiles | None = field(default=None, repr=False)
    with_left_out: bool = False
    """Whether rows that the corpus is published to leave out are kept, as the paper's scores count them."""
    found: FoundInFiles = field(default_factory=FoundInFiles, repr=False, compare=False)

    def utterances(self, lang: str, split: Split) -> Iterator[Utterance]:
        """Yield the utterances of a split, repaired; dropped rows are left out."""
        for row in self.rows(lang, split):
            if row.dropped is None:
                yield Utterance(id=row.id, lang=lang, split=split, words=row.words, intent=row.intent, slots=row.tags)

    def translations(self, lang: str) -> Iterator[Translation]:
        """Yield the translations of the source training utterances, in no labels but the source's."""
        return (translation for translation, _ in read_translations(self, lang, Counter()))

    def rows(self, lang: str, split: Split) -> Iterator[Row]:
        """Yield every row of a split after repair, dropped ones too."""
        name = self.file_of(lang, split)
        if name is None:
            raise DataError(self._no_file(lang, split))
        yield from with_ids_told_apart(self.repaired(self.rows_as_read(name, lang, split), lang, split))

    def repaired(self, rows: Iterable[Row], lang: str, split: Split) -> Iterator[Row]:
        """Yield the rows that were read from the file of a split after repair, each by itself."""
        return self._with_known_intents(read_rows(rows, self.tag_scheme(lang, split)), lang, split)

    def _with_known_intents(self, rows: Iterator[Row], lang: str, split: Split) -> Iterator[Row]:
        """Write intents as the source training set does, where the layout knows another way of writing them."""
        same_intent = self.layout.same_intent
        if same_intent is None or (lang, split) == (self.source, "train"):
            yield from rows
            return
        for row in rows:
            known = None if row.dropped else same_intent(row.intent, self._source_intents())
            yield row if known is None else replace(row, intent=known, repairs=(*row.repairs, "joined_intent"))

    def _source_intents(self) -> frozenset[str]:
        """Return the intents of the source training set; none where there is no such file."""
        if self.found.source_intents is None:
            there = self.file_of(self.source, "train") is not None
            rows = self.rows(self.source, "train") if there else ()
            self.found.source_intents = frozenset(row.intent for row in rows if row.dropped is None)
        return self.found.source_intents

    def source_ids(self) -> frozenset[str]:
        """Return the ids of the source training utterances; they are asked for once a target."""
        if self.found.source_ids is None:
            self.found.source_ids = frozenset(row.id for row in self.utterances(self.source, "train"))
        return self.found.source_ids

    def source_utterances(self, ids: Set[str]) -> Mapping[str, Utterance]:
        """Return the source training utterances with these ids, and others; each is kept, for the next target."""
        known = self.found.source_utterances
        if missing := ids - known.keys():
            known.update((row.id, row) for row in self.utterances(self.source, "train") if row.id in missing)
        return known

    def tag_scheme(self, lang: str, split: Split) -> TagScheme | None:
        """Return the scheme in which a file writes its tags, over all its rows; none where they come from spans."""
        name = self.file_of(lang, split)
        if name is None or not self.layout.tagged(name):
            return None
        known = self.found.schemes
        key = (name, lang, split)
        if key not in known:
            known[key] = survey_tags(self.rows_as_read(name, lang, split))
        return known[key]

    def rows_as_read(self, name: str, lang: str, split: Split) -> Iterator[Row]:
        """Yield the rows of a file before any repair."""
        rows = self.layout.read(name, self.files.lines(name), lang, split)
        return map(_kept, rows) if self.with_left_out else rows

    def file_of(self, lang: str, split: Split) -> str | None:
        """Find the file of a split without opening it."""
        return self.files.find(self.layout.split_files(lang, split))

    def require(self, lang: str, split: Split) -> None:
        """Raise DataError unless the split has a file."""
        if self.file_of(lang, split) is None:
            raise DataError(self._no_file(lang, split))

    def fingerprint(self, *, with_target_train: bool = False) -> str:
        """Hash names and bytes of the files that a search may look at: never a file of test rows alone.

        The targets' labelled training files are among them only where a search learns from them.
        """
        names = [self.file_of(self.source, "train"), self.file_of(self.source, "dev")]
        names += [self.file_of(lang, "dev") for lang in self.targets]
        names += [self.file_of(lang, "train") for lang in self.targets if with_target_train]
        wanted = [(self.files, name) for name in names if name is not None]
        found = [find_translations(self, lang) for lang in self.targets]
        wanted += [(one.files, one.name) for one in found if one is not None]
        return _digest(dict.fromkeys(wanted), b"with what is left out as published" if self.with_left_out else b"")

    def split_digest(self, split: Split, languages: Iterable[str]) -> str:
        """Hash names and bytes of the files of a split; opens them, also those of the test split."""
        names = [self.file_of(lang, split) for lang in languages]
        return _digest(dict.fromkeys((self.files, name) for name in names if name is not None))

    def _no_file(self, lang: str, split: Split) -> str:
        expected = " or ".join(self.layout.split_files(lang, split)[:3])
        where = f"{split} file of {lang} in {self.files.root}"
        return f"{self.name} has no {where}: add {expected}, or give another --data PATH"


def _digest(wanted: Iterable[tuple[RawFiles, str]], prefix: bytes = b"") -> str:
    digest = hashlib.sha256(prefix)
    for files, name in wanted:
        content = hashlib.sha256()
        for chunk in files.chunks(name):
            content.update(chunk)
        digest.update(f"{name}\n{content.hexdigest()}\n".encode())
    return digest.hexdigest()
