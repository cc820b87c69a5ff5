"""The check of a cluster file. In: a file. Out: its faults, all at once, and values that are only examples.

Ray's own schema comes from the installed Ray, without importing it; what it leaves open is in schemas/.
"""

import json
import re
from collections.abc import Iterator
from difflib import get_close_matches
from importlib.metadata import distribution
from importlib.resources import files
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator, ValidationError

from xa_search.cluster.access_rules import ACCESS
from xa_search.cluster.capacity_rules import SCALING, STORAGE
from xa_search.cluster.cluster_file import Example, Fault, Kind, Report, kind_of, read_cluster
from xa_search.cluster.document import YamlNode, read_document
from xa_search.cluster.software_rules import SOFTWARE
from xa_search.config.yaml_files import BrokenYamlError
from xa_search.errors import UsageError

SHOWN = 120
BY_VALIDATOR = {
    "type": "write a value of the type {expected}",
    "enum": "write one of {expected}",
    "pattern": "write a value of the form {expected}",
    "minimum": "write {expected} or more",
    "minItems": "write at least {expected}",
}
RULES = SCALING + SOFTWARE + STORAGE + ACCESS
KNOWN = "write provider: {type: aws}, provider: {type: local}, or kind: RayJob"
# Documentation's own addresses and names, and ids that count up: what the files of cluster/ are shipped with.
EXAMPLES = re.compile(r"\b(?:sg|fs)-0123456789abcdef0\b|\b192\.0\.2\.\d+\b|\b[\w.-]+\.example\.(?:com|org)\b[\w./:-]*")


def shape_faults(kind: Kind, root: YamlNode) -> Iterator[Fault]:
    """Yield what Ray, EC2 or Kubernetes would not take, or would take and overlook."""
    ours = json.loads((files("xa_search.cluster") / "schemas" / f"{kind}.json").read_text(encoding="utf-8"))
    yield from _schema_faults(ours, root.value, root)
    if kind == "aws":
        yield from _schema_faults(_ray_schema(), root.value, root)
    if kind == "local":
        # Ray itself takes this key out of a file for given machines before it looks at the schema.
        yield from _schema_faults(
            _ray_schema(), {key: value for key, value in root.value.items() if key != "min_workers"}, root
        )


def _ray_schema() -> dict[str, Any]:
    path = Path(str(distribution("ray").locate_file("ray/autoscaler/ray-schema.json")))
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return schema


def _schema_faults(schema: dict[str, Any], value: Any, root: YamlNode) -> Iterator[Fault]:
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


def _unknown_keys(error: ValidationError, where: str, part: YamlNode) -> Iterator[Fault]:
    known = list(error.schema.get("properties", {}))
    for key in error.instance:
        if key not in known:
            close = get_close_matches(str(key), known, n=1)
            fix = f"did you mean `{close[0]}`?" if close else "take it out, or move it to where it belongs"
            yield Fault(part.at(key).line, "unknown-key", f"`{key}` is no key of {where}", fix)


def check_file(path: Path) -> Report:
    """Return what is wrong with a cluster file."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no text"
        raise UsageError(f"{path}: {reason}; give a cluster file, such as cluster/gpu.yaml") from None
    return check_text(text)


def check_text(text: str) -> Report:
    """Return what is wrong with the text of a cluster file."""
    try:
        root = read_document(text)
    except BrokenYamlError as error:
        return Report((Fault(error.line, "syntax", f"no YAML: {error}", "correct this line or the one before"),))
    return Report(tuple(sorted(set(_faults(root)))), tuple(_examples(root)))


def _faults(root: YamlNode) -> Iterator[Fault]:
    for part in root.walk():
        for name, line in part.repeated:
            yield Fault(line, "duplicate-key", f"`{name}` stands here a second time: the first is lost", "keep one")
    kind = kind_of(root)
    if kind is None:
        where = root.at("provider", "type") if root.at("provider", "type").present else root.at("kind")
        yield Fault(where.line, "no-cluster-file", f"{where.text or 'this'} is no cluster file known here", KNOWN)
        return
    yield from shape_faults(kind, root)
    cluster = read_cluster(kind, root)
    for rule in RULES:
        yield from rule.faults(cluster)


def _examples(root: YamlNode) -> Iterator[Example]:
    seen = set()
    for part in root.walk():
        for value in EXAMPLES.findall(part.text):
            if value not in seen:
                seen.add(value)
                yield Example(part.line, value)
