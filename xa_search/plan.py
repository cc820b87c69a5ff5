"""The plan of a search. In: a search-space file and the command line's changes. Out: one frozen, validated Plan.

Every fault in a search space is reported at once, each in one line that names file, key, value and what to type.
"""

import re
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from xa_search.errors import UsageError, value_faults
from xa_search.recipes import with_recipe
from xa_search.records import Asha, Method, Parameter, Plan, Scheduler, SearchSpace, SizeResources, TrialSettings

# In a checkout the spaces lie beside the package, in an installed wheel among the environment's shared files.
_CHECKOUT = Path(__file__).resolve().parents[1] / "search_spaces"
SPACES = _CHECKOUT if _CHECKOUT.is_dir() else Path(sys.prefix) / "share" / "xa-search" / "search_spaces"
METHODS: tuple[str, ...] = get_args(Method)
SETTINGS = TrialSettings.model_fields
DEFAULT_HOME = Path.home() / ".xa-search"
NOT_SEARCHED = {"train_limit", "dev_limit", "test_limit", "held_out", "max_tokens"}


def space_names() -> list[str]:
    """Return the names of the search spaces that come with the program."""
    return sorted(path.stem for path in SPACES.glob("*.yaml"))


def make_plan(space: str, changes: tuple[str, ...] = (), **options: Any) -> Plan:
    """Read the search space called `space` (a name or a YAML file), apply `KEY=VALUE` changes, and validate.

    Raises UsageError with one line a fault.
    """
    path = _find_space(space)
    raw = _read_with_parents(path, ())
    for change in changes:
        _apply_change(raw, change)
    if any(change.startswith(("recipe=", "corpus=")) for change in changes):
        raw = with_recipe(raw)
        for change in changes:
            _apply_change(raw, change)
    raw = {key: value for key, value in raw.items() if value is not None}
    try:
        parsed = SearchSpace.model_validate(raw)
    except ValidationError as error:
        raise UsageError("\n".join(_space_faults(path, error))) from None
    if faults := _check_space(path, parsed):
        raise UsageError("\n".join(faults))
    if not re.fullmatch(r"[\w.-]+", path.stem):
        raise UsageError(f"{path}: the name {path.stem!r} names the search; use letters, digits, '.', '_' and '-' only")
    return Plan(name=path.stem, space=parsed, **options)


def _find_space(space: str) -> Path:
    given = Path(space)
    if given.suffix in {".yaml", ".yml"}:
        if not given.is_file():
            raise UsageError(f"search space {space!r}: no such file; give a YAML file or one of {_listed()}")
        return given.resolve()
    path = SPACES / f"{space}.yaml"
    if not path.is_file():
        close = get_close_matches(space, space_names(), n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"type one of {_listed()}, or the path of a YAML file"
        raise UsageError(f"search space {space!r} is unknown; {hint}")
    return path


def _listed() -> str:
    return ", ".join(space_names())


def _read_with_parents(path: Path, children: tuple[Path, ...]) -> dict[str, Any]:
    if path in children:
        raise UsageError(f"{path}: extends: the files extend one another in a circle; remove one `extends`")
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f":{where.line + 1}" if where else ""
        raise UsageError(f"{path}{line}: not valid YAML ({getattr(error, 'problem', error)}); mend that line") from None
    if not isinstance(raw, dict):
        raise UsageError(f"{path}: holds no `key: value` lines; copy {SPACES / 'mtop-mini.yaml'} to begin with")
    parent = raw.pop("extends", None)
    if parent is None:
        return _merged(with_recipe(raw), raw)
    beside = path.parent / f"{parent}.yaml"
    parent_path = beside if beside.is_file() else _find_space(str(parent))
    inherited = _read_with_parents(parent_path, (*children, path))
    if not {"recipe", "corpus"}.isdisjoint(raw):
        # A recipe lies between what a space inherits and its own lines, which count.
        asked = {key: raw[key] for key in ("recipe", "corpus", "params") if key in raw}
        inherited = with_recipe(_merged(inherited, asked))
    return _merged(inherited, raw)


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict) and key != "params"
        if key == "params" and isinstance(merged.get(key), dict) and isinstance(value, dict):
            merged[key] = {**merged[key], **value}
        else:
            merged[key] = _merged(merged[key], value) if both else value
    return merged


def _apply_change(raw: dict[str, Any], change: str) -> None:
    key, separator, text = change.partition("=")
    if not separator or not key:
        raise UsageError(f"--set {change!r}: write KEY=VALUE, for example --set fixed.epochs=3")
    place = raw
    *parents, last = key.split(".")
    for parent in parents:
        place = place.setdefault(parent, {})
        if not isinstance(place, dict):
            raise UsageError(f"--set {change!r}: {parent} is a value, it has no keys below it")
    try:
        place[last] = yaml.safe_load(text)
    except yaml.YAMLError:
        raise UsageError(f"--set {change!r}: {text!r} is no YAML value; quote it") from None


def _space_faults(path: Path, error: ValidationError) -> list[str]:
    faults = []
    for fault in error.errors():
        key = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            known = _known_keys(fault["loc"])
            faults.append(f"{path}: {key}: unknown key; {_suggestion(str(fault['loc'][-1]), known)}")
        elif fault["type"] == "missing":
            faults.append(f"{path}: {key}: missing; add `{key}: ...`")
        else:
            faults.append(f"{path}: {key}: {fault['input']!r}: {fault['msg'].lower()}; correct this value")
    return faults


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


def _suggestion(key: str, known: list[str]) -> str:
    close = get_close_matches(key, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"valid: {', '.join(known)}"


def _check_space(path: Path, space: SearchSpace) -> list[str]:
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
    faults += [f"{path}: resources.{fault}" for fault in _resource_faults(space)]
    if space.method not in METHODS:
        faults.append(f"{path}: method: {space.method!r} is unknown; {_suggestion(space.method, list(METHODS))}")
    if faults:
        return faults
    for key, parameter in space.params.items():
        faults += [f"{path}: params.{key}: {fault}" for fault in _parameter_faults(key, parameter)]
    return faults or _value_faults(path, space)


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
    most = space.fixed.get("contrastive_weight", 1) if weight is None else max(weight.choices or (weight.high or 0,))
    if "cross_aligner" in space.methods and most != 0:
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
