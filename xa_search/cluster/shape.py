"""The shape of a cluster file. In: a document and its kind. Out: unknown keys, missing keys, wrong values.

Ray's own schema comes from the installed Ray, without importing it; what it leaves open is in schemas/.
"""

import json
from collections.abc import Iterator
from difflib import get_close_matches
from importlib.metadata import distribution
from importlib.resources import files
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator, ValidationError

from xa_search.cluster.document import Part
from xa_search.cluster.faults import Fault
from xa_search.cluster.machines import Kind

SHOWN = 120
BY_VALIDATOR = {
    "type": "write a value of the type {expected}",
    "enum": "write one of {expected}",
    "pattern": "write a value of the form {expected}",
    "minimum": "write {expected} or more",
    "minItems": "write at least {expected}",
}


def shape_faults(kind: Kind, root: Part) -> Iterator[Fault]:
    """Yield what Ray, EC2 or Kubernetes would not take, or would take and overlook."""
    ours = json.loads((files("xa_search.cluster") / "schemas" / f"{kind}.json").read_text(encoding="utf-8"))
    yield from _faults(ours, root.value, root)
    if kind == "aws":
        yield from _faults(_ray_schema(), root.value, root)
    if kind == "local":
        # Ray itself takes this key out of a file for given machines before it looks at the schema.
        yield from _faults(
            _ray_schema(), {key: value for key, value in root.value.items() if key != "min_workers"}, root
        )


def _ray_schema() -> dict[str, Any]:
    path = Path(str(distribution("ray").locate_file("ray/autoscaler/ray-schema.json")))
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return schema


def _faults(schema: dict[str, Any], value: Any, root: Part) -> Iterator[Fault]:
    for error in Draft7Validator(schema).iter_errors(value):
        where = ".".join(map(str, error.absolute_path)) or "the file"
        part = root.at(*error.absolute_path)
        if error.validator == "additionalProperties":
            yield from _unknown_keys(error, where, part)
        elif error.validator == "required":
            name = next(
                key for key in error.validator_value if key not in error.instance and f"'{key}'" in error.message
            )
            yield Fault(part.line, "missing-key", f"{where} has no `{name}`", f"add `{name}:`")
        else:
            expected = (
                " or ".join(map(str, error.validator_value))
                if isinstance(error.validator_value, list)
                else (error.validator_value)
            )
            fix = BY_VALIDATOR.get(str(error.validator), "correct this value").format(expected=expected)
            yield Fault(part.line, "wrong-value", f"{where}: {error.message[:SHOWN]}", fix)


def _unknown_keys(error: ValidationError, where: str, part: Part) -> Iterator[Fault]:
    known = list(error.schema.get("properties", {}))
    for key in error.instance:
        if key not in known:
            close = get_close_matches(str(key), known, n=1)
            fix = f"did you mean `{close[0]}`?" if close else "take it out, or move it to where it belongs"
            yield Fault(part.at(key).line, "unknown-key", f"`{key}` is no key of {where}", fix)
