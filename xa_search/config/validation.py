"""What is wrong with a search space. In: its file, what was read from it, the names it may use. Out: all faults.

Each is one line, and names file, key, value and what to type.
"""

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from xa_search.config.conditions import condition_faults
from xa_search.config.yaml_files import yaml_line
from xa_search.errors import value_faults
from xa_search.records import (
    FIELDS,
    Asha,
    Parameter,
    SearchSpace,
    SizeResources,
    TrialSettings,
    Vocabulary,
    unknown,
)
from xa_search.records.stored import RENAMED_KEYS, RENAMED_SETTINGS
from xa_search.records.trial import WEIGHT

SETTINGS = TrialSettings.model_fields
NOT_SEARCHED = {"train_limit", "dev_limit", "test_limit", "validation_fraction", "max_tokens"}


def shape_faults(path: Path, error: ValidationError) -> list[str]:
    """Return what keeps a file from being a search space at all."""
    faults = []
    found = error.errors()
    within = {fault["loc"][:-1] for fault in found}
    for fault in found:
        if fault["type"] == "too_short" and fault["loc"] in within:
            continue  # its items are what is wrong, and are told by themselves
        key = ".".join(str(part) for part in fault["loc"] if part != "cases").replace(
            "baseline_trials", "baseline.trials"
        )
        if key in RENAMED_KEYS:
            faults.append(f"{path}: {key}: was renamed; write {yaml_line(RENAMED_KEYS[key], fault['input'])}")
        elif fault["type"] == "extra_forbidden":
            known = _known_keys(fault["loc"])
            faults.append(f"{path}: {key}: unknown key; {_suggestion(str(fault['loc'][-1]), known)}")
        elif fault["type"] == "missing":
            faults.append(f"{path}: {key}: missing; add `{key}: ...`")
        else:
            faults.append(f"{path}: {key}: {fault['input']!r}: {_advice(fault['type'], fault['input'], fault['msg'])}")
    return faults


def _advice(kind: str, value: Any, message: str) -> str:
    """Say what to write in place of a value of the wrong type."""
    if kind == "string_type" and isinstance(value, bool):
        return f"a bare {str(value).lower()} is no word; quote it: '{str(value).lower()}'"
    if kind == "tuple_type" and isinstance(value, str | int | float):
        return f"a list is wanted; write [{value}]"
    return f"{message.lower()}; correct this value"


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    models: dict[str, type[BaseModel]] = {
        "params": Parameter,
        "asha": Asha,
        "resources": SizeResources,
    }
    for part in reversed(location[:-1]):
        if part in models:
            return [name for name in models[str(part)].model_fields if name != "cases"]
    return [name for name in SearchSpace.model_fields if name != "baseline_trials"] + ["extends"]


def with_types(space: SearchSpace) -> SearchSpace:
    """Return the space with the settings that were written as text, such as '16', in their own type.

    A value that its setting does not take stays as it is, to be named among the faults.
    """
    params = {key: _with_types(key, parameter) for key, parameter in space.params.items()}
    sections = {
        name: {key: _typed(key, value) for key, value in getattr(space, name).items()}
        for name in ("fixed", "baseline", "published")
    }
    return space.model_copy(update={"params": params, **sections})


def _with_types(key: str, parameter: Parameter) -> Parameter:
    cases = tuple(_with_types(key, case) for case in parameter.cases)
    when = {name: tuple(_typed(name, value) for value in values) for name, values in parameter.when.items()}
    choices = parameter.choices and tuple(_typed(key, value) for value in parameter.choices)
    return parameter.model_copy(update={"choices": choices, "when": when, "cases": cases})


def _typed(key: str, value: Any) -> Any:
    if not isinstance(value, str) or key not in SETTINGS:
        return value
    try:
        return getattr(TrialSettings.model_validate({key: value}), key)
    except ValidationError:
        return value


