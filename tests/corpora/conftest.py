"""Folders, zips and tars of hand-written raw files."""

import io
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write files (text or bytes by name) into a new folder below tmp_path."""

    def _write(files: Mapping[str, str | bytes], folder: str = "raw") -> Path:
        for name, content in files.items():
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path / folder

    return _write


@pytest.fixture
def write_zip(tmp_path: Path) -> Write:
    """Write files into a new zip below tmp_path."""

    def _write(files: Mapping[str, str | bytes], name: str = "raw.zip") -> Path:
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for member, content in files.items():
                archive.writestr(member, content)
        return tmp_path / name

    return _write


@pytest.fixture
def write_tar(tmp_path: Path) -> Write:
    """Write files into a new tar below tmp_path, packed as its name says."""

    def _write(files: Mapping[str, str | bytes], name: str = "raw.tar.gz") -> Path:
        packing = {"gz": "w:gz", "tgz": "w:gz", "xz": "w:xz", "bz2": "w:bz2", "tar": "w"}[name.split(".")[-1]]
        with tarfile.open(tmp_path / name, packing) as archive:  # type: ignore[call-overload]
            for member, content in files.items():
                raw = content if isinstance(content, bytes) else content.encode()
                header = tarfile.TarInfo(member)
                header.size = len(raw)
                archive.addfile(header, io.BytesIO(raw))
        return tmp_path / name

    return _write
