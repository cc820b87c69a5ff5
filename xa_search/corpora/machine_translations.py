"""Where machine translations lie. In: a corpus and the search home. Out: a folder for this English training file alone.

One file a language, `fr.txt`, with one line for each row of the training file; the folder's name has that file's hash,
so that translations of other rows are never taken for these.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xa_search.corpora.corpus import Corpus


def machine_file(lang: str) -> str:
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
