"""The plan of a search, checked against all that is registered. In: a search space, changes. Out: one frozen Plan.

The registries stand beside what they name: corpora in `corpora/catalogue.py`, losses and distances in
`model/registry.py`, methods and selection rules in `training/registry.py`, rules of early stopping in
`search/registry.py`. A model size may be a folder of another machine: `preflight` looks it up where trials will run.
"""

from typing import Any

from xa_search.config.plan import read_plan
from xa_search.config.validation import setting_faults
from xa_search.corpora import CATALOGUE
from xa_search.errors import UsageError
from xa_search.model.registry import DISTANCES, PAIR_LOSSES
from xa_search.records import Plan, TrialSettings, Vocabulary
from xa_search.search.conditions import zero_shot_choices
from xa_search.search.registry import SCHEDULERS
from xa_search.training.registry import METHODS, SELECTION_RULES


def registered_names() -> Vocabulary:
    """Return every name that a search space may use."""
    undivided = tuple(name for name, loss in PAIR_LOSSES.items() if not loss.divided)
    return Vocabulary(
        corpora=tuple(CATALOGUE),
        with_columns=tuple(name for name, entry in CATALOGUE.items() if entry.open_files is not None),
        methods=tuple(METHODS),
        selections=tuple(SELECTION_RULES),
        align_distances=tuple(DISTANCES),
        pair_losses=tuple(PAIR_LOSSES),
        schedulers={name: rule.settings for name, rule in SCHEDULERS.items()},
        undivided_losses={
            name: tuple(loss for loss in undivided if method.adds(loss)) for name, method in METHODS.items()
        },
    )


def make_plan(space: str, changes: tuple[str, ...] = (), **options: Any) -> Plan:
    """Read the search space called `space` (a name or a YAML file), apply `KEY=VALUE` changes, and validate.

    Raises UsageError with one line a fault.
    """
    plan = read_plan(space, changes, registered_names(), **options)
    asked, different = plan.space.baseline_trials, zero_shot_choices(plan.space)
    if asked > different:
        raise UsageError(
            f"{plan.name}: baseline.trials: {asked} are more than the {different:g} different zero-shot trials that "
            f"params allow; write {different:g}, or let params search more that zero-shot reads, as learning_rate"
        )
    return plan


def checked_settings(plan: Plan, params: dict[str, Any]) -> TrialSettings:
    """Return the settings of a trial that somebody asks for. Raises UsageError with one line a fault."""
    if faults := setting_faults(f"{plan.name}: params", params, registered_names()):
        raise UsageError("\n".join(faults))
    return plan.trial_settings(params)
