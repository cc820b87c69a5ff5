"""What has to hold for any label map and any search space. In: a random generator. Out: nothing, or what went wrong."""

import json
import random
from pathlib import Path
from typing import Any

from fuzzing.cases import refused
from fuzzing.mutations import any_value, changed, mutated
from xa_search.config.plan import space_names
from xa_search.config.shipped import LABEL_MAPS, SPACES
from xa_search.config.yaml_files import load_yaml
from xa_search.errors import UsageError
from xa_search.training.evaluation import Prediction
from xa_search.training.transfer import read_label_map
from xa_search.workflows.plan import make_plan

KEYS = ("corpus", "params", "fixed", "targets", "scheduler", "resources", "recipe", "extends", "columns", "baseline")


def check_label_map(rng: random.Random, folder: Path) -> str:
    """Read a label map with faults in it, and translate with it."""
    path = folder / "map.yaml"
    path.write_bytes(_yaml(rng, next(LABEL_MAPS.glob("*.yaml"))))
    try:
        labels = read_label_map(str(path))
    except UsageError as error:
        return refused(error)
    tags = ("B-datetime", "I-datetime", "O", "B-weather/noun", "B-nowhere")
    answer = labels.translate(
        Prediction(intent="alarm/set_alarm", intent_probability=1.0, slots=tags, slot_probabilities=(0.9,) * len(tags))
    )
    assert len(answer.slots) == len(tags)
    return "read"


def check_space(rng: random.Random, folder: Path) -> str:
    """Make a plan of a search space with faults in it, or with changes such as `--set` takes."""
    path = folder / "space.yaml"
    shipped = SPACES / f"{rng.choice(space_names())}.yaml"
    path.write_bytes(_yaml(rng, shipped) if rng.random() < 0.8 else shipped.read_bytes())
    changes = tuple(_change(rng) for _ in range(rng.choice((0, 0, 1, 2))))
    try:
        plan = make_plan(str(path), changes, home=folder)
    except UsageError as error:
        return refused(error)
    assert plan.space.targets is not None
    return "read"


def _yaml(rng: random.Random, shipped: Path) -> bytes:
    """Return a shipped file with a value changed, or some bytes. What is JSON is YAML."""
    content = shipped.read_bytes()
    if rng.random() < 0.4:
        return mutated(rng, content)
    found: Any = load_yaml(content.decode())
    for _ in range(rng.randint(1, 3)):
        found = changed(rng, found)
    if isinstance(found, dict) and rng.random() < 0.3:
        found = {**found, rng.choice(KEYS): any_value(rng)}
    return json.dumps(found).encode()


def _change(rng: random.Random) -> str:
    key = rng.choice(
        (*KEYS, "fixed.epochs", "params.align_weight.low", "params.x", "a.b.c", "", ".", "fixed.", "trials")
    )
    value = (
        json.dumps(any_value(rng)) if rng.random() < 0.7 else rng.choice(("[", "&a", "*a", "{a: b", "!!x y", "a: b"))
    )
    return f"{key}={value}" if rng.random() < 0.95 else key
