"""A home that was copied and is used beside the original: on one MLflow they would write into the same runs."""

import shutil
import socket
from pathlib import Path

import pytest

from xa_search.errors import UsageError
from xa_search.records import Plan, SearchSpace
from xa_search.search.history import read_search
from xa_search.search.study import open_study
from xa_search.tracking.address import tracking_uri
from xa_search.tracking.copied_home import check_no_copy, place_of
from xa_search.workflows.maintenance import sync_search

SERVER = "http://ann:secret@server:5000"


@pytest.fixture(autouse=True)
def default_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def begun(home: Path) -> Path:
    """Begin a search there, as a run does."""
    params = {"learning_rate": {"low": 1e-6, "high": 1e-2, "log": True}}
    space = SearchSpace.model_validate({"corpus": "toy", "targets": ["th"], "params": params, "trials": 2})
    plan = Plan(name="toy", space=space, home=home)
    study = open_study(plan)
    study.propose()
    study.note_place(place_of(plan.directory))
    return plan.directory


@pytest.fixture
def original(tmp_path: Path) -> Path:
    return begun(tmp_path / "old")


def copied(original: Path, tmp_path: Path) -> Path:
    shutil.copytree(tmp_path / "old", tmp_path / "new")
    return tmp_path / "new" / "searches" / original.name


def test_a_copy_that_shares_its_mlflow_is_refused_in_one_line(original: Path, tmp_path: Path) -> None:
    copy = copied(original, tmp_path)
    with pytest.raises(UsageError) as caught:
        check_no_copy(copy, SERVER)
    said = str(caught.value)
    assert "\n" not in said
    assert "secret" not in said
    assert f"--home {tmp_path / 'old'}" in said
    assert str(original) in said
    check_no_copy(original, SERVER)
    search = read_search(copy)
    assert search is not None
    with pytest.raises(UsageError, match="is a copy of"):
        sync_search(search, SERVER)


def test_a_copy_with_an_mlflow_of_its_own_is_nobodys_rival(original: Path, tmp_path: Path) -> None:
    check_no_copy(copied(original, tmp_path), tracking_uri(tmp_path / "new"))


def test_a_store_that_both_name_is_shared_whatever_it_is(original: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a copy of"):
        check_no_copy(copied(original, tmp_path), tracking_uri(tmp_path / "old"))


def test_a_home_that_was_moved_goes_on(original: Path, tmp_path: Path) -> None:
    (tmp_path / "old").rename(tmp_path / "new")
    moved = tmp_path / "new" / "searches" / original.name
    check_no_copy(moved, SERVER)
    begun(tmp_path / "new")
    shutil.copytree(tmp_path / "new", tmp_path / "old")
    with pytest.raises(UsageError, match="is a copy of"):
        check_no_copy(original, SERVER)


def test_another_search_in_the_old_place_is_no_original(original: Path, tmp_path: Path) -> None:
    copy = copied(original, tmp_path)
    shutil.rmtree(original)
    check_no_copy(copy, SERVER)
    begun(tmp_path / "old")
    check_no_copy(copy, SERVER)


def test_one_folder_that_is_seen_in_two_places_is_no_copy(original: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "old", target_is_directory=True)
    check_no_copy(tmp_path / "link" / "searches" / original.name, SERVER)


def test_what_was_run_on_another_machine_is_not_looked_for_here(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = copied(original, tmp_path)
    monkeypatch.setattr(socket, "gethostname", lambda: "another")
    check_no_copy(copy, SERVER)
