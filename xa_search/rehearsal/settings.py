"""How a search is made small. In: a search space and its corpus's counts. Out: the `--set` changes of its rehearsal.

Whatever sizes a space names, the tiny encoder takes their place. One learning rate learns something in so few steps;
nearly all others of the range do not, so that early stopping has a trial to stop.
"""

from typing import Any

import yaml

from xa_search.corpora import CorpusCheck
from xa_search.records import SearchSpace

TRIALS = 5
EPOCHS = 4
SETTINGS: dict[str, Any] = {
    "model_size": "tiny",
    "epochs": EPOCHS,
    "batch_size": 16,
    "learning_rate": 1e-2,
    "head_learning_rate_factor": 1.0,
    "held_out": 0.1,
    "dev_limit": 40,
    "test_limit": 40,
}
LEARNING_RATES = {"low": 1e-9, "high": SETTINGS["learning_rate"], "log": True}
SCHEDULER = {"asha": {"grace_epochs": 2, "reduction": 8}}
"""After epoch 2, a trial goes on only if it is about the best so far."""
PAIRED_ROWS = 300
"""So many of the training utterances of a rehearsal have a translation in each target."""


def rehearsal_changes(space: SearchSpace, check: CorpusCheck, cores: int) -> tuple[str, ...]:
    """Return the changes that make a rehearsal of a search: few short trials, two at once on this many cores."""
    settings = SETTINGS | {"train_limit": _rows(check)}
    searched = {name: {"choices": [value]} for name, value in settings.items() if name in space.params}
    searched["learning_rate"] = LEARNING_RATES
    whole = space.model_dump(mode="json", exclude_none=True)
    values = {name: value for name, value in settings.items() if name in searched}
    changed: dict[str, Any] = {
        "params": whole["params"] | searched,
        "fixed": {name: value for name, value in (whole["fixed"] | settings).items() if name not in searched},
        "baseline": whole["baseline"] | values,
        "published": whole["published"] | values,
        "scheduler": SCHEDULER,
        "trials": TRIALS,
        "keep": 1,
        "cpus_per_trial": max(1, cores // 2),
    }
    return tuple(f"{key}={_in_one_line(value)}" for key, value in changed.items())


def _rows(check: CorpusCheck) -> int:
    """Return how many training utterances it takes; more where many have no translation."""
    shares = [one.translations / max(1, one.translations + one.missing) for one in check.translations]
    return round(PAIRED_ROWS / max(0.01, min(shares, default=1.0)))


def _in_one_line(value: Any) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, width=float("inf"))
    return text.removesuffix("\n").removesuffix("\n...")
