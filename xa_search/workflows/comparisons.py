"""What the winner of a search is compared with besides its trials. In: the winner. Out: the fair baseline, and floors.

Both are asked for where trials run, once a winner; the answers lie in the search's folder, so that a search that is
typed again, or extended without another winner, finds them there.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pydantic import TypeAdapter

from xa_search.encoding.files import write_whole
from xa_search.records import FairBaseline, FloorScore, Plan, TrialRecord
from xa_search.search.end_tasks import EndTasks
from xa_search.training.comparisons import FairTest, fair_settings, score_floors, train_fair_baseline
from xa_search.training.final_test import keep_outcomes
from xa_search.training.kept import KEPT, KeptOutcomes, read_kept, write_kept
from xa_search.training.progress import remove_progress
from xa_search.training.trial import all_weights
from xa_search.workflows.preflight import Prepared
from xa_search.workflows.trials import make_trial_job, trained_job

COMPARISONS = "comparisons"
"""The folder in a search's folder; what was found for a winner lies in a folder of its number."""
NONE_NEEDED = "no fair baseline: the winner itself aligned nothing"
_FAIR, _FLOORS = TypeAdapter(FairBaseline), TypeAdapter(tuple[FloorScore, ...])
ScoredFloor = tuple[FloorScore, KeptOutcomes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparisons:
    """What waits for each answer; in the place of a fair baseline stands why there is none.

    Each floor has what it got right of the kept rows beside it.
    """

    fair_baseline: Callable[[], FairBaseline | str]
    floors: Callable[[], tuple[ScoredFloor, ...]]


def ask_comparisons(
    plan: Plan, prepared: Prepared, winner: TrialRecord, tasks: EndTasks, *, with_fair_baseline: bool = True
) -> Comparisons:
    """Let the winner's settings be trained without alignment, and the floors be scored; test splits are encoded."""
    folder = plan.directory / COMPARISONS / str(winner.number)
    for other in folder.parent.glob("*"):  # one that was interrupted, of a trial that is not the winner any more
        if other != folder:
            remove_progress(other)
            for weights in all_weights(other):
                weights.unlink()
    if not with_fair_baseline:
        return Comparisons(
            fair_baseline=lambda: NONE_NEEDED, floors=_ask_floors(plan, prepared, winner, tasks, folder / "floors.json")
        )
    return Comparisons(
        fair_baseline=_ask_fair_baseline(plan, prepared, winner, tasks, folder),
        floors=_ask_floors(plan, prepared, winner, tasks, folder / "floors.json"),
    )


def _ask_floors(
    plan: Plan, prepared: Prepared, winner: TrialRecord, tasks: EndTasks, path: Path
) -> Callable[[], tuple[ScoredFloor, ...]]:
    if (known := _known_floors(path)) is not None:
        return lambda: known
    job = trained_job(plan, prepared, winner)
    waiting = tasks.submit(job.settings.model_size, score_floors, job, plan.space.tested_languages)
    return partial(_kept_floors, waiting, path)


def _known_floors(path: Path) -> tuple[ScoredFloor, ...] | None:
    """Return what was found before; none where an earlier version found it, which looked at no kept rows."""
    if not path.exists():
        return None
    floors = _FLOORS.validate_json(path.read_bytes())
    kept = [read_kept(_kept_of(path, floor), {}) for floor in floors]
    found = [(floor, outcomes) for floor, outcomes in zip(floors, kept, strict=True) if outcomes is not None]
    return tuple(found) if len(found) == len(floors) else None


def _kept_floors(waiting: Callable[[], tuple[ScoredFloor, ...]], path: Path) -> tuple[ScoredFloor, ...]:
    floors = waiting()
    for floor, outcomes in floors:
        write_kept(outcomes, _kept_of(path, floor), {})
    _keep(path, _FLOORS.dump_json(tuple(floor for floor, _ in floors), indent=2))
    return floors


def _kept_of(path: Path, floor: FloorScore) -> Path:
    return path.with_name(f"{floor.name.replace(' ', '_')}_{KEPT}")


def _ask_fair_baseline(
    plan: Plan, prepared: Prepared, winner: TrialRecord, tasks: EndTasks, folder: Path
) -> Callable[[], FairBaseline | str]:
    path = folder / "fair_baseline.json"
    if path.exists():
        return lambda: _FAIR.validate_json(path.read_bytes())
    settings = fair_settings(trained_job(plan, prepared, winner).settings)
    if settings is None:
        return lambda: NONE_NEEDED
    job = replace(make_trial_job(plan, prepared, settings, winner.number), directory=folder)
    folder.mkdir(parents=True, exist_ok=True)
    waiting = tasks.submit(settings.model_size, train_fair_baseline, job, plan.space.tested_languages)

    def fair_baseline() -> FairBaseline | str:
        found: FairTest | str = waiting()
        if isinstance(found, str):
            return f"no fair baseline: the winner's settings without alignment failed ({found})"
        baseline = FairBaseline(
            settings=settings,
            score=found.score,
            best_epoch=found.best_epoch,
            seconds=found.seconds,
            test_metrics=keep_outcomes(found.tests, plan.space.targets, folder),
        )
        _keep(path, _FAIR.dump_json(baseline, indent=2))
        return baseline

    return fair_baseline


def _keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda partial_path: partial_path.write_bytes(content))