def _suggestion(key: str, known: list[str]) -> str:
    close = get_close_matches(key, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"valid: {', '.join(known)}"


def space_faults(path: Path, space: SearchSpace, vocabulary: Vocabulary) -> list[str]:
    """Return what is wrong with a space that has the right keys and types."""
    faults = [f"{path}: {fault}" for fault in _name_faults(space, vocabulary)]
    faults += _scheduler_faults(path, space, vocabulary)
    settings = [*SETTINGS, *(f"{loss}{WEIGHT}" for loss in vocabulary.pair_losses if f"{loss}{WEIGHT}" not in SETTINGS)]
    for section, values in (("params", space.params), ("fixed", space.fixed)):
        for key in values:
            if key == "method" and section == "fixed":
                faults.append(f"{path}: fixed.method: is no setting of `fixed`; write `method: {values[key]}`")
            elif key in RENAMED_SETTINGS:
                faults.append(f"{path}: {section}.{key}: was renamed; write {RENAMED_SETTINGS[key]}")
            elif key not in settings:
                faults.append(f"{path}: {section}.{key}: unknown setting; {_suggestion(key, settings)}")
    for section, values in (("baseline", space.baseline), ("published", space.published)):
        for key in values:
            if key not in space.params:
                faults.append(f"{path}: {section}.{key}: is not searched; {_suggestion(key, list(space.params))}")
    for key in space.params:
        if key in space.fixed and not space.params[key].conditions:
            faults.append(f"{path}: {key}: stands in both params and fixed; remove one of them")
        if key in NOT_SEARCHED:
            faults.append(f"{path}: params.{key}: decides what is compared and cannot be searched; move it to fixed")
    if space.source in space.targets or len(set(space.targets)) != len(space.targets):
        faults.append(f"{path}: targets: {list(space.targets)} must be distinct and without the source {space.source}")
    faults += [f"{path}: unseen_languages: {fault}" for fault in _unseen_language_faults(space)]
    faults += [f"{path}: columns{fault}" for fault in _column_faults(space, vocabulary)]
    faults += [f"{path}: resources.{fault}" for fault in _resource_faults(space, vocabulary)]
    faults += [f"{path}: params.{fault}" for fault in condition_faults(space)]
    if faults:
        return faults
    for key, parameter in space.params.items():
        faults += [f"{path}: params.{key}: {fault}" for fault in _parameter_faults(key, parameter)]
    return faults or _value_faults(path, space, vocabulary)


def _name_faults(space: SearchSpace, vocabulary: Vocabulary) -> Iterator[str]:
    """Yield the names that nothing is registered under."""
    known = {
        "corpus": (space.corpus, vocabulary.corpora),
        "method": (space.method, vocabulary.methods),
        "selection": (space.selection, vocabulary.selections),
    }
    for key, (name, names) in known.items():
        if name not in names:
            yield f"{key}: {unknown(name, names)}"


def _scheduler_faults(path: Path, space: SearchSpace, vocabulary: Vocabulary) -> list[str]:
    faults, named = [], space.scheduler.named
    for name, given in named.items():
        if name not in vocabulary.schedulers:
            faults.append(f"{path}: scheduler.{name}: unknown key; {_suggestion(name, list(vocabulary.schedulers))}")
            continue
        try:
            vocabulary.schedulers[name].model_validate(given)
        except ValidationError as error:
            faults += value_faults(f"{path}: scheduler.{name}", error)
    asha, models = space.scheduler.asha, space.params.get("models")
    several = "each" in ((space.fixed.get("models"),) if models is None else models.choices or ())
    if asha is not None and asha.grace_steps is not None and several:
        faults.append(
            f"{path}: scheduler.asha.grace_steps: {asha.grace_steps}: models of one trial take turns epoch by epoch; "
            "write grace_epochs, or `models: joint` in fixed"
        )
    if len(named) > 1:
        faults.append(f"{path}: scheduler: has {' and '.join(named)}; keep one")
    return faults


def setting_faults(where: str, values: Mapping[str, Any], vocabulary: Vocabulary) -> list[str]:
    """Return what is wrong with values of settings: their types, their limits, and the names among them."""
    try:
        TrialSettings.model_validate(values)
    except ValidationError as error:
        return value_faults(where, error)
    named: dict[str, Collection[str]] = {"method": vocabulary.methods, "align_distance": vocabulary.align_distances}
    faults = [
        f"{where}.{key}: {unknown(values[key], names)}"
        for key, names in named.items()
        if key in values and values[key] not in names
    ]
    losses = (key for key in values if key not in SETTINGS and key.removesuffix(WEIGHT) not in vocabulary.pair_losses)
    return faults + [f"{where}.{key}: weighs no loss; valid: {', '.join(vocabulary.pair_losses)}" for key in losses]


def _column_faults(space: SearchSpace, vocabulary: Vocabulary) -> list[str]:
    if space.columns and space.corpus not in vocabulary.with_columns:
        wish = f"remove `columns`, or write `corpus: {vocabulary.with_columns[0]}`"
        return [f": {space.corpus} has columns of its own; {wish}"]
    return [
        f".{key}: no field of a row has this name; {_suggestion(key, list(FIELDS))}"
        for key in space.columns
        if key not in FIELDS
    ]


def _unseen_language_faults(space: SearchSpace) -> list[str]:
    faults = []
    for lang in dict.fromkeys(space.unseen_languages):
        if lang == space.source:
            faults.append(f"{lang!r} is the source, which is learned from; take it out of unseen_languages")
        if lang in space.targets:
            faults.append(f"{lang!r} is also a target, which is aligned; take it out of targets or of unseen_languages")
        if space.unseen_languages.count(lang) > 1:
            faults.append(f"{lang!r} is given twice; give it once")
    return faults


def _resource_faults(space: SearchSpace, vocabulary: Vocabulary) -> list[str]:
    sizes = list(space.model_sizes)
    faults = [f"{size}: no trial has this size; {_suggestion(size, sizes)}" for size in space.resources.keys() - sizes]
    for method in space.methods:
        for loss in vocabulary.undivided_losses.get(method, ()):
            several = [size for size in sizes if (space.gpus(size) or 0) > 1 and _highest_weight(space, loss) != 0]
            faults += [
                f"{size}: {space.gpus(size):g} GPUs: the {loss} loss of {method} sets each pair against all others "
                f"of a step, and cannot be divided; --set fixed.{loss}{WEIGHT}=0, or give it 1"
                for size in several
            ]
    return faults


def _highest_weight(space: SearchSpace, loss: str) -> Any:
    """Return the highest factor before a loss between pairs that a trial may have; what is no number is none."""
    key = f"{loss}{WEIGHT}"
    values: tuple[Any, ...] = (space.fixed.get(key, SETTINGS[key].default if key in SETTINGS else 0),)
    searched = space.params.get(key)
    if searched is not None:
        values = (values if searched.conditions else ()) + (searched.choices or (searched.high or 0,))
    return max((value for value in values if not isinstance(value, str)), default=0)


def _parameter_faults(key: str, parameter: Parameter) -> list[str]:
    if parameter.cases:
        faults = [fault for case in parameter.cases for fault in _parameter_faults(key, case)]
        kinds = {(case.choices is None, case.log) for case in parameter.cases}
        return faults or (
            ["its cases are ranges and choices, or log and not; make them alike"] if len(kinds) > 1 else []
        )
    if parameter.choices is not None:
        if parameter.low is not None or parameter.high is not None or parameter.log:
            return ["has both choices and a range; keep one"]
        return [] if parameter.choices else ["choices: [] is empty; name at least one value"]
    if parameter.low is None or parameter.high is None:
        return ["needs `low` and `high`, or `choices`"]
    if TrialSettings.type_of(key) not in (int, float):
        return [f"takes no range; give `choices: [{SETTINGS[key].default}]`"]
    if parameter.low >= parameter.high:
        return [f"empty range: low {parameter.low} is not below high {parameter.high}; swap or widen them"]
    if parameter.log and parameter.low <= 0:
        return [f"a log range starts above 0, not at {parameter.low}; raise low"]
    return []


def _value_faults(path: Path, space: SearchSpace, vocabulary: Vocabulary) -> list[str]:
    """Check every value that a trial may get against the settings' own types and limits."""
    faults: list[str] = []
    samples = [("fixed", dict(space.fixed)), ("baseline", dict(space.baseline)), ("published", dict(space.published))]
    for key, case in ((key, case) for key, parameter in space.params.items() for case in parameter.alternatives):
        values = case.choices if case.choices is not None else (case.low, case.high)
        samples += [(f"params.{key}", {key: value}) for value in values]
    for where, sample in samples:
        faults += setting_faults(f"{path}: {where}", sample, vocabulary)
    for section in ("baseline", "published"):
        for key, value in getattr(space, section).items():
            if not faults and not _contains(_range_of(space, section, key), value):
                faults.append(f"{path}: {section}.{key}: {value!r} lies outside params.{key}; widen that range")
    return faults


def _range_of(space: SearchSpace, section: str, key: str) -> Parameter:
    """Return the range that a value of the two fixed recipes has to lie in; all of it where it is not searched."""
    first = {name: one.choices[0] for name, one in space.params.items() if one.choices}
    own = {**first, **space.published, **(space.baseline if section == "baseline" else {})}
    return space.params[key].in_trial({"method": space.method, **own}) or space.params[key]


def _contains(parameter: Parameter, value: Any) -> bool:
    if parameter.choices is not None:
        return value in parameter.choices
    assert parameter.low is not None
    assert parameter.high is not None
    return parameter.low <= float(value) <= parameter.high
