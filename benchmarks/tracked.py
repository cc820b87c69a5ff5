"""What MLflow says of a search. In: its study's trials and its spool. Out: each difference, by kind, in a line."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from xa_search.tracking.events import STATUSES, EpochLogged, TrialEnded
from xa_search.tracking.registry import list_models
from xa_search.tracking.spool import SpooledEvent
from xa_search.tracking.store import SEARCH_TAG, TRIAL_TAG, connect, open_experiment

SCORE = "selection_score"
Found = tuple[Literal["lost", "duplicated", "left running"], str]
Point = tuple[int, int, float]


def tracked_differences(
    uri: str, search_id: str, trials: Sequence[Any], events: Sequence[SpooledEvent]
) -> Iterator[Found]:
    """Compare MLflow's runs, their metrics and the registry with the study and the spool."""
    client = connect(uri)
    experiment = open_experiment(client)
    runs = client.search_runs([experiment], f"tags.`{SEARCH_TAG}` = '{search_id}'", max_results=10_000)
    by_trial: dict[str | None, Any] = {run.data.tags.get(TRIAL_TAG): run for run in runs}
    counts = Counter(run.data.tags.get(TRIAL_TAG) for run in runs)
    yield from (("duplicated", f"MLflow: {count} runs of {name}") for name, count in counts.items() if count > 1)
    expected = {None: "FINISHED"} | {str(trial.number): STATUSES[trial.state.name] for trial in trials}
    for name in counts.keys() - expected.keys():
        yield "duplicated", f"MLflow: a run of trial {name}, which the study has not"
    for name, status in expected.items():
        if (run := by_trial.get(name)) is None:
            yield "lost", f"MLflow: no run of {name}"
        elif run.info.status != status:
            kind = "left running" if run.info.status == "RUNNING" else "lost"
            yield kind, f"MLflow: the run of {name} is {run.info.status}, not {status}"
    for trial in trials:
        if (run := by_trial.get(str(trial.number))) is not None:
            yield from _score_differences(client, run, trial, events)
    yield from _registry_differences(client, uri, search_id, experiment)


def _score_differences(client: Any, run: Any, trial: Any, events: Sequence[SpooledEvent]) -> Iterator[Found]:
    """Compare a trial's scores: those of its epochs with the study, and all points with the spool, by their time."""
    state = run.data.tags.get("state")
    if state != trial.state.name:
        yield "lost", f"MLflow: trial {trial.number} is {state}, in the study {trial.state.name}"
    found = Counter(
        (point.step, point.timestamp, point.value) for point in client.get_metric_history(run.info.run_id, SCORE)
    )
    told = Counter(_points(trial.number, events))
    yield from (("lost", f"MLflow: trial {trial.number} lacks {point}") for point in told - found)
    yield from (("duplicated", f"MLflow: trial {trial.number} has {point} too often") for point in found - told)
    first: dict[int, float] = {}
    for step, _, value in sorted(found):
        first.setdefault(step, value)
    if first != trial.intermediate_values:
        yield "lost", f"MLflow: trial {trial.number} scored {first}, in the study {trial.intermediate_values}"


def _points(number: int, events: Sequence[SpooledEvent]) -> Iterator[Point]:
    """Return each score that the spool told of a trial: of its epochs, and at its end of its best one, if another."""
    last, score = 0, None
    for spooled in events:
        event = spooled.event
        if isinstance(event, EpochLogged) and event.number == number:
            last = max(last, event.step)
            score = event.metrics[SCORE]
            yield event.step, spooled.time, score
        elif isinstance(event, TrialEnded) and event.number == number and event.metrics.get(SCORE, score) != score:
            score = event.metrics[SCORE]
            yield last, spooled.time, score


def _registry_differences(client: Any, uri: str, search_id: str, experiment: str) -> Iterator[Found]:
    versions = [version for version in list_models(uri) if version.search_id == search_id]
    if len(versions) != 1:
        yield ("duplicated" if versions else "lost"), f"MLflow: {len(versions)} versions of the winner"
    elif not versions[0].checked:
        yield "left running", f"MLflow: version {versions[0].version} was never checked"
    runs = {run.info.run_id for run in client.search_runs([experiment], f"tags.`{SEARCH_TAG}` = '{search_id}'")}
    logged = [model for model in client.search_logged_models([experiment]) if model.source_run_id in runs]
    if len(logged) != 1:
        yield ("duplicated" if logged else "lost"), f"MLflow: {len(logged)} logged models of the winner"
