"""A home that was moved, copied or renamed, and homes with names that mean something in an address."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from xa_search.errors import UsageError
from xa_search.tracking import address
from xa_search.tracking.address import SQLITE, database_of, refuse_shared_sqlite, sqlite_uri, tracking_uri
from xa_search.tracking.events import FileLogged, SearchStarted
from xa_search.tracking.moved_home import follow_move
from xa_search.tracking.spool import Progress, Spool, waiting_events
from xa_search.tracking.store import check_access, connect, find_runs, open_experiment
from xa_search.tracking.tracker import Tracker

NAME = "toy-12345678"
ODD = ("a b", "a%20b", "what?", "50% of it #1", "Größe ไทย", "plain")


@pytest.fixture(autouse=True)
def default_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def tell(home: Path, name: str = "report.md", content: str = "text") -> Tracker:
    path = home / "searches" / NAME / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    tracker = Tracker(Spool(path.parent / "spool.jsonl"), tracking_uri(home), NAME, "study")
    tracker.record(SearchStarted(search_id=NAME))
    tracker.record(FileLogged(path=str(path)))
    assert tracker.sync().problem == ""
    return tracker


def in_another_process() -> None:
    """Let MLflow forget what it keeps by run in one process; a home that moved is opened by another one."""
    from mlflow.tracking._tracking_service import utils

    utils._artifact_repos_cache.clear()


def artifacts_of(home: Path) -> list[str]:
    in_another_process()
    client = connect(tracking_uri(home))
    run = find_runs(client, open_experiment(client), NAME, "study")[None]
    return sorted(file.path for file in client.list_artifacts(run.run_id))


@pytest.mark.parametrize("name", ODD)
def test_a_home_may_have_any_name(name: str, tmp_path: Path, with_tables: Callable[[Path], Path]) -> None:
    home = with_tables(tmp_path / name)
    tell(home)
    assert artifacts_of(home) == ["report.md"]
    assert [path.name for path in tmp_path.iterdir()] == [name], "something was written elsewhere"
    assert [path.name for path in home.glob("mlflow*")] == ["mlflow.db"]
    assert list((home / "artifacts").rglob("report.md"))


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_an_address_says_its_file(name: str) -> None:
    path = Path("/nowhere", name, "mlflow.db").resolve()
    assert make_url(sqlite_uri(path)).database == str(path)
    assert database_of(sqlite_uri(path)) == path


def test_a_moved_home_reads_and_writes_where_it_lies(tmp_path: Path, with_tables: Callable[[Path], Path]) -> None:
    old, new = with_tables(tmp_path / "old"), tmp_path / "new what?"
    tell(old)
    old.rename(new)
    in_another_process()
    assert waiting_events(new / "searches" / NAME, tracking_uri(new)) == 0
    tell(new, "more.md")
    assert artifacts_of(new) == ["more.md", "report.md"]
    assert not old.exists()
    assert sorted(path.name for path in (new / "artifacts").rglob("*.md")) == ["more.md", "report.md"]


def test_a_copy_writes_its_own(tmp_path: Path, with_tables: Callable[[Path], Path]) -> None:
    old, copy = with_tables(tmp_path / "old"), tmp_path / "copy"
    tell(old)
    shutil.copytree(old, copy)
    in_another_process()
    before = sorted(path for path in old.rglob("*") if path.is_file())
    tell(copy, "more.md")
    assert sorted(path for path in old.rglob("*") if path.is_file()) == before
    assert (artifacts_of(old), artifacts_of(copy)) == (["report.md"], ["more.md", "report.md"])


def test_what_waits_in_a_moved_home_is_found(tmp_path: Path, with_tables: Callable[[Path], Path]) -> None:
    old, new = with_tables(tmp_path / "old"), tmp_path / "new"
    folder = old / "searches" / NAME
    folder.mkdir(parents=True)
    for name in ("mine.md", "earlier.md"):
        (folder / name).write_text(name)
    tracker = Tracker(Spool(folder / "spool.jsonl"), tracking_uri(old), NAME, "study")
    tracker.note(SearchStarted(search_id=NAME))
    tracker.note(FileLogged(path=str(folder / "mine.md")))
    Spool(folder / "spool.jsonl").append(FileLogged(path=str(folder / "earlier.md")))  # as versions before this one
    old.rename(new)
    in_another_process()
    moved = Tracker(Spool(new / "searches" / NAME / "spool.jsonl"), tracking_uri(new), NAME, "study")
    assert moved.sync().problem == ""
    assert artifacts_of(new) == ["earlier.md", "mine.md"]


def test_artifacts_that_a_person_put_elsewhere_stay_there(tmp_path: Path, with_tables: Callable[[Path], Path]) -> None:
    home = with_tables(tmp_path / "home")
    (home / "artifacts").mkdir()
    elsewhere = (tmp_path / "large disk" / "of mine").as_uri()
    connect(tracking_uri(home)).create_experiment("xa-search", artifact_location=elsewhere)
    assert not follow_move(home / "mlflow.db")
    client = connect(tracking_uri(home))
    assert client.get_experiment_by_name("xa-search").artifact_location == elsewhere


def test_a_folder_that_is_seen_in_two_places_has_not_moved(tmp_path: Path, with_tables: Callable[[Path], Path]) -> None:
    home = with_tables(tmp_path / "home")
    tell(home)
    (tmp_path / "link").symlink_to(home, target_is_directory=True)
    assert not follow_move(tmp_path / "link" / "mlflow.db")
    assert artifacts_of(tmp_path / "link") == ["report.md"]


def test_what_an_earlier_version_had_applied_is_known(tmp_path: Path) -> None:
    spool = tmp_path / "searches" / NAME / "spool.jsonl"
    spool.parent.mkdir(parents=True)
    store = tracking_uri(tmp_path)
    progress = Progress.beside(spool, store)
    progress._key, key = progress._first_key, progress._key
    progress.write(7)
    assert Progress.beside(spool, store).read() == 7
    Progress.beside(spool, store).write(9)
    assert Progress.beside(spool, store).read() == 9
    assert key != progress._first_key


def test_sqlite_behind_a_network_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "file_system", lambda _: "nfs4")
    for uri in (tracking_uri(tmp_path), f"{SQLITE}{tmp_path}/mine.db"):
        with pytest.raises(UsageError, match=r"network file system \(nfs4\).*start an MLflow server") as caught:
            check_access(uri)
        assert "\n" not in str(caught.value)
    refuse_shared_sqlite("postgresql://user:secret@db/mlflow")
    refuse_shared_sqlite("http://server")


def test_an_address_of_sqlite_without_a_file_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", SQLITE)
    with pytest.raises(UsageError, match="names no file"):
        tracking_uri(tmp_path)
    assert os.environ["MLFLOW_TRACKING_URI"] == SQLITE
