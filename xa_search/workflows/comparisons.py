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
from xa_search.training.progress import remove_progress
from xa_search.training.trial import all_weights
from xa_search.workflows.preflight import Prepared
from xa_search.workflows.trials import make_trial_job, trained_job

COMPARISONS = "comparisons"
"""The folder in a search's folder; what was found for a winner lies in a folder of its number."""
NONE_NEEDED = "no fair baseline: the winner itself aligned nothing"
_FAIR, _FLOORS = TypeAdapter(FairBaseline), TypeAdapter(tuple[FloorScore, ...])


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparisons:
    """What waits for each answer; in the place of a fair baseline stands why there is none."""

    fair_baseline: Callable[[], FairBaseline | str]
    floors: Callable[[], tuple[FloorScore, ...]]


def ask_comparisons(plan: Plan, prepared: Prepared, winner: TrialRecord, tasks: EndTasks) -> Comparisons:
    """Let the winner's settings be trained without alignment, and the floors be scored; test splits are encoded."""
    folder = plan.directory / COMPARISONS / str(winner.number)
    for other in folder.parent.glob("*"):  # one that was interrupted, of a trial that is not the winner any more
        if other != folder:
            remove_progress(other)
            for weights in all_weights(other):
                weights.unlink()
    return Comparisons(
        fair_baseline=_ask_fair_baseline(plan, prepared, winner, tasks, folder),
        floors=_ask_floors(plan, prepared, winner, tasks, folder / "floors.json"),
    )


def _ask_floors(
    plan: Plan, prepared: Prepared, winner: TrialRecord, tasks: EndTasks, path: Path
) -> Callable[[], tuple[FloorScore, ...]]:
    if path.exists():
        return lambda: _FLOORS.validate_json(path.read_bytes())
    job = trained_job(plan, prepared, winner)
    waiting = tasks.submit(job.settings.model_size, score_floors, job, plan.space.tested_languages)
    return partial(_kept_floors, waiting, path)


def _kept_floors(waiting: Callable[[], tuple[FloorScore, ...]], path: Path) -> tuple[FloorScore, ...]:
    floors = waiting()
    _keep(path, _FLOORS.dump_json(floors, indent=2))
    return floors


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
