"""The rules of early stopping that a search may name. In: their modules. Out: a mapping, and what a space has chosen.

What is imported here is registered: one line each.
"""
# ruff: noqa: F401, I001 (an import is a registration, and the order is that of messages)

from collections.abc import Mapping

from xa_search.records import Scheduler, look_up, registered
from xa_search.search.early_stopping import ASHA
from xa_search.search.early_stopping import ChosenRule, StoppingRule

SCHEDULERS: Mapping[str, StoppingRule] = registered(StoppingRule, globals())


def chosen_rule(scheduler: Scheduler) -> ChosenRule | None:
    """Return the rule that a space names, with its settings; none where every trial uses its full budget."""
    for name, given in scheduler.named.items():
        rule = look_up(SCHEDULERS, "scheduler", name)
        return ChosenRule(rule=rule, settings=rule.settings.model_validate(given))
    return None
