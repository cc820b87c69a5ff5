"""Where a whole search's wall time goes. In: a search space. Out: the split of some searches, each in a new home.

The searches are the real command in a process of its own; the split is the one that their reports end with.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from results_file import spread

LEARNING = ("training", "evaluation")
WAITING = "waiting"


def split_of_search(arguments: list[str]) -> dict[str, Any]:
    """Run `xa-search run` in a new home and return its report's cost, with the share of it outside of learning.

    `outside_of_slots` counts a slot that stands empty at the end of a search; `outside` does not: another slot learns.
    """
    with tempfile.TemporaryDirectory() as home:
        program = str(Path(sys.executable).with_name("xa-search"))
        command = [program, "run", *arguments, "--home", home]
        subprocess.run(command, check=True, stdout=sys.stderr)
        (found,) = Path(home).glob("searches/*/report/cost.json")
        cost: dict[str, Any] = json.loads(found.read_text(encoding="utf-8"))
    return cost | shares_outside(cost)


def shares_outside(cost: dict[str, Any]) -> dict[str, float]:
    """Return the share of a search's seconds outside of learning, with and without slots that wait for another."""
    of_slots = 1 - sum(cost["parts"][part] for part in LEARNING) / cost["wall"]
    return {"outside": of_slots - cost["parts"][WAITING] / cost["wall"], "outside_of_slots": of_slots}


def summarise_splits(costs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the spread of the wall time, of each part's share of it, and of what lies outside of learning."""
    parts = sorted(costs[0]["parts"], key=lambda part: -costs[0]["parts"][part])
    return {
        "wall_seconds": spread([cost["wall"] for cost in costs]),
        "shares": {part: spread([cost["parts"][part] / cost["wall"] for cost in costs]) for part in parts},
        "outside": spread([cost["outside"] for cost in costs]),
        "outside_of_slots": spread([cost["outside_of_slots"] for cost in costs]),
        "core_utilisation": spread([cost["core_utilisation"] for cost in costs]),
    }
