"""Whether a search is the one that the user means. In: a plan and what it will read. Out: nothing, or a UsageError.

A search is what its plan's decisive fields say, on the corpus, tokenizers and code that it began with.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from xa_search.errors import UsageError
from xa_search.records import Plan
from xa_search.search.study import JOURNAL, read_notes

NOT_SET = "not set"


def check_same_search(plan: Plan, identity: Mapping[str, str]) -> None:
    """Raise UsageError when the plan goes on with a search that began otherwise, or leaves one of its name unfinished.

    What an older version did not note of a search is taken as it is.
    """
    if (plan.directory / JOURNAL).exists():
        _check_identity(plan, identity)
    elif not plan.new:
        _check_others(plan)


def _check_identity(plan: Plan, identity: Mapping[str, str]) -> None:
    began = read_notes(plan.directory).get("identity", {})
    known = {key: value for key, value in identity.items() if key in began}
    if changes := list(_differences({key: began[key] for key in known}, known)):
        raise UsageError(
            f"search {plan.search_id} in {plan.directory} began with {'; '.join(changes)}; "
            f"restore this to go on, or type --seed {plan.seed + 1} --new to begin another search"
        )


def _check_others(plan: Plan) -> None:
    folders = [journal.parent for journal in (plan.home / "searches").glob(f"{plan.name}-*/{JOURNAL}")]
    same_name = [folder for folder in folders if re.fullmatch(r"[0-9a-f]{8}", folder.name[len(plan.name) + 1 :])]
    for folder in sorted(same_name, key=lambda folder: folder.stat().st_mtime, reverse=True):
        notes = read_notes(folder)
        if "decisive" in notes and notes["ended"] < notes["wanted"]:
            changes = "; ".join(_differences(notes["decisive"], plan.decisive))
            raise UsageError(
                f"search {folder.name} in {folder} is unfinished ({notes['ended']} of {notes['wanted']} trials) "
                f"and has {changes}; type --new to begin another search, or the old value to go on"
            )


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    before, after = dict(_fields(old)), dict(_fields(new))
    for name in sorted({*before, *after}):
        was, now = before.get(name, NOT_SET), after.get(name, NOT_SET)
        if was != now:
            yield f"{name} {was}, now {now}"


def _fields(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Return the values of nested mappings under names such as params.learning_rate.high."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _fields(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", NOT_SET if value is None else value
