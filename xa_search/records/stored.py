"""Records that an earlier version stored. In: what was read from a file. Out: the same under the names of today.

A name is changed here once, so that searches and models which were stored under the earlier one are found and read.
"""

from collections.abc import Mapping
from typing import Any

from xa_search.records.feedback import FeedbackSettings
from xa_search.records.trial import TrialSettings

RENAMED_KEYS = {"held_out": "unseen_languages"}
"""Keys of a search space, by their earlier names."""
RENAMED_SETTINGS = {"held_out": "validation_fraction"}
"""Settings of a trial, by their earlier names."""
FIRST_SETTINGS = {"decoding": "argmax"}
"""What trials did before there was a setting for it."""
SECTIONS = ("params", "fixed", "baseline", "published")
"""The keys of a search space below which settings stand."""


def with_new_names(space: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored search space under the names of today."""
    return _renamed_space(space, RENAMED_KEYS, RENAMED_SETTINGS)


def with_first_names(space: Mapping[str, Any]) -> dict[str, Any]:
    """Return a search space under the names that it had first, which decide the name of its search."""
    return _renamed_space(space, _turned(RENAMED_KEYS), _turned(RENAMED_SETTINGS))


def stored_settings(values: Mapping[str, Any]) -> TrialSettings:
    """Return the settings of a trial that were stored under today's or earlier names."""
    kind = FeedbackSettings if "arm" in values else TrialSettings
    return kind.model_validate(FIRST_SETTINGS | _renamed(values, RENAMED_SETTINGS))


def _renamed_space(space: Mapping[str, Any], keys: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, Any]:
    renamed = _renamed(space, keys)
    sections = {name: _renamed(renamed[name], settings) for name in SECTIONS if isinstance(renamed.get(name), Mapping)}
    return renamed | sections


def _renamed(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(key, key): value for key, value in values.items()}


def _turned(names: Mapping[str, str]) -> dict[str, str]:
    return {new: old for old, new in names.items()}
