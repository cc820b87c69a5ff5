"""A file that takes the place of another is on the disk before it does."""

import os
from pathlib import Path

import pytest

from xa_search.records.whole_files import put_in_place


def test_the_bytes_are_flushed_before_the_name_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part, path = tmp_path / "part", tmp_path / "whole"
    part.mkdir()
    for name in ("a", "b"):
        (part / name).write_text(name)
    flushed = []

    def flush(descriptor: int) -> None:
        flushed.append((os.fstat(descriptor).st_ino, path.exists()))

    files = [(part / name).stat().st_ino for name in ("a", "b")]
    monkeypatch.setattr(os, "fsync", flush)
    put_in_place(part, path)
    assert sorted(flushed[:2]) == sorted((file, False) for file in files)
    assert flushed[2:] == [(tmp_path.stat().st_ino, True)]
    assert (path / "a").read_text() == "a"


def test_no_module_replaces_a_file_in_another_way() -> None:
    package = Path(__file__).parents[1] / "xa_search"
    others = [path for path in package.rglob("*.py") if "os.replace(" in path.read_text(encoding="utf-8")]
    assert others == []
