"""A winner confirmed. In: a search whose trials have ended. Out: its best settings with fresh seeds, tested.

They run where trials run, all with the same seeds: the best settings of the search, the zero-shot trial's and, once a
winner is found by the mean, the winner's without alignment. What is finished lies in the folder of its run, so that a
command that is typed again goes on. Only the test at the end opens test splits, once the winner is chosen.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError

from xa_search.encoding.files import write_whole
from xa_search.errors import UsageError, XaSearchError
from xa_search.records import FairBaseline, Plan, SearchRecord, TrialRecord, TrialRole, TrialSettings
from xa_search.records.confirmation import (
    FIRST_SEED,
    Confirm,
    Confirmation,
    ConfirmedGain,
    Repeated,
    confirmed_number,
    confirmed_of,
)
from xa_search.records.search import trial_directory
from xa_search.search.end_tasks import EndTasks
from xa_search.search.history import SearchHistory
from xa_search.search.winner import best_zero_shot, complete_trials, is_aligned
from xa_search.tracking.registration import KeptScores
from xa_search.training.comparisons import TrainedAgain, fair_settings, train_again
from xa_search.training.final_test import Outcomes, read_outcomes
from xa_search.training.kept import KEPT, NO_SEED, Evidence, KeptOutcomes
from xa_search.training.outcome_intervals import outcome_columns
from xa_search.training.progress import remove_progress
from xa_search.training.statistics import Sample, interval, seeds_half_width
from xa_search.training.trial import all_weights, mean_metrics
from xa_search.workflows.comparisons import NONE_NEEDED
from xa_search.workflows.end_questions import AskedTrial
from xa_search.workflows.preflight import Prepared
from xa_search.workflows.trials import make_trial_job, trained_job

RUN = "confirmed.json"
ZERO_SHOT_TRIAL = "the zero-shot trial"
FAIR = "the fair baseline"
ITSELF = "the winner is the zero-shot trial itself"
_RUN = TypeAdapter(TrialRecord)
INTENTS, SLOTS = "intent accuracy", "slot F1"


def confirming_plan(search: SearchHistory, top: int, seeds: int, *, local: bool, address: str | None) -> Plan:
    """Return the plan of a search that is over, with which it is confirmed. Raises UsageError where it is not over."""
    if search.plan is None:
        raise UsageError(f"search {search.search_id} was begun by a version that kept no plan; it cannot be confirmed")
    if not search.is_over:
        now = (
            f"process {search.driver} runs it" if search.driver else f"it has {search.ended} of {search.wanted} trials"
        )
        raise UsageError(
            f"search {search.search_id} is not over ({now}); let `xa-search run {search.space_name}` end it first"
        )
    # What the search had found good enough is not asked again: how much was held out, how many rows were lost.
    changes = {"confirm": Confirm(top=top, seeds=seeds), "keep": search.keep, "least_held_out": 2, "max_lost": 1.0}
    space = search.plan.space.model_copy(update=changes)
    return search.plan.model_copy(update={"space": space, "local": local, "address": address})


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """What ran again, chosen but not tested: `runs` by number; `winner` is the trial whose settings won."""

    confirmation: Confirmation
    runs: Mapping[int, TrialRecord]
    winner: TrialRecord

    @property
    def registered(self) -> TrialRecord:
        """The run whose model is registered."""
        return self.runs[self.confirmation.registered]

    def tested_runs(self) -> list[TrialRecord]:
        """Return the runs that are tested: of the winner's settings, the zero-shot trial's and the fair baseline."""
        found = self.confirmation
        compared = [found.winner, *(one for one in (found.zero_shot, found.fair) if one is not None)]
        numbers = dict.fromkeys([found.registered, *(number for one in compared for number in one.numbers)])
        return [self.runs[number] for number in numbers]


def confirm_settings(
    plan: Plan, prepared: Prepared, trials: Sequence[TrialRecord], tasks: EndTasks, note: Callable[[str], None]
) -> Confirmed:
    """Train the best settings again and choose between them. Raises XaSearchError where none of them got through."""
    wanted = plan.space.confirm
    assert wanted is not None
    seeds = tuple(range(FIRST_SEED, FIRST_SEED + wanted.seeds))
    complete, baseline = complete_trials(trials), best_zero_shot(trials)
    best = _different([trial for trial in complete if is_aligned(trial)] or complete)[: wanted.top]
    chosen = [*best, *([] if baseline is None or baseline in best else [baseline])]
    names = ", ".join(str(trial.number) for trial in best)
    also = " and the zero-shot trial" if len(chosen) > len(best) else ""
    note(f"confirming trials {names}{also} with the fresh seeds {', '.join(map(str, seeds))}")
    named = {trial.number: f"trial {trial.number}" for trial in chosen}
    named |= {} if baseline is None else {baseline.number: ZERO_SHOT_TRIAL}
    asked = [_Asked(plan, prepared, trial, seeds, tasks, named[trial.number]) for trial in chosen]
    repeated = [one.repeated(note) for one in asked]
    whole = sorted((one for one in repeated if not one.failed), key=lambda one: -one.mean)
    if not whole:
        raise XaSearchError(
            f"none of the settings got through all fresh seeds ({'; '.join(repeated[0].failed)}); remove the cause and "
            "type the same command again, or leave `confirm` out of the space"
        )
    winner = next(trial for trial in chosen if trial.number == whole[0].trial)
    unaligned = fair_settings(winner.settings)
    fair_run = None if unaligned is None else _Asked(plan, prepared, winner, seeds, tasks, FAIR)
    fair = None if fair_run is None else fair_run.repeated(note)
    runs = {run.number: run for one in (*asked, *filter(None, [fair_run])) for run in one.finished}
    middle = min(whole[0].numbers, key=lambda number: abs((runs[number].score or 0.0) - whole[0].mean))
    if not all_weights(trial_directory(plan.directory, middle)):  # somebody freed the space
        trial_directory(plan.directory, middle).joinpath(RUN).unlink()
        again = _Asked(plan, prepared, winner, (confirmed_of(middle)[1],), tasks, named[winner.number])
        again.repeated(note)
        runs |= {run.number: run for run in again.finished}
    zero_shot = next((one for one in repeated if baseline is not None and one.trial == baseline.number), None)
    others = [one for one in sorted(repeated, key=lambda one: -one.mean) if one not in (whole[0], zero_shot)]
    found = Confirmation(
        settings=(whole[0], *others),
        zero_shot=None if zero_shot is whole[0] else zero_shot,
        fair=fair,
        no_fair="" if fair is not None else NONE_NEEDED,
        registered=middle,
    )
    note(found.sentences[0])
    return Confirmed(confirmation=found, runs=runs, winner=winner)


class _Asked:
    """One trial's settings, asked to be trained with each fresh seed; what was trained before is known."""

    def __init__(
        self, plan: Plan, prepared: Prepared, trial: TrialRecord, seeds: Sequence[int], tasks: EndTasks, name: str
    ) -> None:
        self._trial, self._name, self._fair = trial, name, name == FAIR
        fair = self._fair
        self.finished: list[TrialRecord] = []
        self._waiting: dict[int, Callable[[], TrialRecord | str]] = {}
        for seed in seeds:
            number = confirmed_number(trial.number, seed, fair=fair)
            settings = _with_seed(trained_job(plan, prepared, trial).settings, seed, fair=fair)
            folder = trial_directory(plan.directory, number)
            known = _known(folder, settings)
            if known is not None:
                self._waiting[seed] = partial(_known_again, known)
                continue
            folder.mkdir(parents=True, exist_ok=True)
            job = make_trial_job(plan, prepared, settings, number)
            waiting = tasks.submit(settings.model_size, train_again, job)
            role: TrialRole = "fair_baseline" if fair else "confirmed"
            run = TrialRecord(number=number, role=role, settings=settings, params=dict(trial.params), state="COMPLETE")
            self._waiting[seed] = partial(_finish, waiting, run, folder)

    def repeated(self, note: Callable[[str], None]) -> Repeated:
        """Wait for all seeds; say how each ended."""
        failed = []
        for seed, waiting in self._waiting.items():
            found = waiting()
            if isinstance(found, str):
                failed.append(f"seed {seed} failed ({found})")
            else:
                self.finished.append(found)
            ended = failed[-1] if isinstance(found, str) else f"seed {seed}, {100 * (found.score or 0.0):.1f}"
            note(f"confirming {self._name}: {ended}")
        scores = [run.score or 0.0 for run in self.finished]
        return Repeated(
            name=self._name,
            trial=self._trial.number,
            searched=None if self._fair else self._trial.score,
            seeds=tuple(confirmed_of(run.number)[1] for run in self.finished),
            numbers=tuple(run.number for run in self.finished),
            scores=tuple(scores),
            mean=float(np.mean(scores)) if scores else 0.0,
            half=seeds_half_width(scores),
            failed=tuple(failed),
        )


