"""Shared by the tests of the command line: a command that is run in this process, in a search home of its own."""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from xa_search.cli import main as cli
from xa_search.encoding.private_folders import PLACE

sys.path.append(str(Path(__file__).parents[1] / "search"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path
) -> Callable[..., tuple[int, str, str]]:
    """Run a command; return its exit code and what it printed to standard output and standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["xa-search", *arguments])
        monkeypatch.setenv("XA_SEARCH_HOME", str(home))
        if arguments[:1] == ("gc",):  # what killed processes of others left on this machine is not looked at
            monkeypatch.setattr(tempfile, "tempdir", str(home.parent))
            monkeypatch.delenv(PLACE, raising=False)
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return run
