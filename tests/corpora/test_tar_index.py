"""A file of a tar.gz is read from near its place, and as it is."""

import gzip
import io
import random
import tarfile
from pathlib import Path

import pytest

from xa_search.corpora import check_corpus, open_corpus, tar_index
from xa_search.corpora.raw_files import RawFiles

SIZES = (0, 1, 511, 512, 70_000, 300_000, 5, 1_000_000)


@pytest.fixture
def contents(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    monkeypatch.setattr(tar_index, "APART", 100_000)
    monkeypatch.setattr(tar_index, "CHUNK", 1 << 12)
    chance = random.Random(1)
    return {f"a/{'long' * 40}/{number}.txt": chance.randbytes(size // 2) * 2 for number, size in enumerate(SIZES)}


def tar_of(contents: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in contents.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return out.getvalue()


def test_every_file_is_read_as_it_is(tmp_path: Path, contents: dict[str, bytes]) -> None:
    raw = tar_of(contents)
    halves = gzip.compress(raw[:400_000]) + gzip.compress(raw[400_000:]) + bytes(512)
    for name, packed in (("one.tar.gz", gzip.compress(raw)), ("two.tgz", halves)):
        (tmp_path / name).write_bytes(packed)
        files = RawFiles.open(tmp_path / name)
        assert files.members == tuple(contents)
        for member in sorted(contents, key=lambda member: contents[member][:9]):
            assert b"".join(files.chunks(member)) == contents[member]
        index = tar_index.tar_index(tmp_path / name)
        assert len(index.states) > 5
        assert index is tar_index.tar_index(tmp_path / name)


def test_the_last_file_is_read_from_near_its_place(
    tmp_path: Path, contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "one.tar.gz"
    path.write_bytes(gzip.compress(tar_of(contents | {"last.txt": b"end"})))
    files = RawFiles.open(path)
    skipped = []
    skip = tar_index._Decompressed.skip
    monkeypatch.setattr(tar_index._Decompressed, "skip", lambda self, count: (skipped.append(count), skip(self, count)))
    assert b"".join(files.chunks("last.txt")) == b"end"
    assert max(skipped) < 120_000


def test_an_archive_that_changed_is_looked_at_anew(tmp_path: Path, contents: dict[str, bytes]) -> None:
    path = tmp_path / "one.tar.gz"
    for content in (b"first", b"second"):
        path.write_bytes(gzip.compress(tar_of({"x.txt": content})))
        assert b"".join(RawFiles.open(path).chunks("x.txt")) == content


def test_what_is_read_is_told(write) -> None:
    files = {
        f"{split}.{lang}.jsonl": '{"text": "a", "intent": "x"}' for split in ("train", "test") for lang in ("en", "de")
    }
    root = write(files)
    corpus = open_corpus("own", source="en", targets=("de",), data=root, home=root, to_train=False)
    told: list[tuple[int, int | None]] = []
    check_corpus(corpus, progress=lambda *call: told.append(call))
    assert told == [(number, 6) for number in range(6)]
