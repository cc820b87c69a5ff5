"""What `--json` prints. In: records. Out: one JSON object or array on standard output.

Names are those of the records' fields: they stay when the tables for people change.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from xa_search.cli.plain import echo
from xa_search.records import Plan, TrialRecord

if TYPE_CHECKING:
    from xa_search.search.history import SearchHistory
    from xa_search.workflows.explain import Explanation
    from xa_search.workflows.maintenance import Cleaned, Synced
    from xa_search.workflows.replay import Replay


def print_json(value: Any) -> None:
    """Print records as JSON."""
    echo(json.dumps(as_json(value), indent=2, ensure_ascii=False))


def as_json(value: Any) -> Any:
    """Return records in what JSON knows; a number that is not finite becomes null, as JSON has none."""
    if isinstance(value, BaseModel):
        return {name: as_json(getattr(value, name)) for name in type(value).model_fields}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(inner) for inner in value]
    if isinstance(value, set | frozenset):
        return sorted(as_json(inner) for inner in value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def search_object(search: "SearchHistory") -> dict[str, Any]:
    """Return what is known of a search as a whole."""
    best = search.best
    return {
        "search_id": search.search_id,
        "space": search.space_name,
        "directory": search.directory,
        "state": search.state,
        "driver": search.driver,
        "wanted": search.wanted,
        "ended": search.ended,
        "by_state": Counter(trial.state for trial in search.trials),
        "best": None if best is None else {"trial": best.number, "score": best.score, "at_floor": best.at_floor},
        "spent": search.spent,
        "changed": datetime.fromtimestamp(search.changed, UTC).isoformat(timespec="seconds"),
    }


def trial_object(trial: TrialRecord) -> dict[str, Any]:
    """Return a trial's record, with its score, and whether that is not above what takes no training (null: unknown)."""
    return {**as_json(trial), "score": trial.score, "at_floor": trial.at_floor}


def searched_object(search: "SearchHistory", waiting: int | None) -> dict[str, Any]:
    """Return a search with its trials; `waiting_events` is null where the spool is damaged."""
    trials = [trial_object(trial) for trial in search.trials]
    return {**search_object(search), "waiting_events": waiting, "trials": trials}


def explanation_object(search: "SearchHistory", explanation: "Explanation") -> dict[str, Any]:
    """Return why a trial ended; of the better trial, its number and score."""
    near = explanation.neighbour
    return {
        "search_id": search.search_id,
        "trial": trial_object(explanation.trial),
        "lines": explanation.lines,
        "traceback": explanation.traceback,
        "better_trial": None
        if near is None
        else {
            "trial": near.trial.number,
            "score": near.trial.score,
            "setting": near.setting,
            "own": near.own,
            "theirs": near.theirs,
        },
    }


def synced_object(search: "SearchHistory", synced: "Synced") -> dict[str, Any]:
    """Return what MLflow got of a search, and what still waits."""
    return {
        "search_id": search.search_id,
        "given": synced.state.given,
        "left": synced.state.left,
        "problem": synced.state.problem,
        "caught_up": synced.caught_up,
        "was_abandoned": synced.was_abandoned,
    }


def cleaned_object(cleaned: "Sequence[Cleaned]", is_rehearsal: bool) -> dict[str, Any]:
    """Return what was removed, and how many bytes that frees."""
    size = sum(garbage.size for one in cleaned for garbage in one.garbage)
    return {"dry_run": is_rehearsal, "bytes": size, "places": cleaned}


def replay_object(search: "SearchHistory", replay: "Replay") -> dict[str, Any]:
    """Return the scores of then and now, and whether they agree."""
    return {
        "search_id": search.search_id,
        "trial": replay.trial.number,
        "agrees": replay.first_difference is None if replay.compared else None,
        "epochs": replay.epochs,
        "failure_then": replay.trial.failure,
        "failure_now": replay.failure or None,
        "directory": replay.directory,
    }


def plan_object(plan: Plan) -> dict[str, Any]:
    """Return a plan as it was understood."""
    at_once = {"concurrency": plan.space.concurrency}
    return {"search_id": plan.search_id, "directory": plan.directory, **at_once, **as_json(plan)}
