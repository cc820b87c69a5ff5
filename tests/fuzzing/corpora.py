"""What has to hold for any files of a corpus. In: files. Out: an outcome, or an AssertionError.

Nothing is lost without a count: the rows that a file has are those kept and those counted as dropped; a row that is
kept otherwise than it was read has a repair that is counted.
"""

import contextlib
import io
import random
import shutil
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

from fuzzing.cases import refused
from fuzzing.mutations import mutated
from fuzzing.samples import SAMPLES, Sample
from xa_search.corpora import SplitCheck, check_corpus, open_corpus
from xa_search.corpora.checks import check_as_markdown, told_pairs
from xa_search.corpora.corpus import Corpus
from xa_search.corpora.lost_rows import losses_above, told_losses
from xa_search.corpora.opening import languages_found
from xa_search.corpora.rows import DROPS, REPAIRS
from xa_search.corpora.text import clean_label, clean_words
from xa_search.errors import XaSearchError
from xa_search.records import OUTSIDE, Split, Utterance

ENDINGS = {".zip": "", ".tar.gz": "w:gz", ".tgz": "w:gz", ".tar.xz": "w:xz", ".tar.bz2": "w:bz2", ".tar": "w"}


def check_reader(name: str, rng: random.Random, folder: Path) -> str:
    """Read a sample with faults in it; return what became of it."""
    sample = SAMPLES[name]
    files = sample.mutated(rng)
    return check_files(sample, written(files, folder / "raw"), folder / "home", files)


def written(files: dict[str, bytes], root: Path) -> Path:
    """Write files into a folder, in place of what is in it."""
    shutil.rmtree(root, ignore_errors=True)
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def check_archive(rng: random.Random, folder: Path) -> str:
    """Read a sample out of an archive with faults in it; return what became of it."""
    sample = SAMPLES[rng.choice(sorted(SAMPLES))]
    ending = rng.choice(sorted(ENDINGS))
    files = {"MACOSX/x": b"", **{f"deep/er/{name}": content for name, content in sample.files.items()}}
    content = packed(files, ending)
    root = folder / f"raw{ending if rng.random() < 0.9 else rng.choice(sorted(ENDINGS))}"
    root.write_bytes(mutated(rng, content) if rng.random() < 0.9 else content)
    try:
        return check_files(sample, root, folder / "home", {})
    finally:
        root.unlink()


def packed(files: dict[str, bytes], ending: str) -> bytes:
    """Return an archive of the files."""
    out = io.BytesIO()
    if ending == ".zip":
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return out.getvalue()
    with tarfile.open(fileobj=out, mode=ENDINGS[ending]) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
    return out.getvalue()


def check_files(sample: Sample, root: Path, home: Path, files: dict[str, bytes]) -> str:
    """Open and check a corpus, and hold what is told of it against what is read."""
    try:
        with contextlib.suppress(XaSearchError):
            languages_found(sample.corpus, root, home, sample.columns or None)
        corpus = open_corpus(
            sample.corpus, source="en", targets=(sample.target,), data=root, home=home, columns=sample.columns or None
        )
        check = check_corpus(corpus)
        read = {(one.lang, one.split): list(corpus.utterances(one.lang, one.split)) for one in check.splits}
    except XaSearchError as error:
        return refused(error)
    for split in check.splits:
        check_split(corpus, split, read[split.lang, split.split])
    for name, content in files.items():
        check_count(sample, corpus, check.splits, name, content)
    for one in check.translations:
        pairs = list(corpus.translations(one.lang)) if one.where else []
        assert len(pairs) == one.translations
        assert one.translations + one.missing == len(read["en", "train"])
        assert {pair.source_id for pair in pairs} <= {row.id for row in read["en", "train"]}
        assert all(clean_words(" ".join(pair.words)) == pair.words != () for pair in pairs)
    check_as_markdown(check), told_losses(check), told_pairs(check), losses_above(check, 0.02)
    lost = any(split.dropped for split in check.splits)
    return "dropped" if lost else "repaired" if any(split.repaired for split in check.splits) else "whole"


def check_split(corpus: Corpus, split: SplitCheck, kept: list[Utterance]) -> None:
    """Hold the counts of a split against its rows, and look at each row that is kept."""
    assert split.rows == len(kept) + split.dropped
    assert split.reasons.keys() <= {*REPAIRS, *DROPS}
    assert sum(count for reason, count in split.reasons.items() if reason in DROPS) == split.dropped
    assert sum(count for reason, count in split.reasons.items() if reason in REPAIRS) >= split.repaired
    assert {fault.reason for fault in split.first_faults} == split.reasons.keys()
    assert all(row.id for row in kept)
    assert max(Counter(row.id for row in kept).values(), default=1) == 1
    for row in kept:
        assert len(row.words) == len(row.slots) > 0
        assert all(clean_words(word) == (word,) for word in row.words)
        assert row.intent == clean_label(row.intent) != ""
        before = OUTSIDE
        for tag in row.slots:
            assert tag == OUTSIDE or tag[:2] == "B-" or (tag[:2] == "I-" and tag[2:] == before[2:])
            assert tag[2:] or tag == OUTSIDE
            before = tag
        "".join((*row.words, *row.slots, row.intent, row.id)).encode()
    check_changes(corpus, split.lang, split.split)


def check_changes(corpus: Corpus, lang: str, split: Split) -> None:
    """Hold each row against what was read: one that differs has a repair that says so."""
    name = corpus.file_of(lang, split)
    assert name is not None
    read = corpus.layout.read(name, corpus.files.lines(name), lang, split)
    for raw, row in zip(read, corpus.rows(lang, split), strict=True):
        if row.dropped is None:
            same = (raw.words, *map(str.strip, raw.tags), raw.intent.strip()) == (row.words, *row.tags, row.intent)
            assert same or row.repairs or row.converted, (raw, row)
            assert set(raw.repairs) <= set(row.repairs)
        else:
            assert raw.dropped in (None, row.dropped) or row.dropped == "not_utf8"


def check_count(sample: Sample, corpus: Corpus, splits: tuple[SplitCheck, ...], name: str, content: bytes) -> None:
    """Hold the rows of a file against what can be counted in it without the program."""
    found = [one.rows for one in splits if corpus.file_of(one.lang, one.split) == name]
    expected = sample.count(content)
    if found and expected is not None:
        assert sum(found) == expected, (name, found, expected)
