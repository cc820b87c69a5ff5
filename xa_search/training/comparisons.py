"""What a winner is compared with besides trials. In: its job. Out: its settings trained without alignment, and floors.

Each is a task where trials run. Nothing of it is a trial: the sampler never sees it, and it cannot win.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xa_search.errors import XaSearchError, is_out_of_memory
from xa_search.records import FloorScore, TrialJob, TrialSettings
from xa_search.training.final_test import LanguageTest, score_language, trained_predictor
from xa_search.training.floors import floor_on_test, measure_floors
from xa_search.training.kept import KeptOutcomes, kept_outcomes
from xa_search.training.methods import ZERO_SHOT
from xa_search.training.progress import remove_progress
from xa_search.training.trial import best_weights, train_trial


@dataclass(frozen=True, slots=True, kw_only=True)
class FairTest:
    """A fair baseline as it was trained and tested; `tests` by language."""

    score: float
    best_epoch: int
    seconds: float
    tests: Mapping[str, LanguageTest]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedAgain:
    """A run outside the trials: its selection scores by epoch, the best of them, and that epoch's metrics."""

    scores: tuple[float, ...]
    score: float
    best_epoch: int
    metrics: Mapping[str, float]
    seconds: float


def fair_settings(winner: TrialSettings) -> TrialSettings | None:
    """Return the winner's settings without alignment, same seed and steps; none where it aligned nothing."""
    if winner.method == ZERO_SHOT.name:
        return None
    return winner.model_copy(update={"method": ZERO_SHOT.name, "models": "joint"})


def train_again(job: TrialJob) -> TrainedAgain | str:
    """Train a model outside the trials; return why it could not be trained, if so.

    Interrupted, it goes on from its folder's progress, which stays there, as its weights do.
    """
    try:
        reports = list(train_trial(job))
    except XaSearchError as error:
        return str(error)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return "out of memory"
    last = reports[-1]
    best = next((report for report in reports if report.epoch == last.best_epoch), last)
    return TrainedAgain(
        # Of what went on after an interruption, only its last epoch is told again.
        scores=tuple(report.score for report in reports) if reports[0].epoch == 1 else (last.best_score,),
        score=last.best_score,
        best_epoch=last.best_epoch,
        metrics=best.metrics,
        seconds=sum(report.metrics.get("train_seconds", 0.0) for report in reports),
    )


def train_fair_baseline(job: TrialJob, languages: Sequence[str]) -> FairTest | str:
    """Train a model and score it on the encoded test splits; return why it could not be trained, if so.

    Its weights are not kept.
    """
    trained = train_again(job)
    if isinstance(trained, str):
        return trained
    remove_progress(job.directory)
    predictor = trained_predictor(job, best_weights(job.directory))
    tests = {lang: score_language(job, lang, predictor) for lang in languages}
    best_weights(job.directory).unlink()
    return FairTest(score=trained.score, best_epoch=trained.best_epoch, seconds=trained.seconds, tests=tests)


def score_floors(job: TrialJob, languages: Sequence[str]) -> tuple[tuple[FloorScore, KeptOutcomes], ...]:
    """Score what takes no training as a trial of this job is, on the encoded test splits, and on the kept rows."""
    return tuple(
        (
            FloorScore(
                name=floor.name,
                score=floor.score(job.selection, job.corpus),
                test_metrics=floor_on_test(floor, job, languages),
            ),
            kept_outcomes(job, floor.speak),
        )
        for floor in measure_floors(job)
    )
