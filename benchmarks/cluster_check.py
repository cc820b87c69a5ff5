"""What the check of cluster files finds. In: broken_clusters.yaml. Out: a table of files, lines, faults and fixes.

python benchmarks/cluster_check.py [--out benchmarks/results/cluster_check.md]
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from xa_search.cluster.check import RULES, check_text
from xa_search.cluster.cluster_file import Fault

HERE = Path(__file__).resolve().parent
CLUSTER = HERE.parent / "cluster"


@dataclass(frozen=True)
class Broken:
    """One edit of a good file, and the rule that must find it on the first line that holds `at`."""

    defect: str
    file: str
    rule: str
    at: str
    old: str
    new: str
    also: tuple[str, ...] = ()
    every: bool = False

    @property
    def text(self) -> str:
        """The broken file."""
        good = (CLUSTER / self.file).read_text(encoding="utf-8")
        if self.old not in good:
            raise ValueError(f"{self.defect}: {self.file} does not hold {self.old!r}")
        return good.replace(self.old, self.new, -1 if self.every else 1)

    @property
    def line(self) -> int:
        """The line on which the fault must be reported."""
        return next(number for number, line in enumerate(self.text.splitlines(), 1) if self.at in line)


def broken_clusters() -> list[Broken]:
    """Return all broken files."""
    rows = yaml.safe_load((HERE / "broken_clusters.yaml").read_text(encoding="utf-8"))
    return [Broken(**{**row, "also": tuple(row.get("also", ()))}) for row in rows]


def table(found: list[tuple[Broken, list[Fault]]]) -> str:
    """Return the findings as Markdown."""
    rows = [
        f"| {broken.defect} | {broken.file} | {fault.line} | {fault.rule} | {fault.what} | {fault.fix} |"
        for broken, faults in found
        for fault in faults
        if fault.rule == broken.rule and fault.line == broken.line
    ]
    return "\n".join(["| broken by | file | line | rule | fault | fix |", "|---|---|---|---|---|---|", *rows])


def refused_by_ray(text: str) -> bool:
    """Whether Ray's own validation, which `ray up` runs before anything else, does not take a file."""
    try:
        validate_config(prepare_config(yaml.safe_load(text)))
    except (Exception, SystemExit):
        return True
    return False


def report() -> str:
    """Return the rules, what was found in each broken file, and in the good ones."""
    found = [(broken, list(check_text(broken.text).faults)) for broken in broken_clusters()]
    hit = [broken for broken, faults in found if any((f.rule, f.line) == (broken.rule, broken.line) for f in faults)]
    launched = [broken for broken, _ in found if broken.file != "kuberay.yaml"]
    refused = sum(refused_by_ray(broken.text) for broken in launched)
    good = {path.name: check_text(path.read_text(encoding="utf-8")) for path in sorted(CLUSTER.glob("*.yaml"))}
    clean = ", ".join(f"{name} {len(result.faults)}" for name, result in good.items())
    rules = "\n".join(f"| {rule.name} | {', '.join(sorted(rule.kinds))} | {rule.protects} |" for rule in RULES)
    return f"""# What `xa-search cluster check` finds
    python benchmarks/cluster_check.py --out benchmarks/results/cluster_check.md

{len(hit)} of {len(found)} broken files were found by the right rule on the right line; rules and edits were written
together, so this shows that the rules do what they say, not how many faults of other people's files they find. Of the
{len(launched)} that are for `ray up`, Ray's own validation refuses {refused}. Faults in the files as they are: {clean}.

## Rules
Besides `syntax`, `duplicate-key`, `no-cluster-file`, `unknown-key`, `missing-key` and `wrong-value`.

| rule | files | protects from |
|---|---|---|
{rules}

## Broken files
Each is one edit of a file in `cluster/`; `benchmarks/broken_clusters.yaml` holds the edits.

{table(found)}
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path)
    out = parser.parse_args().out
    if out is None:
        print(report())
    else:
        out.write_text(report(), encoding="utf-8")


if __name__ == "__main__":
    main()