def _different(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return the trials, the best first, without those whose settings an earlier one has."""
    found: list[TrialRecord] = []
    for trial in trials:
        if all(trial.settings != other.settings for other in found):
            found.append(trial)
    return found


def _with_seed(settings: TrialSettings, seed: int, *, fair: bool) -> TrialSettings:
    """Return settings with a fresh seed; the heads are drawn as in the search, so that runs can be averaged."""
    heads = settings.seed if settings.head_seed is None else settings.head_seed
    found = settings.model_copy(update={"seed": seed, "head_seed": heads})
    return (fair_settings(found) or found) if fair else found


def _known(folder: Path, settings: TrialSettings) -> TrialRecord | None:
    """Return a run that was finished before and can still be asked, or has been tested."""
    try:
        found = _RUN.validate_json((folder / RUN).read_bytes())
    except (OSError, ValidationError):
        return None
    return found if found.settings == settings and (all_weights(folder) or any(folder.rglob(KEPT))) else None


def _known_again(run: TrialRecord) -> TrialRecord | str:
    return run


def _finish(waiting: Callable[[], TrainedAgain | str], run: TrialRecord, folder: Path) -> TrialRecord | str:
    """Wait for a run, and write it down; only then goes what it would go on from."""
    found = waiting()
    if isinstance(found, str):
        return found
    done = replace(
        run,
        scores=found.scores,
        best_epoch=found.best_epoch,
        metrics=dict(found.metrics),
        seconds=found.seconds,
    )
    keep_run(done, folder)
    remove_progress(folder)
    return done


def keep_run(run: TrialRecord, folder: Path) -> None:
    """Write a run down in its folder."""
    write_whole(folder / RUN, lambda path: path.write_bytes(_RUN.dump_json(run, indent=2)))


def with_tests(confirmed: Confirmed, plan: Plan, scores: Mapping[int, Mapping[str, float]]) -> Confirmation:
    """Return the confirmation with its test scores, the means over seeds, and the gains with their intervals."""
    found = confirmation_tested(confirmed.confirmation, scores)
    gains: list[ConfirmedGain] = []
    outcomes = {
        number: read_outcomes(trial_directory(plan.directory, number))
        for one in (found.winner, found.zero_shot, found.fair)
        if one is not None
        for number in one.numbers
    }
    for other in (found.zero_shot, found.fair):
        if other is not None:
            gains += _gains(found.winner, other, outcomes, plan)
    return replace(found, gains=tuple(gains))


def confirmation_tested(confirmation: Confirmation, scores: Mapping[int, Mapping[str, float]]) -> Confirmation:
    """Return a confirmation whose settings have the mean test scores of their runs."""

    def tested(one: Repeated | None) -> Repeated | None:
        if one is None:
            return None
        return replace(one, test_metrics=mean_metrics([dict(scores[number]) for number in one.numbers]))

    first = tested(confirmation.winner)
    assert first is not None
    return replace(
        confirmation,
        settings=(first, *confirmation.settings[1:]),
        zero_shot=tested(confirmation.zero_shot),
        fair=tested(confirmation.fair),
    )


def _gains(
    winner: Repeated, other: Repeated, outcomes: Mapping[int, Mapping[str, Outcomes]], plan: Plan
) -> list[ConfirmedGain]:
    """Return the gain over one setting in each target, and in all of them, paired by seed and by utterance."""
    pairs = [
        (outcomes[number], outcomes[other.numbers[other.seeds.index(seed)]])
        for seed, number in zip(winner.seeds, winner.numbers, strict=True)
        if seed in other.seeds
    ]
    targets = [lang for lang in plan.space.targets if all(lang in one for pair in pairs for one in pair)]
    has_slots = any(one[lang].gold.any() for pair in pairs for one in pair for lang in targets)
    gains = []
    for lang, languages in (*((lang, [lang]) for lang in targets), ("mean", targets)):
        for metric, kind in ((INTENTS, "intent"), (SLOTS, "slots"))[: 2 if has_slots else 1]:
            found = interval([_paired(pairs, languages, kind)]) if pairs and languages else None
            if found is not None:
                gains.append(
                    ConfirmedGain(
                        lang=lang,
                        metric=metric,
                        over=other.name,
                        points=100 * found.value,
                        low=100 * found.low,
                        high=100 * found.high,
                        told_of=found.over,
                    )
                )
    return gains


def _paired(
    pairs: Sequence[tuple[Mapping[str, Outcomes], Mapping[str, Outcomes]]], languages: Sequence[str], kind: str
) -> Sample:
    every = frozenset(name for pair in pairs for one in pair for lang in languages for name in one[lang].ids)
    ids = {name: place for place, name in enumerate(sorted(every))}
    counts = [
        np.stack(
            [column for one in pair for lang in languages for column in outcome_columns(one[lang], kind, every, ids)], 1
        )
        for pair in pairs
    ]
    return Sample(counts=counts, weights=np.repeat([1.0, -1.0], len(languages)) / len(languages))


def fair_over_seeds(confirmed: Confirmed, scores: Mapping[int, Mapping[str, float]]) -> FairBaseline | str:
    """Return the fair baseline as the mean of its runs; in its place stands why there is none."""
    found = confirmed.confirmation.fair
    if found is None or not found.numbers:
        return NONE_NEEDED if found is None else f"no fair baseline: {'; '.join(found.failed)}"
    runs = [confirmed.runs[number] for number in found.numbers]
    return FairBaseline(
        settings=runs[0].settings,
        score=found.mean,
        best_epoch=runs[0].best_epoch or 0,
        seconds=sum(run.seconds for run in runs),
        test_metrics=mean_metrics([dict(scores[number]) for number in found.numbers]),
        seeds=found.seeds,
    )


def kept_scores(
    record: SearchRecord, asked: Mapping[int, AskedTrial], floors: Mapping[str, KeptOutcomes]
) -> KeptScores:
    """Return what the winner, the zero-shot trial and the floors got right of the rows that selected no trial.

    Where they were confirmed, by seed.
    """
    found = record.confirmation
    if found is None:
        soup = record.soup if record.soup is not None and record.soup.wins else None
        winner = asked[record.winner if soup is None else soup.number].evidence()
        is_itself = record.baseline in (None, record.winner)
        zero_shot = None if record.baseline is None or is_itself else asked[record.baseline].evidence()
    else:
        winner = _over_seeds(found.winner, asked, found.registered_seed)
        ran = found.zero_shot if found.zero_shot is not None and found.zero_shot.numbers else None
        zero_shot = None if ran is None else _over_seeds(ran, asked, found.registered_seed)
    rivals = {name: Evidence(runs={NO_SEED: outcomes}, registered=NO_SEED) for name, outcomes in floors.items()}
    if zero_shot is None:
        return KeptScores(winner=winner, rivals=rivals, no_rival=record.no_baseline or ITSELF)
    return KeptScores(winner=winner, rivals={ZERO_SHOT_TRIAL: zero_shot, **rivals})


def _over_seeds(repeated: Repeated, asked: Mapping[int, AskedTrial], registered: int) -> Evidence:
    """Return what the runs of one setting got right, by seed; at least one got through."""
    runs = {
        str(seed): next(iter(asked[number].evidence().runs.values()))
        for seed, number in zip(repeated.seeds, repeated.numbers, strict=True)
    }
    return Evidence(runs=runs, registered=str(registered if registered in repeated.seeds else repeated.seeds[0]))


def remove_confirmed_weights(plan: Plan, confirmed: Confirmed) -> None:
    """Remove the weights of all runs but the one that is registered."""
    for number in confirmed.runs:
        if number != confirmed.confirmation.registered:
            for weights in all_weights(trial_directory(plan.directory, number)):
                weights.unlink()
