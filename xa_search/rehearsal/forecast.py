"""What a search will cost. In: a Plan, the corpus's counts, the seconds of a step. Out: hours by model size.

Arithmetic alone: trials x epochs x steps x seconds, and the evaluation after each epoch. Nothing is measured here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from math import ceil

from xa_search.config.paper_rate import NEAR_ENOUGH, ROWS, paper_rate, paper_steps
from xa_search.corpora import CorpusCheck
from xa_search.encoding.held_out import ENOUGH
from xa_search.records import Plan, TrialRole, TrialSettings
from xa_search.search.early_stopping import ChosenRule
from xa_search.search.registry import chosen_rule
from xa_search.search.sampler import recipe, settings_of
from xa_search.training.registry import method_of, one_model_a_target, pair_losses, selection_rule

HOUR = 3600.0
FORWARD_SHARE = 1 / 3
"""An evaluation has no backward pass, which takes twice as long as the forward one."""
COSTLY = ("model_size", "method", "models", "pairing", "epochs", "batch_size")
"""The settings that decide what a trial costs."""
SELECTING = 0.5
"""The share of what is held out that each epoch is evaluated on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCounts:
    """The usable rows of a corpus: labelled ones by language, and the translations by target, those of dev rows too."""

    source: str
    train: Mapping[str, int]
    dev: Mapping[str, int]
    pairs: Mapping[str, int]
    dev_pairs: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTime:
    """The seconds of a step of so many utterances and translations; `source` says where the figure comes from."""

    utterances: int
    seconds: float
    on_gpu: bool
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """What a trial does in one pass: steps of so many utterances and translations, then so many to evaluate."""

    steps: int
    utterances_a_step: int
    evaluated: int

    def seconds(self, step: StepTime) -> float:
        """Return how long it takes where a step takes so long; time is in proportion to utterances."""
        trained = self.steps * self.utterances_a_step
        return trained * step.seconds / step.utterances + self.seconds_to_evaluate(step)

    def seconds_to_evaluate(self, step: StepTime) -> float:
        """Return how long a score takes, at its end or at a rung within it."""
        return FORWARD_SHARE * self.evaluated * step.seconds / step.utterances


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialGroup:
    """Trials of the same settings, as far as these decide the cost; `count` need not be whole.

    Only `searched` ones may be stopped early.
    """

    settings: TrialSettings
    count: float
    searched: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeForecast:
    """The trials of one model size: hours of one that uses its full budget, of all as expected, and of all at most."""

    size: str
    trials: float
    steps: int
    step: StepTime
    hours_a_trial: float
    hours: float
    most_hours: float


def row_counts(check: CorpusCheck, dev_pairs: Mapping[str, int]) -> RowCounts:
    """Return the usable rows of a corpus that was checked, beside the translations of dev rows by target."""
    counts: dict[str, dict[str, int]] = {"train": {}, "dev": {}, "test": {}}
    for split in check.splits:
        counts[split.split][split.lang] = split.rows - split.dropped
    pairs = {one.lang: one.translations for one in check.translations}
    return RowCounts(source=check.source, train=counts["train"], dev=counts["dev"], pairs=pairs, dev_pairs=dev_pairs)


def epoch_of(plan: Plan, settings: TrialSettings, rows: RowCounts) -> Epoch:
    """Return what a trial of these settings does in one pass."""
    limit, targets = settings.train_limit or max(rows.train.values()), plan.space.targets
    source = min(limit, rows.train[rows.source])
    from_dev = min((count for lang, count in rows.dev_pairs.items() if rows.pairs.get(lang)), default=0) >= ENOUGH
    held_out = 0 if from_dev else round(source * settings.validation_fraction)
    method = method_of(settings)
    learned = source - held_out if method.source_rows else 0
    if method.target_rows:
        learned += sum(
            round(min(limit, rows.train.get(lang, 0)) * (1 - settings.validation_fraction)) for lang in targets
        )
    share = held_out / max(1, rows.train[rows.source])
    most = max(settings.dev_limit or max(rows.dev.values(), default=0), ENOUGH)
    translated = {lang: min(rows.dev_pairs.get(lang, 0), most) for lang in targets} if from_dev else {}
    evaluated = sum(round(translated.get(lang, rows.pairs.get(lang, 0) * share) * SELECTING) for lang in targets)
    read = targets if selection_rule(plan.space.selection).reads_target_labels else ()
    dev = [min(settings.dev_limit or rows.dev.get(lang, 0), rows.dev.get(lang, 0)) for lang in (rows.source, *read)]
    models = len(targets) if one_model_a_target(settings) else 1
    return Epoch(
        steps=models * ceil(learned / settings.batch_size),
        utterances_a_step=passes(settings) * settings.batch_size,
        evaluated=evaluated + sum(dev[1:]) + models * dev[0],
    )


def passes(settings: TrialSettings) -> int:
    """Return how many texts go through the encoder for each labelled utterance of a step."""
    if pair_losses(settings):
        return 3 if settings.pairing == "independent" else 2
    return 2 if method_of(settings).labelled_translations else 1


