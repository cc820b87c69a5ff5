import zipfile
from pathlib import Path

import pytest

from xa_search.corpora.raw_files import LONGEST_LINE, RawFiles
from xa_search.errors import DataError

FILES = {"mtop/en/train.txt": "\ufeffone\r\ntwo\u2028\x85still two\n\nthree", "mtop/notes.jsonl": "{}"}


def test_folder_and_archives_give_the_same_lines(write, write_zip, write_tar):
    for root in (write(FILES), write_zip(FILES), write_tar(FILES)):
        files = RawFiles.open(root)
        assert files.find(("nowhere.txt", "en/train.txt")) == "en/train.txt"
        assert [(line.number, line.text) for line in files.lines("en/train.txt")] == [
            (1, "one"),
            (2, "two\u2028\x85still two"),
            (3, ""),
            (4, "three"),
        ]
        assert files.where("en/train.txt", 2) == f"{root}/mtop/en/train.txt:2"
        assert files.names(".jsonl") == ["mtop/notes.jsonl"]


def test_bytes_that_are_no_text_stay_visible(write):
    files = RawFiles.open(write({"en/train.txt": b"caf\xe9\n"}))
    assert next(files.lines("en/train.txt")).text == "caf\udce9"


@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "tar.gz", "tgz", "tar.xz", "tar.bz2"])
def test_files_lie_at_any_depth_of_any_kind_of_archive(write, write_zip, write_tar, kind):
    files = {"MultiATIS++.v0.1/data/train_dev_test/train_EN.tsv": "one\n", "__MACOSX/a/train_EN.tsv": "", "docs/a": ""}
    if kind == "folder":
        root = write({name: text for name, text in files.items() if "MACOSX" not in name})
    else:
        root = write_zip(files) if kind == "zip" else write_tar(files, f"raw.{kind}")
    opened = RawFiles.open(root)
    assert opened.find(("nowhere.txt", "train_EN.tsv")) == "train_EN.tsv"
    assert [line.text for line in opened.lines("train_EN.tsv")] == ["one"]


def test_two_files_at_different_depths_are_an_error_that_names_both(write, write_zip):
    twice = {"a/en/train.txt": "x", "b/c/en/train.txt": "y"}
    for root in (write(twice), write_zip(twice)):
        with pytest.raises(DataError, match=r"holds both a/en/train.txt and b/c/en/train.txt"):
            RawFiles.open(root).find(("en/train.txt",))


def test_two_top_level_folders_are_an_error(write, write_zip, write_tar):
    twice = {"a/en/train.txt": "x", "b/en/train.txt": "y"}
    for root in (write(twice), write_zip(twice), write_tar(twice)):
        with pytest.raises(DataError, match=r"holds both a/en/train.txt and b/en/train.txt"):
            RawFiles.open(root).find(("en/train.txt",))


def test_an_endless_line_is_refused(write):
    files = RawFiles.open(write({"en/train.txt": "ok\n" + "x" * (LONGEST_LINE + 2)}))
    with pytest.raises(DataError, match=r"en/train.txt:2: a line of over"):
        list(files.lines("en/train.txt"))


def test_missing_path(tmp_path):
    with pytest.raises(DataError, match=r"no such folder or zip: .*nope"):
        RawFiles.open(tmp_path / "nope")


def test_not_a_zip(write):
    with pytest.raises(DataError, match=r"neither a folder nor a readable zip"):
        RawFiles.open(write({"corpus.zip": "this is no zip"}) / "corpus.zip")


def test_truncated_zip(write_zip):
    path = write_zip({"en/train.txt": "line\n" * 1000})
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"neither a folder nor a readable zip"):
        RawFiles.open(path)


def test_a_broken_tar(write, write_tar):
    with pytest.raises(DataError, match=r"neither a folder nor a readable tar.gz"):
        RawFiles.open(write({"corpus.tar.gz": "this is no tar"}) / "corpus.tar.gz")
    path = write_tar({"en/train.txt": "".join(f"line {i}\n" for i in range(5000))})
    files = RawFiles.open(path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"broken tar.gz, at en/train.txt"):
        list(files.lines("en/train.txt"))
    with pytest.raises(DataError, match=r"neither a folder nor a readable tar.gz"):
        RawFiles.open(path)


def test_corrupt_member_is_found_while_reading(tmp_path: Path):
    path = tmp_path / "raw.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("en/train.txt", "".join(f"line {i}\n" for i in range(5000)))
    raw = bytearray(path.read_bytes())
    raw[2000:2100] = bytes(100)
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"broken zip, at en/train.txt"):
        list(RawFiles.open(path).lines("en/train.txt"))


def test_nothing_outside_the_corpus_is_read(write_zip, tmp_path):
    path = write_zip({"../../evil.txt": "x", "en/train.txt": "fine\n"})
    files = RawFiles.open(path)
    assert [line.text for line in files.lines("en/train.txt")] == ["fine"]
    assert sorted(found.name for found in tmp_path.iterdir()) == ["raw.zip"]
