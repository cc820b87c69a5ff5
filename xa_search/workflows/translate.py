"""`xa-search data translate`. In: a corpus, a language, a translation model. Out: a file of translations.

One line for each row of the source training file, appended window by window to a `.part` file, so that a run that was
killed goes on where it was; the whole file takes its name at the end, and only then is it found.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import IO, Any

from xa_search import __version__
from xa_search.config.plan import space_names
from xa_search.corpora import CATALOGUE, Corpus, CorpusCheck, CorpusStats, check_corpus, corpus_stats, open_corpus
from xa_search.corpora.corpus import translations_file, translations_folder
from xa_search.corpora.opening import languages_found
from xa_search.encoding.locks import holder_of, note_holder, try_lock
from xa_search.errors import UsageError
from xa_search.model.translator import TranslationModel, Translator, find_translation_model
from xa_search.records import BETWEEN, OUTSIDE, Split
from xa_search.records.whole_files import put_in_place
from xa_search.training.device import trial_device
from xa_search.workflows.plan import make_plan

ROWS_A_WINDOW = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslatedCorpus:
    """A file of translations; `blank` rows have none, as the source row cannot be used or nothing came out."""

    lang: str
    path: Path
    model: str
    rows: int
    blank: int


def translate_corpus(
    corpus: Corpus, lang: str, model: str, home: Path, progress: Callable[[int, int], None]
) -> TranslatedCorpus:
    """Translate the source training utterances, or go on with it; twice changes nothing.

    `progress` is called with the rows done and all rows. Raises UsageError where another model began the file, or
    another process writes it, and ModelError where the model does not know a language.
    """
    if lang not in corpus.targets:
        raise UsageError(f"--lang {lang}: {corpus.name} has no such target; it has {', '.join(corpus.targets)}")
    folder = translations_folder(corpus, home)
    path, card = folder / translations_file(lang), folder / f"{lang}.json"
    if not path.exists():
        files = find_translation_model(model)
        begun = _begun(corpus, lang, files)
        part = path.with_suffix(".part")
        _check_model(card, part, begun)
        translator = Translator(files, corpus.source, lang, trial_device())
        folder.mkdir(parents=True, exist_ok=True)
        with _only_writer(part) as out:
            _write_card(card, begun)
            rows = _append(corpus, translator, out, progress)
            out.seek(0)
            blank = sum(not line.strip() for line in out)
            finished = {"rows": rows, "translated": rows - blank, "blank": blank, "finished": _now()}
            _write_card(card, begun | finished)
            put_in_place(part, path)
    known = json.loads(card.read_text(encoding="utf-8"))
    return TranslatedCorpus(lang=lang, path=path, model=known["model"], rows=known["rows"], blank=known["blank"])


def _begun(corpus: Corpus, lang: str, files: TranslationModel) -> dict[str, Any]:
    """Return what is known of the translations when they begin."""
    return {
        "corpus": corpus.name,
        "source": corpus.source,
        "target": lang,
        "model": files.name,
        "revision": files.revision,
        "versions": {"xa-search": __version__} | {name: version(name) for name in ("transformers", "torch")},
        "begun": _now(),
    }


def _check_model(card: Path, part: Path, begun: dict[str, Any]) -> None:
    """Raise UsageError where the lines that are there come from another model."""
    if not part.exists() or not card.exists():
        return
    known = json.loads(card.read_text(encoding="utf-8"))
    if (known["model"], known["revision"]) != (begun["model"], begun["revision"]):
        raise UsageError(
            f"{part} was begun with {known['model']}, revision {known['revision']}, not {begun['revision']} of "
            f"{begun['model']}; give --model {known['model']}, or delete that file to begin again"
        )


def _append(corpus: Corpus, translator: Translator, out: IO[bytes], progress: Callable[[int, int], None]) -> int:
    """Translate what is not there yet; return the number of rows.

    The windows are always the same rows, so that a run that goes on batches them, and translates, as the first would.
    """
    done = _whole_lines(out)
    rows, pairs = 0, True
    for row in corpus.rows(corpus.source, "train"):
        rows += 1
        pairs = pairs and (row.dropped is not None or all(tag == OUTSIDE for tag in row.tags))
    progress(done, rows)
    texts = (" ".join(row.words) if row.dropped is None else "" for row in corpus.rows(corpus.source, "train"))
    start = 0
    while window := list(islice(texts, ROWS_A_WINDOW)):
        end = start + len(window)
        if end > done:
            lines = _translated(translator, window, pairs)[max(0, done - start) :]
            out.write("".join(f"{line}\n" for line in lines).encode())
            out.flush()
            os.fsync(out.fileno())
            progress(end, rows)
        start = end
    return rows


def _translated(translator: Translator, texts: list[str], pairs: bool) -> list[str]:
    """Translate the texts that are not empty; in a corpus without slots a pair of sentences one by one, and wholly or
    not at all.
    """
    middle = f" {BETWEEN} "
    sentences = [(text.split(middle) if pairs else [text]) if text else [] for text in texts]
    said = iter(translator.translate([sentence for text in sentences for sentence in text]))
    translated = [[next(said) for _ in text] for text in sentences]
    return [middle.join(text) if all(text) else "" for text in translated]


def _whole_lines(out: IO[bytes]) -> int:
    """Cut off a torn last line, and count the whole ones."""
    out.seek(0)
    content = out.read()
    whole = content.rfind(b"\n") + 1
    out.truncate(whole)
    out.seek(whole)
    return content.count(b"\n")


@contextmanager
def _only_writer(part: Path) -> Iterator[IO[bytes]]:
    """Open the file that is appended to, for one process at a time; the lock ends with the process."""
    with part.with_suffix(".lock").open("a+", encoding="utf-8") as lock:
        if not try_lock(lock):
            raise UsageError(f"process {holder_of(lock)} writes {part}; wait for it to end, or stop it")
        note_holder(lock)
        part.touch()
        with part.open("r+b") as out:
            yield out


def _write_card(card: Path, content: dict[str, Any]) -> None:
    part = card.with_suffix(".json.part")
    part.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    put_in_place(part, card)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def checked_corpus(
    name: str,
    data: Path | None,
    home: Path,
    languages: tuple[str, ...] = (),
    columns: Mapping[str, str] | None = None,
    progress: Callable[[int, int | None], None] | None = None,
    *,
    translations: Path | None = None,
) -> CorpusCheck:
    """Check all splits of a corpus in all its languages, or in those that are meant."""
    opened = corpus_named(name, data, home, languages, columns, split=None, translations=translations)
    return check_corpus(opened, progress=progress)


def counted_corpus(
    name: str, data: Path | None, home: Path, languages: tuple[str, ...] = (), columns: Mapping[str, str] | None = None
) -> CorpusStats:
    """Count all splits of a corpus in all its languages, or in those that are meant."""
    return corpus_stats(corpus_named(name, data, home, languages, columns, split=None))


def corpus_named(
    name: str,
    data: Path | None,
    home: Path,
    languages: tuple[str, ...] = (),
    columns: Mapping[str, str] | None = None,
    *,
    split: Split | None = "test",
    translations: Path | None = None,
) -> Corpus:
    """Open a corpus by the name of the catalogue, in all its languages, or of a search space, in that one's.

    `languages` are those that are meant, and have to have that split; its source comes first if it is one of them.
    Raises DataError or UsageError.
    """
    entry = CATALOGUE.get(name)
    if entry is None and (name in space_names() or name.endswith((".yaml", ".yml"))):
        space = make_plan(name, home=home).space
        columns = columns or space.columns
        corpus, found = space.corpus, (space.source, *space.targets)
    elif entry is not None and not entry.languages:
        corpus, found = name, ("en",) if languages else languages_found(name, data, home, columns)
    else:
        corpus, found = name, entry.languages if entry else ("en",)
    source, *targets = sorted(languages or found, key=found[0].__ne__)
    opened = open_corpus(
        corpus,
        source=source,
        targets=tuple(targets),
        data=data,
        home=home,
        to_train=False,
        translations=translations,
        columns=columns,
    )
    if split is not None:
        for lang in languages:
            opened.require(lang, split)
    return opened
