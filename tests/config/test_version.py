"""`--version` says which commit this is, or that nobody knows."""

import subprocess
from pathlib import Path

import pytest

from xa_search.config.version import UNKNOWN, commit

IDENTITY = ("-c", "user.name=a", "-c", "user.email=a@b")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository of its own with one commit."""
    package = tmp_path.resolve() / "root" / "xa_search"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    for words in (("init", "-q"), ("add", "."), (*IDENTITY, "commit", "-q", "-m", "one")):
        subprocess.run(["git", "-C", str(package.parent), *words], check=True)
    return package


def test_a_checkout_has_its_commit_and_says_when_it_was_changed(checkout: Path) -> None:
    head = ["git", "-C", str(checkout), "rev-parse", "--short=12", "HEAD"]
    expected = subprocess.run(head, check=True, capture_output=True, text=True).stdout.strip()
    assert commit(checkout) == expected
    (checkout / "__init__.py").write_text("x = 1\n")
    assert commit(checkout) == f"{expected}, changed since"


def test_a_package_inside_of_somebodys_repository_has_no_commit_of_it(checkout: Path, tmp_path: Path) -> None:
    installed = checkout / "site-packages" / "xa_search"
    installed.mkdir(parents=True)
    assert commit(installed) == UNKNOWN
    assert commit(tmp_path / "elsewhere" / "xa_search") == UNKNOWN