def paper_values_line(plan: Plan, rows: RowCounts) -> str:
    """Say that a space gives as the paper's a learning rate that is not for the steps at hand; empty where it is."""
    space = plan.space
    if "paper_values" not in space.fixed_roles or "learning_rate" not in space.params or space.corpus not in ROWS:
        return ""
    settings = settings_of(plan, "paper_values", recipe(space, "paper_values"))
    steps = epoch_of(plan, settings, rows).steps * settings.epochs
    wanted, rate = paper_rate(space.corpus, steps), settings.learning_rate
    if max(wanted / rate, rate / wanted) <= NEAR_ENOUGH:
        return ""
    return (
        f"paper's values: published.learning_rate is {rate:.2g}; for about {steps:,} steps, where the paper takes "
        f"{paper_steps(space.corpus):,}, its rate is {wanted:.2g}: --set published.learning_rate={wanted:.2g}"
    )


def expected_epochs(rule: ChosenRule | None, epochs: int, steps_an_epoch: int) -> float:
    """Return how many epochs a searched trial takes where, at each comparison, one in `one_in` goes on."""
    if rule is None:
        return float(epochs)
    expected, share, done = 0.0, 1.0, 0.0
    places = [*map(float, rule.rungs(epochs)), *(step / steps_an_epoch for step in rule.step_rungs)]
    for rung in sorted(place for place in places if place < epochs):
        expected += share * (rung - done)
        share, done = share / rule.one_in, rung
    return expected + share * (epochs - done)


def expected_rungs(rule: ChosenRule | None, epochs: int, steps_an_epoch: int, *, searched: bool) -> float:
    """Return how often a trial is scored at rungs within epochs; of searched ones one in `one_in` goes on at each."""
    reached = [step for step in (() if rule is None else rule.step_rungs) if step < epochs * steps_an_epoch]
    shares = (rule.one_in**-place if rule is not None and searched else 1.0 for place in range(len(reached)))
    return sum(share for step, share in zip(reached, shares, strict=True) if step % steps_an_epoch)


def trial_groups(plan: Plan) -> tuple[TrialGroup, ...]:
    """Return the trials of a search: those with fixed values, the others spread evenly over what costs differently."""
    space = plan.space
    groups = [_fixed(plan, role) for role in space.fixed_roles]
    middle = recipe(space, "searched")
    drawn: dict[TrialRole, int] = {
        "searched": space.trials - len(space.fixed_roles),
        "zero_shot": space.baseline_trials - 1,
    }
    choices = {
        name: list(dict.fromkeys(space.params[name].choices or (middle[name],)))
        for name in COSTLY
        if name in space.params and not space.params[name].conditions
    }
    combinations = list(product(*choices.values()))
    for values, role in product(combinations, [role for role in drawn if drawn[role] or role == "searched"]):
        chosen = dict(zip(choices, values, strict=True))
        settings = settings_of(plan, role, recipe(space, role, chosen) | chosen)
        groups.append(TrialGroup(settings=settings, count=drawn[role] / len(combinations), searched=True))
    return tuple(groups)


def _fixed(plan: Plan, role: TrialRole) -> TrialGroup:
    settings = settings_of(plan, role, recipe(plan.space, role))
    return TrialGroup(settings=settings, count=1, searched=False)


def forecast_size(plan: Plan, rows: RowCounts, size: str, step: StepTime) -> SizeForecast:
    """Return what the trials of a size take, where a step takes so long."""
    groups = [group for group in trial_groups(plan) if group.settings.model_size == size]
    epochs = [(group, epoch_of(plan, group.settings, rows)) for group in groups]
    longest, pass_of_longest = max(epochs, key=lambda one: one[1].seconds(step) * one[0].settings.epochs)
    return SizeForecast(
        size=size,
        trials=sum(group.count for group in groups),
        steps=pass_of_longest.steps * longest.settings.epochs,
        step=replace(
            step,
            utterances=pass_of_longest.utterances_a_step,
            seconds=step.seconds * pass_of_longest.utterances_a_step / step.utterances,
        ),
        hours_a_trial=pass_of_longest.seconds(step) * longest.settings.epochs / HOUR,
        hours=sum(group.count * _trial_seconds(plan, group, one, step) for group, one in epochs) / HOUR,
        most_hours=sum(
            group.count * _trial_seconds(plan, replace(group, searched=False), one, step) for group, one in epochs
        )
        / HOUR,
    )


def _trial_seconds(plan: Plan, group: TrialGroup, epoch: Epoch, step: StepTime) -> float:
    """Return how long a trial of a group takes: searched ones as early stopping is expected to leave them."""
    rule, epochs = chosen_rule(plan.space.scheduler), group.settings.epochs
    taken = expected_epochs(rule if group.searched else None, epochs, epoch.steps)
    rungs = expected_rungs(rule, epochs, epoch.steps, searched=group.searched)
    return taken * epoch.seconds(step) + rungs * epoch.seconds_to_evaluate(step)
