"""The plan of a search. In: a search-space file and the command line's changes. Out: one frozen, validated Plan.

The values are those of the paper (arXiv 2105.02472) and of the settings files that its authors published. What still
differs from their code is said in docs/methods.md.

Every fault in a search space is reported at once, each in one line that names file, key, value and what to type.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from xa_search.config.shipped import SPACES
from xa_search.config.validation import shape_faults, space_faults, with_types
from xa_search.config.yaml_files import BrokenYamlError, is_file, load_yaml, load_yaml_file
from xa_search.errors import UsageError
from xa_search.records import Plan, SearchSpace, Vocabulary

EVERYWHERE: dict[str, Any] = {
    "align_weight": 1.0,
    "align_distance": "mse",
    "pairing": "independent",
    "embedding": "pooler",
    "padding": "attended",
    "schedule": "one_cycle",
    "warmup": 0.3,
    "clip_norm": 1.0,
    "dropout": 0.1,
    "head_dropout": 0.0,
    "head_learning_rate_factor": 1.0,
    "batch_size": 10,
    "epochs": 10,
    "learning_rate": 2e-5,
    "max_tokens": 70,
    "kept_epoch": "last",
    "decoding": "argmax",
    "slot_loss": "cross_entropy",
    "label_smoothing": 0.0,
    "heads": "random",
    "frozen_share": 0.0,
    "models": "each",
}
BY_CORPUS: dict[str, dict[str, Any]] = {
    "mtop": {},
    "mtop-mini": {},
    "mtod": {"learning_rate": 5e-6, "epochs": 5, "max_tokens": 50},
    "multiatis": {"max_tokens": 100},
    "pawsx": {"learning_rate": 6e-6, "batch_size": 4, "max_tokens": 200},
}
"""What differs by corpus; the bundled one is taken for MTOP, whose format it has."""
NAMES = ("published",)


def with_recipe(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the space with its recipe's settings in place of its own.

    What is searched stays searched: there the recipe is what the baseline and the published trial take.
    """
    name, corpus = raw.get("recipe"), raw.get("corpus")
    if name is None:
        return dict(raw)
    if name not in NAMES:
        raise UsageError(f"recipe: {name!r} is unknown; there is {', '.join(NAMES)}")
    if corpus not in BY_CORPUS:
        raise UsageError(f"recipe: {name}: the paper has no settings for {corpus}; it has {', '.join(BY_CORPUS)}")
    settings = EVERYWHERE | BY_CORPUS[corpus]
    searched = raw.get("params") or {}
    of_two_trials = {key: value for key, value in settings.items() if key in searched}
    kept = {key: value for key, value in (raw.get("fixed") or {}).items() if key not in of_two_trials}
    fixed = {key: value for key, value in settings.items() if key not in searched}
    changed = {key: (raw.get(key) or {}) | of_two_trials for key in ("baseline", "published")}
    return {**raw, **changed, "fixed": kept | fixed}


def space_names() -> list[str]:
    """Return the names of the search spaces that come with the program."""
    return sorted(path.stem for path in SPACES.glob("*.yaml"))


def read_plan(space: str, changes: tuple[str, ...], vocabulary: Vocabulary, **options: Any) -> Plan:
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
        raise UsageError("\n".join(shape_faults(path, error))) from None
    parsed = with_types(parsed)
    if faults := space_faults(path, parsed, vocabulary):
        raise UsageError("\n".join(faults))
    if not re.fullmatch(r"[\w.-]+", path.stem):
        raise UsageError(f"{path}: the name {path.stem!r} names the search; use letters, digits, '.', '_' and '-' only")
    return Plan(name=path.stem, space=parsed, **options)


def _find_space(space: str) -> Path:
    given = Path(space)
    if given.suffix in {".yaml", ".yml"}:
        if not is_file(given):
            raise UsageError(f"search space {space!r}: no such file; give a YAML file or one of {_listed()}")
        return given.resolve()
    path = SPACES / f"{space}.yaml"
    if not is_file(path):
        close = get_close_matches(space, space_names(), n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"type one of {_listed()}, or the path of a YAML file"
        raise UsageError(f"search space {space!r} is unknown; {hint}")
    return path


def _listed() -> str:
    return ", ".join(space_names())


def _read_with_parents(path: Path, children: tuple[Path, ...]) -> dict[str, Any]:
    if path in children:
        raise UsageError(f"{path}: extends: the files extend one another in a circle; remove one `extends`")
    raw = load_yaml_file(path, _text_of(path))
    if not isinstance(raw, dict):
        raise UsageError(f"{path}: holds no `key: value` lines; copy {SPACES / 'mtop-mini.yaml'} to begin with")
    parent = raw.pop("extends", None)
    if parent is None:
        return _merged(with_recipe(raw), raw)
    beside = path.parent / f"{parent}.yaml"
    parent_path = beside if is_file(beside) else _find_space(str(parent))
    inherited = _read_with_parents(parent_path, (*children, path))
    if not {"recipe", "corpus"}.isdisjoint(raw):
        # A recipe lies between what a space inherits and its own lines, which count.
        asked = {key: raw[key] for key in ("recipe", "corpus", "params") if key in raw}
        inherited = with_recipe(_merged(inherited, asked))
    return _merged(inherited, raw)


def _text_of(path: Path) -> str:
    """Return what stands in a file. Raises UsageError where it was saved in another encoding than UTF-8."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 at byte {error.start + 1}; save it as UTF-8") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    if "\0" in text:
        raise UsageError(f"{path}: not UTF-8, but UTF-16 or no text at all; save it as UTF-8")
    return text


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
        place[last] = load_yaml(text)
    except BrokenYamlError:
        raise UsageError(f"--set {change!r}: {text!r} is no YAML value; quote it") from None
