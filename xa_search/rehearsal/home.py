"""A home of the rehearsal's own. In: the user's home. Out: a folder and an environment that leave that untouched."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LOG = "rehearsal.log"
"""What the rehearsed commands say."""
BUNDLED = "mtop-mini"


@contextmanager
def own_home(user_home: Path, tell: Callable[[str], None], *, keep: bool) -> Iterator[Path]:
    """Give a new folder that is removed, unless it is to be kept or a step of the search in it went wrong."""
    home = Path(tempfile.mkdtemp(prefix="xa-search-rehearsal-"))
    try:
        _lend_corpora(user_home, home)
        yield home
    except Exception:
        keep = keep or (home / LOG).exists()
        raise
    finally:
        if keep:
            tell(f"kept: {home}")
        else:
            shutil.rmtree(home, ignore_errors=True)


def _lend_corpora(user_home: Path, home: Path) -> None:
    """Link what the user has downloaded and translated, so that it is read there and nothing is written."""
    (home / "corpora").mkdir()
    for path in (user_home / "corpora").glob("*"):
        if path.name != BUNDLED:
            (home / "corpora" / path.name).symlink_to(path)


def environment() -> dict[str, str]:
    """Return an environment in which nothing leads to the user's MLflow, to the hub, or to a GPU."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "RAY_ADDRESS"))}
    return kept | {"PYTHONUNBUFFERED": "1", "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1", "COLUMNS": "200"}
