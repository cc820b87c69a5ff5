"""A node's copies of shared files: made once, whole, and never in the way of the file itself."""

import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import psutil
import pytest

from xa_search.encoding.files import FOLDER, UNUSED_SECONDS, file_system, node_copy, write_table
from xa_search.encoding.table import EncodedTable

MOUNTS = {
    "/": "rootfs",
    "/dev/shm": "tmpfs",
    "/mnt/xa-search": "nfs4",
    "/mnt/my bucket": "fuse.s3fs",
}
Mount = namedtuple("Mount", "mountpoint fstype")
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER, str(tmp_path / "node"))
    return tmp_path / "node"


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    path = tmp_path / "shared" / "train.en.arrow"
    path.parent.mkdir()
    path.write_bytes(b"rows" * 1000)
    return path


def copies(node: Path) -> list[str]:
    return sorted(path.name for path in node.iterdir() if path.name != "lock")


def test_the_file_systems_of_mounts(monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = [Mount(*mount) for mount in (*MOUNTS.items(), ("/", "ext4"))]  # what is mounted last covers the rest
    monkeypatch.setattr("psutil.disk_partitions", lambda all: mounts)
    folders = ("/home/me", "/dev/shm", "/mnt/xa-search/home/encoded", "/mnt/my bucket/home", "/mnt/xa-search-2")
    assert [file_system(Path(folder)) for folder in folders] == ["ext4", "tmpfs", "nfs4", "fuse.s3fs", "ext4"]
    monkeypatch.setattr("psutil.disk_partitions", lambda all: [])
    assert file_system(Path("/home/me")) == ""


def test_the_file_system_of_a_folder_of_this_machine(tmp_path: Path) -> None:
    assert file_system(tmp_path.resolve())


def test_a_file_on_a_disk_of_this_machine_is_read_where_it_is(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER, raising=False)
    assert node_copy(shared) == shared
    monkeypatch.setenv(FOLDER, "")
    assert node_copy(shared) == shared


def test_a_file_behind_a_network_is_copied_to_the_folder_for_temporary_files(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(FOLDER, raising=False)
    monkeypatch.setattr("xa_search.encoding.files._behind_network", lambda folder: True)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    assert node_copy(shared).parent == tmp_path / "scratch" / f"xa-search-{os.getuid()}" / "files"
    assert node_copy(shared).read_bytes() == shared.read_bytes()


def test_a_state_of_a_file_has_one_copy(node: Path, shared: Path) -> None:
    first = node_copy(shared)
    assert first.parent == node
    assert first.read_bytes() == shared.read_bytes()
    before = first.stat().st_ino
    assert node_copy(shared) == first
    assert first.stat().st_ino == before
    replacement = shared.with_suffix(".new")
    replacement.write_bytes(b"other rows")
    os.replace(replacement, shared)
    assert node_copy(shared).read_bytes() == b"other rows"
    assert len(copies(node)) == 2


def test_processes_that_start_together_make_one_copy(node: Path, shared: Path) -> None:
    shared.write_bytes(os.urandom(20_000_000))
    program = (
        "import hashlib, sys; from pathlib import Path; from xa_search.encoding.files import node_copy\n"
        "print('ready', flush=True); sys.stdin.read()\n"
        "copy = node_copy(Path(sys.argv[1])); print(copy.name, hashlib.sha256(copy.read_bytes()).hexdigest())"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(shared)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(6)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.close()
    said = {process.stdout.read() for process in started if process.stdout is not None}
    assert [process.wait() for process in started] == [0] * 6
    assert len(said) == 1
    assert copies(node) == [node_copy(shared).name]


def test_what_a_killed_copy_left_and_what_nobody_used_goes(node: Path, shared: Path) -> None:
    (node / "tmpabc").mkdir(parents=True)
    (node / "tmpabc" / "part").write_bytes(b"half")
    old, other = node_copy(shared), shared.with_name("dev.en.arrow")
    shutil.copyfile(shared, other)
    os.truncate(old, 10)  # a copy of another length is none
    assert node_copy(shared).read_bytes() == shared.read_bytes()
    long_ago = old.stat().st_mtime - UNUSED_SECONDS - 60
    os.utime(old, (long_ago, long_ago))
    assert copies(node) == [old.name]
    assert node_copy(other) != other
    assert copies(node) == [node_copy(other).name]


def test_without_room_or_folder_the_file_itself_is_read(
    node: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda folder: Usage(100_000, 89_000, 11_000))
    shared.write_bytes(b"x" * 1001)
    assert node_copy(shared) == shared
    shared.write_bytes(b"x" * 1000)
    assert node_copy(shared).parent == node
    monkeypatch.setenv(FOLDER, str(shared))  # no folder at all
    assert node_copy(shared) == shared
    assert node_copy(shared.with_name("gone")) == shared.with_name("gone")


def test_a_table_is_mapped_from_the_copy(node: Path, tmp_path: Path) -> None:
    path = tmp_path / "train.en.arrow"
    columns = {"id": ["a"], "words": [["light"]], "input_ids": [[1]], "positions": [[0]], "intent": ["on"]}
    write_table(path, [columns | {"slots": [["O"]], "text": [1], "template": [1], "source_row": [0]}])
    table = EncodedTable(path)
    mapped = {region.path for region in psutil.Process().memory_maps()}
    assert len(table) == 1
    assert str(node_copy(path)) in mapped
    assert str(path) not in mapped
