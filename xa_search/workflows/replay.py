"""A trial trained again. In: a search's history and a number. Out: the scores of then and now, and what has changed.

The settings, the seed, the precision and the number of threads are those of then.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from xa_search.errors import UsageError
from xa_search.records import Plan, TrialJob, TrialRecord
from xa_search.search.history import SearchHistory
from xa_search.search.trial_events import trial_events
from xa_search.training.progress import remove_progress
from xa_search.workflows.preflight import identity_of, prepare_search
from xa_search.workflows.trials import make_trial_job

REPLAYS = "replays"
DRIFTS = {
    "corpus": "other data, so that the scores need not agree",
    "tokenizer": "text is split otherwise, so that the scores need not agree",
    "xa-search": "the training itself may have changed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedEpoch:
    """An epoch's selection score then and now; none then where the trial had not come so far."""

    epoch: int
    then: float | None
    now: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A trial trained again; `failure` is how it ended this time, if it failed. `directory` has the new weights."""

    trial: TrialRecord
    epochs: tuple[ReplayedEpoch, ...]
    failure: str
    directory: Path

    @property
    def compared(self) -> tuple[ReplayedEpoch, ...]:
        """The epochs that both have."""
        return tuple(epoch for epoch in self.epochs if epoch.then is not None)

    @property
    def first_difference(self) -> ReplayedEpoch | None:
        """The first epoch whose scores are not the same to the last digit."""
        return next((epoch for epoch in self.compared if epoch.then != epoch.now), None)


def replay_trial(
    search: SearchHistory, number: int, note: Callable[[str], None], on_epoch: Callable[[ReplayedEpoch], None]
) -> Replay:
    """Train a trial again in this process, as far as it came. Raises UsageError where it is not known what it read."""
    trial = search.trial(number)
    if search.plan is None:
        raise UsageError(
            f"search {search.search_id} was begun by a version that kept no plan; type `xa-search train` with "
            f"--params and the settings that `xa-search status {search.search_id}` shows"
        )
    job, identity = _prepare(search.plan, trial, note)
    for change in _changes(search.identity, identity):
        note(change)
    replayed, failure = [], ""
    with closing(_scores(job)) as scores:
        for epoch, score in enumerate(scores, start=1):
            if isinstance(score, str):
                failure = score
                break
            then = trial.scores[epoch - 1] if epoch <= len(trial.scores) else None
            replayed.append(ReplayedEpoch(epoch=epoch, then=then, now=score))
            on_epoch(replayed[-1])
            if epoch >= len(trial.scores) and trial.state != "FAIL":
                break
    return Replay(trial=trial, epochs=tuple(replayed), failure=failure, directory=job.directory)


def _prepare(plan: Plan, trial: TrialRecord, note: Callable[[str], None]) -> tuple[TrialJob, dict[str, str]]:
    """Return the job of the trial, with a folder of its own, and what it reads now."""
    settings = trial.settings
    if "bf16" in trial.metrics:
        settings = settings.model_copy(update={"precision": "bf16" if trial.metrics["bf16"] else "fp32"})
    prepared = prepare_search(plan, (settings.model_size,), note)
    job = make_trial_job(plan, prepared, settings, trial.number)
    job = replace(job, directory=plan.directory / REPLAYS / str(trial.number))
    remove_progress(job.directory)
    return job, identity_of(prepared)


def _changes(then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """Return a line for each difference, with what to expect of it; one line too where there is none."""
    changed = [name for name in now if then.get(name, now[name]) != now[name]]
    for name in changed:
        yield f"{name} was {then[name]}, is {now[name]}: {DRIFTS[name.split()[0]]}"
    if not changed and then:
        yield (
            "same corpus, tokenizer and version: the scores agree to the last digit on the same processors and "
            "libraries; others round otherwise, which grows from epoch to epoch"
        )
    if not then:
        yield "the corpus, tokenizer and version of then were not recorded: the scores agree only if they are the same"


def _scores(job: TrialJob) -> Generator[float | str, None, None]:
    """Yield the score of each epoch, or how the trial failed."""
    with closing(trial_events(job, None)) as events:
        for event in events:
            if event.failure is not None:
                yield f"[{event.failure.failure}] {event.failure.text}"
            elif event.report is not None and event.report.whole:
                yield event.report.score
