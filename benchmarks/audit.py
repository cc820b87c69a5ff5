"""The locked versions against known advisories. In: constraints.txt, an index. Out: a line an advisory, an exit code.

    make audit

Asks the index's JSON interface (https://docs.pypi.org/api/json/) for each version, which PyPI fills from the Python
Packaging Advisory Database. Exit codes: 0 asked of all and none known, 1 some known, 3 not asked: the index does not
serve that. A mirror often serves files alone: then nothing was checked, and this says so at the first package.
"""

import argparse
import json
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from xa_search.cluster.software_rules import locked_versions

PYPI = "https://pypi.org/pypi"
SECONDS = 30.0
KNOWN, NOT_ASKED = 1, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """A known fault of a version, and the versions that are free of it."""

    package: str
    version: str
    name: str
    fixed_in: tuple[str, ...]
    summary: str

    @property
    def line(self) -> str:
        """What to read and what to do."""
        mend = f"fixed in {', '.join(self.fixed_in)}" if self.fixed_in else "no version is free of it yet"
        return f"{self.package} {self.version}: {self.name}; {mend}; {self.summary}"


class NotServedError(Exception):
    """The index does not tell of advisories."""


def advisories(index: str, package: str, version: str) -> Iterator[Advisory]:
    """Yield what is known of a version, but for what was withdrawn. Raises NotServedError."""
    address = f"{index}/{package}/{version}/json"
    try:
        with urllib.request.urlopen(address, timeout=SECONDS) as answer:
            found: dict[str, Any] = json.load(answer)
    except (OSError, ValueError) as error:
        raise NotServedError(f"{address} ({error})") from None
    if "vulnerabilities" not in found:
        raise NotServedError(f"{address} (it names no vulnerabilities)")
    for one in found["vulnerabilities"]:
        if not one.get("withdrawn"):
            summary = " ".join((one.get("summary") or one.get("details") or "").split())[:120]
            fixed = tuple(one.get("fixed_in") or ())
            yield Advisory(package=package, version=version, name=one["id"], fixed_in=fixed, summary=summary)


def audit(index: str, locked: Mapping[str, str]) -> int:
    """Print what is known of the locked versions, and return the exit code."""
    found = []
    for place, (package, version) in enumerate(locked.items()):
        try:
            found += advisories(index, package, version)
        except NotServedError as error:
            for one in found:
                print(one.line)
            print(f"not checked: {len(locked) - place} of {len(locked)} versions; the index does not serve {error}")
            return NOT_ASKED
    for one in found:
        print(one.line)
    print(f"{len(found)} known advisories for the {len(locked)} versions of constraints.txt")
    return KNOWN if found else 0


def main() -> None:
    """Check, and end with the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--index", default=PYPI, help="Where the index answers in JSON.")
    sys.exit(audit(parser.parse_args().index.rstrip("/"), locked_versions()))


if __name__ == "__main__":
    main()
