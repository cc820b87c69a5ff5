"""How a search is made small. In: the user's home, a search space and its corpus's counts. Out: a home of the
rehearsal's own, and the `--set` changes of its search.

Whatever sizes a space names, the tiny encoder takes their place. One learning rate learns something in so few steps;
nearly all others of the range do not, so that early stopping has a trial to stop.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from xa_search.corpora import CorpusCheck
from xa_search.records import SearchSpace

LOG = "rehearsal.log"
"""What the rehearsed commands say."""
BUNDLED = "mtop-mini"
TRIALS = 5
EPOCHS = 4
SETTINGS: dict[str, Any] = {
    "model_size": "tiny",
    "epochs": EPOCHS,
    "batch_size": 16,
    "learning_rate": 1e-2,
    "head_learning_rate_factor": 1.0,
    "frozen_share": 0.0,
    "validation_fraction": 0.1,
    "dev_limit": 40,
    "test_limit": 40,
}
LEARNING_RATES = {"low": 1e-9, "high": SETTINGS["learning_rate"], "log": True}
SCHEDULER = {"asha": {"grace_epochs": 2, "reduction": 8}}
"""After epoch 2, a trial goes on only if it is about the best so far."""
LEAST_HELD_OUT = 2
"""A rehearsal tells nothing of quality."""
PAIRED_ROWS = 300
"""So many of the training utterances of a rehearsal have a translation in each target."""


@contextmanager
def own_home(user_home: Path, note: Callable[[str], None], *, keep: bool) -> Iterator[Path]:
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
            note(f"kept: {home}")
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


def rehearsal_changes(space: SearchSpace, check: CorpusCheck, cores: int) -> tuple[str, ...]:
    """Return the changes that make a rehearsal of a search: few short trials, two at once on this many cores."""
    settings = SETTINGS | {"train_limit": _rows(check)}
    searched = {name: {"choices": [value]} for name, value in settings.items() if name in space.params}
    searched["learning_rate"] = LEARNING_RATES
    whole = space.model_dump(mode="json", exclude_none=True)
    for name, parameter in space.params.items():
        if not searched.keys().isdisjoint(parameter.conditions):  # it would hold in no trial of the tiny encoder
            whole["params"][name] = parameter.model_copy(update={"when": {}, "cases": ()}).model_dump(exclude_none=True)
    values = {name: value for name, value in settings.items() if name in searched}
    changed: dict[str, Any] = {
        "params": whole["params"] | searched,
        "fixed": {name: value for name, value in (whole["fixed"] | settings).items() if name not in searched},
        "baseline": whole["baseline"] | values,
        "published": whole["published"] | values,
        "scheduler": SCHEDULER,
        "trials": TRIALS,
        "keep": 1,
        "least_held_out": LEAST_HELD_OUT,
        "cpus_per_trial": max(1, cores // 2),
    }
    return tuple(f"{key}={_in_one_line(value)}" for key, value in changed.items())


def _rows(check: CorpusCheck) -> int:
    """Return how many training utterances it takes; more where many have no translation."""
    shares = [
        one.translations / max(1, one.translations + one.missing) for one in check.translations if one.translations
    ]
    return round(PAIRED_ROWS / max(0.01, min(shares, default=1.0)))


def _in_one_line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)  # JSON is YAML
