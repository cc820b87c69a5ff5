"""A corpus that is at hand. In: raw files and their layout. Out: repaired utterances, translations, a fingerprint.

Utterances are read as they are asked for; only the ids of a file that states ids are kept, to find those given twice.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from xa_search.corpora.layout import Layout
from xa_search.corpora.raw_files import RawFiles
from xa_search.corpora.repair import repair
from xa_search.corpora.rows import Row
from xa_search.corpora.translations import find_translations, read_translations
from xa_search.errors import DataError
from xa_search.records import Split, Translation, Utterance


@dataclass(frozen=True, slots=True)
class Corpus:
    """A source language, target languages, and where their raw files lie. It holds no open file."""

    name: str
    source: str
    targets: tuple[str, ...]
    files: RawFiles = field(repr=False)
    layout: Layout = field(repr=False)
    machine_translations: RawFiles | None = field(default=None, repr=False)

    def utterances(self, lang: str, split: Split) -> Iterator[Utterance]:
        """Yield the utterances of a split, repaired; dropped rows are left out."""
        for row in self.rows(lang, split):
            if row.dropped is None:
                yield Utterance(id=row.id, lang=lang, split=split, words=row.words, intent=row.intent, slots=row.tags)

    def translations(self, lang: str) -> Iterator[Translation]:
        """Yield the translations of the source training utterances, in no labels but the source's."""
        return read_translations(self, lang)

    def rows(self, lang: str, split: Split) -> Iterator[Row]:
        """Yield every row of a split after repair, dropped ones too."""
        name = self.file_of(lang, split)
        if name is None:
            raise DataError(self._no_file(lang, split))
        seen: set[str] = set()
        for row in self.layout.read(name, self.files.lines(name), lang, split):
            row = repair(row)
            if row.own_id:
                if row.id in seen:
                    row = replace(row, dropped=row.dropped or "duplicate_id")
                seen.add(row.id)
            yield row

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
        digest = hashlib.sha256()
        for files, name in dict.fromkeys(wanted):
            content = hashlib.sha256()
            for chunk in files.chunks(name):
                content.update(chunk)
            digest.update(f"{name}\n{content.hexdigest()}\n".encode())
        return digest.hexdigest()

    def _no_file(self, lang: str, split: Split) -> str:
        expected = " or ".join(self.layout.split_files(lang, split)[:3])
        where = f"{split} file of {lang} in {self.files.root}"
        return f"{self.name} has no {where}: add {expected}, or give another --data PATH"
