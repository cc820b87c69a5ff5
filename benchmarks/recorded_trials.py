"""Recorded trials to replay searches on. In: what learning_curves.py wrote. Out: the trials, and what each told."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from xa_search.errors import DataError, NonFiniteError
from xa_search.records import EpochReport, SearchSpace
from xa_search.search.failures import failure_of
from xa_search.search.sampler import Proposal
from xa_search.search.trial_events import TrialEvent


@dataclass(frozen=True, slots=True)
class Curve:
    """One recorded trial; fewer scores than the others have mean that its loss was no longer finite.

    `rung_scores` are those by steps, of trials that were recorded with rungs in steps; a replay asks for `rungs`.
    """

    params: Proposal
    steps_an_epoch: float
    scores: tuple[float, ...]
    seconds: float
    rung_scores: Mapping[int, float] = field(default_factory=dict)
    rungs: tuple[int, ...] = ()

    @property
    def steps(self) -> float:
        """The steps of all its epochs."""
        return self.steps_an_epoch * len(self.scores)

    @property
    def directory(self) -> Path:
        """Where a trial's files would lie; a replay writes none."""
        return Path("replayed")


@dataclass(frozen=True, slots=True)
class Pool:
    """The recorded trials of one search space.

    `points` [trials, dimensions] is where each lies in the unit cube of its parameters; `tops` [trials] is its best
    score, minus infinity where it did not run to its end.
    """

    space: SearchSpace
    epochs: int
    curves: tuple[Curve, ...]
    points: np.ndarray
    tops: np.ndarray

    @property
    def best(self) -> float:
        """The best score of all recorded trials that ran to their end."""
        return float(self.tops.max())

    @property
    def complete(self) -> list[Curve]:
        """The trials that ran to their end."""
        return [curve for curve in self.curves if len(curve.scores) == self.epochs]


def read_pool(path: Path, space: SearchSpace) -> Pool:
    """Read the curves that learning_curves.py wrote."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if not rows:
        raise DataError(f"{path}: holds no learning curves; record some with benchmarks/learning_curves.py")
    most = max(row["steps_an_epoch"] for row in rows)
    curves = tuple(
        Curve(
            row["params"],
            row["steps_an_epoch"] or most,
            tuple(row["scores"]),
            row["seconds"],
            {int(step): score for step, score in row.get("rungs", {}).items()},
        )
        for row in rows
    )
    epochs = max(len(curve.scores) for curve in curves)
    space = space.model_copy(update={"trials": len(curves), "fixed": {**space.fixed, "epochs": epochs}})
    points = np.array([point_of(space, curve.params) for curve in curves])
    tops = np.array([max(curve.scores) if len(curve.scores) == epochs else -math.inf for curve in curves])
    return Pool(space, epochs, curves, points, tops)


def point_of(space: SearchSpace, params: Proposal) -> np.ndarray:
    """Return the place of a proposal in the unit cube; two different choices are one edge apart."""
    place: list[float] = []
    for name, parameter in space.params.items():
        if parameter.choices is not None:
            place += [math.sqrt(0.5) * (params[name] == choice) for choice in parameter.choices]
        elif parameter.low is not None and parameter.high is not None:
            ends = np.array([params[name], parameter.low, parameter.high])
            value, low, high = np.log(ends) if parameter.log else ends
            place.append(float((value - low) / (high - low)))
    return np.array(place)


@dataclass(frozen=True, slots=True)
class Segment:
    """What a trial trained between two reports, in steps, and what it told in the end."""

    steps: float
    event: TrialEvent


def segments_of(curve: Curve, epochs: int) -> Iterator[Segment]:
    """Tell what a recorded trial told while it trained, at the rungs that it was recorded at among those asked for.

    Raises DataError for a rung within its epochs that it was not recorded at.
    """
    steps_before = 0.0
    for epoch, score in enumerate(curve.scores, start=1):
        end = epoch * curve.steps_an_epoch
        for rung in (rung for rung in curve.rungs if steps_before < rung < end):
            if rung not in curve.rung_scores:
                raise DataError(f"no score after {rung} steps was recorded; record curves with rungs there")
            best = max(curve.scores[: epoch - 1], default=curve.rung_scores[rung])
            yield _segment(rung - steps_before, curve, epoch, curve.rung_scores[rung], best, rung=rung)
            steps_before = rung
        best = max(curve.scores[:epoch])
        rung_here = int(end) if end in curve.rungs else None
        yield _segment(end - steps_before, curve, epoch, score, best, rung=rung_here, whole=True, final=epoch == epochs)
        steps_before = end
    yield Segment(curve.steps_an_epoch, TrialEvent(seconds=0.0, failure=failure_of(NonFiniteError("the loss"))))


def _segment(
    steps: float, curve: Curve, epoch: int, score: float, best: float, *, rung: int | None, **ends: bool
) -> Segment:
    whole, final = ends.get("whole", False), ends.get("final", False)
    report = EpochReport(
        epoch=epoch,
        score=score,
        best_score=best,
        best_epoch=curve.scores.index(best) + 1 if best in curve.scores[:epoch] else 0,
        final=final,
        metrics={},
        rung=rung,
        whole=whole,
    )
    return Segment(steps, TrialEvent(seconds=0.0, report=report))
