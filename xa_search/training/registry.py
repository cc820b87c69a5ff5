"""The methods and selection rules that a search may name. In: their modules. Out: a mapping of each kind, and look-ups.

What is imported here is registered: one line each.
"""
# ruff: noqa: F401, I001 (an import is a registration, and the order is that of messages)

from collections.abc import Iterable, Mapping

from xa_search.records import TrialSettings, look_up, registered
from xa_search.records.feedback import FeedbackSettings
from xa_search.training.methods import ZERO_SHOT, ENGLISH_ONLY, XEROALIGN, CROSS_ALIGNER
from xa_search.training.methods import TRANSLATE_TRAIN, TARGET, TARGET_ENGLISH
from xa_search.training.methods import Method
from xa_search.training.selection import LABEL_FREE, SOURCE_DEV, GUARDED, TARGET_DEV
from xa_search.training.selection import SelectionRule

METHODS: Mapping[str, Method] = registered(Method, globals())
SELECTION_RULES: Mapping[str, SelectionRule] = registered(SelectionRule, globals())


def method_of(settings: TrialSettings) -> Method:
    """Return how a trial learns."""
    return look_up(METHODS, "method", settings.method)


def selection_rule(name: str) -> SelectionRule:
    """Return the rule that ranks the trials of a search."""
    return look_up(SELECTION_RULES, "selection", name)


def pair_losses(settings: TrialSettings) -> dict[str, float]:
    """Return the losses between pairs that a trial adds to the task loss, and the factor before each; none is 0."""
    return method_of(settings).weights(settings)


def one_model_a_target(settings: TrialSettings) -> bool:
    """Whether there is a model for each target; what no target teaches is the same for all, and trained once."""
    return settings.models == "each" and method_of(settings).learns_from_targets


def learn_from_target_labels(methods: Iterable[str]) -> bool:
    """Whether any of these methods learns from labelled target data."""
    return any(look_up(METHODS, "method", name).target_rows for name in methods)


def learns_from_target_labels(settings: TrialSettings) -> bool:
    """Whether a trial learns from labelled target data: by its method, or by verdicts on texts of a target."""
    told = isinstance(settings, FeedbackSettings) and settings.supervision == "target_feedback"
    return told or method_of(settings).target_rows


def is_zero_shot(selection: str, methods: Iterable[str]) -> bool:
    """Whether neither the selection nor any of the methods reads labelled target data."""
    return not selection_rule(selection).reads_target_labels and not learn_from_target_labels(methods)
