"""What is wrong with a search space. In: its file, and what was read from it. Out: all faults, one a line.

Each names file, key, value and what to type.
"""

from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from xa_search.errors import value_faults
from xa_search.records import FIELDS, Asha, Method, Parameter, Scheduler, SearchSpace, SizeResources, TrialSettings

METHODS: tuple[str, ...] = get_args(Method)
SETTINGS = TrialSettings.model_fields
OWN = ("own", "jsonl")
NOT_SEARCHED = {"train_limit", "dev_limit", "test_limit", "held_out", "max_tokens"}


def shape_faults(path: Path, error: ValidationError) -> list[str]:
    """Return what keeps a file from being a search space at all."""
    faults = []
    for fault in error.errors():
        key = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
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
        word = "yes" if value else "no"
        return f"YAML may read a bare {word} so; quote it: '{word}'"
    if kind == "tuple_type" and isinstance(value, str | int | float):
        return f"a list is wanted; write [{value}]"
    return f"{message.lower()}; correct this value"


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    models: dict[str, type[BaseModel]] = {
        "params": Parameter,
        "scheduler": Scheduler,
        "asha": Asha,
        "resources": SizeResources,
    }
    for part in reversed(location[:-1]):
        if part in models:
            return list(models[str(part)].model_fields)
    return list(SearchSpace.model_fields) + ["extends"]


def with_types(space: SearchSpace) -> SearchSpace:
    """Return the space with the settings that YAML read as text in their own type: `1e-4` is a text in YAML 1.1.

    A value that its setting does not take stays as it is, to be named among the faults.
    """
    params = {
        key: parameter
        if parameter.choices is None
        else parameter.model_copy(update={"choices": tuple(_typed(key, value) for value in parameter.choices)})
        for key, parameter in space.params.items()
    }
    sections = {
        name: {key: _typed(key, value) for key, value in getattr(space, name).items()}
        for name in ("fixed", "baseline", "published")
    }
    return space.model_copy(update={"params": params, **sections})


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


def space_faults(path: Path, space: SearchSpace) -> list[str]:
    """Return what is wrong with a space that has the right keys and types."""
    faults = []
    for section, values in (("params", space.params), ("fixed", space.fixed)):
        for key in values:
            if key == "method" and section == "fixed":
                faults.append(f"{path}: fixed.method: is no setting of `fixed`; write `method: {values[key]}`")
            elif key not in SETTINGS:
                faults.append(f"{path}: {section}.{key}: unknown setting; {_suggestion(key, list(SETTINGS))}")
    for section, values in (("baseline", space.baseline), ("published", space.published)):
        for key in values:
            if key not in space.params:
                faults.append(f"{path}: {section}.{key}: is not searched; {_suggestion(key, list(space.params))}")
    for key in space.params:
        if key in space.fixed:
            faults.append(f"{path}: {key}: stands in both params and fixed; remove one of them")
        if key in NOT_SEARCHED:
            faults.append(f"{path}: params.{key}: decides what is compared and cannot be searched; move it to fixed")
    if space.source in space.targets or len(set(space.targets)) != len(space.targets):
        faults.append(f"{path}: targets: {list(space.targets)} must be distinct and without the source {space.source}")
    faults += [f"{path}: held_out: {fault}" for fault in _held_out_faults(space)]
    faults += [f"{path}: columns{fault}" for fault in _column_faults(space)]
    faults += [f"{path}: resources.{fault}" for fault in _resource_faults(space)]
    if space.method not in METHODS:
        faults.append(f"{path}: method: {space.method!r} is unknown; {_suggestion(space.method, list(METHODS))}")
    if faults:
        return faults
    for key, parameter in space.params.items():
        faults += [f"{path}: params.{key}: {fault}" for fault in _parameter_faults(key, parameter)]
    return faults or _value_faults(path, space)


def _column_faults(space: SearchSpace) -> list[str]:
    if space.columns and space.corpus not in OWN:
        return [f": {space.corpus} has columns of its own; remove `columns`, or write `corpus: {OWN[0]}`"]
    return [
        f".{key}: no field of a row has this name; {_suggestion(key, list(FIELDS))}"
        for key in space.columns
        if key not in FIELDS
    ]


def _held_out_faults(space: SearchSpace) -> list[str]:
    faults = []
    for lang in dict.fromkeys(space.held_out):
        if lang == space.source:
            faults.append(f"{lang!r} is the source, which is learned from; take it out of held_out")
        if lang in space.targets:
            faults.append(f"{lang!r} is also a target, which is aligned; take it out of targets or of held_out")
        if space.held_out.count(lang) > 1:
            faults.append(f"{lang!r} is given twice; give it once")
    return faults


def _resource_faults(space: SearchSpace) -> list[str]:
    sizes = list(space.model_sizes)
    faults = [f"{size}: no trial has this size; {_suggestion(size, sizes)}" for size in space.resources.keys() - sizes]
    weight = space.params.get("contrastive_weight")
    values = (space.fixed.get("contrastive_weight", 1),) if weight is None else weight.choices or (weight.high or 0,)
    if "cross_aligner" in space.methods and any(value != 0 for value in values if not isinstance(value, str)):
        for size in sizes:
            if (gpus := space.gpus(size) or 0) > 1:
                faults.append(
                    f"{size}: {gpus:g} GPUs: the contrastive loss of cross_aligner sets each pair against all others "
                    "of a step, and cannot be divided; --set fixed.contrastive_weight=0, or give it 1"
                )
    return faults


def _parameter_faults(key: str, parameter: Parameter) -> list[str]:
    if parameter.choices is not None:
        if parameter.low is not None or parameter.high is not None or parameter.log:
            return ["has both choices and a range; keep one"]
        return [] if parameter.choices else ["choices: [] is empty; name at least one value"]
    if parameter.low is None or parameter.high is None:
        return ["needs `low` and `high`, or `choices`"]
    if SETTINGS[key].annotation not in (int, float):
        return [f"takes no range; give `choices: [{SETTINGS[key].default}]`"]
    if parameter.low >= parameter.high:
        return [f"empty range: low {parameter.low} is not below high {parameter.high}; swap or widen them"]
    if parameter.log and parameter.low <= 0:
        return [f"a log range starts above 0, not at {parameter.low}; raise low"]
    return []


def _value_faults(path: Path, space: SearchSpace) -> list[str]:
    """Check every value that a trial may get against the settings' own types and limits."""
    faults: list[str] = []
    samples = [("fixed", dict(space.fixed)), ("baseline", dict(space.baseline)), ("published", dict(space.published))]
    for key, parameter in space.params.items():
        values = parameter.choices if parameter.choices is not None else (parameter.low, parameter.high)
        samples += [(f"params.{key}", {key: value}) for value in values]
    for where, sample in samples:
        try:
            TrialSettings.model_validate(sample)
        except ValidationError as error:
            faults += value_faults(f"{path}: {where}", error)
    for section in ("baseline", "published"):
        for key, value in getattr(space, section).items():
            if not faults and not _contains(space.params[key], value):
                faults.append(f"{path}: {section}.{key}: {value!r} lies outside params.{key}; widen that range")
    return faults


def _contains(parameter: Parameter, value: Any) -> bool:
    if parameter.choices is not None:
        return value in parameter.choices
    assert parameter.low is not None
    assert parameter.high is not None
    return parameter.low <= float(value) <= parameter.high
