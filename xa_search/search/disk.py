"""What a search takes on disk. In: model sizes, or a plan and its trials. Out: bytes, and whether a trial may begin.

A running trial has its best weights and a checkpoint to go on from, thrice as large with the optimiser's state; while
it saves, the new one lies beside the old one. A complete trial that is larger than was estimated corrects the estimate.
"""

import os
import shutil
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path

from xa_search.model.sizes import resolve_size
from xa_search.records import Plan, TrialRecord

MB, GB = 10**6, 10**9
WEIGHTS = {"tiny": MB, "small": 120 * MB, "base": 400 * MB, "large": 1300 * MB}
"""A trial's weights, whose vocabulary is trimmed to the corpus."""
ENCODERS = {"tiny": MB, "small": 480 * MB, "base": 1120 * MB, "large": 2250 * MB}
WEIGHTS_OF_RUNNING = 7
COPIES_OF_WINNER = 3
"""The winner with its full vocabulary: as a bundle, as MLflow's model, and in the store."""
CORPUS = 200 * MB


def encoder_bytes(size: str) -> int:
    """Return what an encoder takes; one of unknown size is taken for a large one. Raises ModelError as it is named."""
    directory = resolve_size(size).directory
    if directory is not None:
        return folder_bytes(directory)
    return ENCODERS.get(size, ENCODERS["large"])


def weights_bytes(size: str) -> int:
    """Return what the weights of a trial take."""
    return WEIGHTS.get(size, min(WEIGHTS["large"], encoder_bytes(size)))


def shared_bytes(sizes: Collection[str], models: int) -> int:
    """Return what all trials read, whole and trimmed, and what the winner's models take while they are registered."""
    encoders = {size: encoder_bytes(size) for size in sizes}
    trimmed = sum(weights_bytes(size) for size in sizes)
    return CORPUS + sum(encoders.values()) + trimmed + (COPIES_OF_WINNER - 1 + models) * max(encoders.values())


def trials_bytes(sizes: Collection[str], trials: int, slots: int, models: int) -> int:
    """Return what so many trials to come take at most, of which so many run at a time, with so many models each."""
    weights = models * max(weights_bytes(size) for size in sizes)
    return weights * (trials + (WEIGHTS_OF_RUNNING - 1) * min(trials, slots))


def folder_bytes(folder: Path) -> int:
    """Return the size of the files below a folder, which may come and go meanwhile."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += (Path(place) / name).lstat().st_size
    return total


def readable(size: float) -> str:
    """Return a size as a person writes it."""
    return f"{size / GB:.1f} GB" if size >= GB else f"{size / MB:.0f} MB"


class DiskRoom:
    """The room that a search has for its trials; `folder_of` gives the folder of one."""

    def __init__(self, plan: Plan, folder_of: Callable[[TrialRecord], Path]) -> None:
        self._plan = plan
        self._folder_of = folder_of

    def forbids(self, record: TrialRecord, running: Collection[TrialRecord], trials: Sequence[TrialRecord]) -> str:
        """Return why a trial may not begin: with it, what runs could outgrow the room. Empty when it may."""
        growth = sum(self._growth(one, trials) for one in (record, *running))
        limits = [(shutil.disk_usage(self._plan.home).free, f"free in {self._plan.home}, free some space there")]
        if self._plan.disk_budget is not None:
            sizes = {trial.settings.model_size for trial in (record, *trials)}
            left = (
                self._plan.disk_budget
                - shared_bytes(sizes, self._plan.models_a_trial)
                - folder_bytes(self._plan.directory)
            )
            limits.append((left, f"left of its {readable(self._plan.disk_budget)}, raise --disk-budget"))
        for left, place in limits:
            if growth > left:
                asked = f"trial {record.number} and what runs may take {readable(growth)} more"
                return f"{asked}, {readable(max(0, left))} are {place}"
        return ""

    def _growth(self, record: TrialRecord, trials: Sequence[TrialRecord]) -> int:
        """Return what a trial may take on top of what it has."""
        size = record.settings.model_size
        same_size = (one for one in reversed(trials) if one.settings.model_size == size and one.state == "COMPLETE")
        measured = next((folder_bytes(self._folder_of(one)) for one in same_size), 0)
        most = WEIGHTS_OF_RUNNING * max(measured, self._plan.models_a_trial * weights_bytes(size))
        return max(0, most - folder_bytes(self._folder_of(record)))
