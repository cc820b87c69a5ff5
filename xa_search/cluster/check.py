"""The check of a cluster file. In: a file. Out: its faults, all at once, and values that are only examples."""

import re
from collections.abc import Iterator
from pathlib import Path

from xa_search.cluster.access import ACCESS
from xa_search.cluster.document import BrokenYamlError, Part, read_document
from xa_search.cluster.faults import Example, Fault, Report
from xa_search.cluster.machines import kind_of, read_cluster
from xa_search.cluster.scaling import SCALING
from xa_search.cluster.shape import shape_faults
from xa_search.cluster.software import SOFTWARE
from xa_search.cluster.storage import STORAGE
from xa_search.errors import UsageError

RULES = SCALING + SOFTWARE + STORAGE + ACCESS
KNOWN = "write provider: {type: aws}, provider: {type: local}, or kind: RayJob"
# Documentation's own addresses and names, and ids that count up: what the files of cluster/ are shipped with.
EXAMPLES = re.compile(r"\b(?:sg|fs)-0123456789abcdef0\b|\b192\.0\.2\.\d+\b|\b[\w.-]+\.example\.(?:com|org)\b[\w./:-]*")


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


def _faults(root: Part) -> Iterator[Fault]:
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


def _examples(root: Part) -> Iterator[Example]:
    seen = set()
    for part in root.walk():
        for value in EXAMPLES.findall(part.text):
            if value not in seen:
                seen.add(value)
                yield Example(part.line, value)
