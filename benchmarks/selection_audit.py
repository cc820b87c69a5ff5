"""Which selection rule picks best? In: a space, seeds. Out: searches with `audit: all`, and their audits pooled.

    python benchmarks/selection_audit.py --home DIR --space mtop-mini --seeds 1 2 --trials 8 \
        --out benchmarks/results/selection_audit.json

Each search runs all its trials to the end in this process, one thread: a stopped trial could not be picked. What is
finished is not done again: the same command goes on. It says first what a search will take, by `--trial-seconds`, and
at the end what each took. Rules are held against test scores once a search has its winner; nothing is chosen by them.
"""

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

import torch
from machine import describe_machine
from results_file import command_line, write_json

from xa_search.claims.audit import SelectionAudit
from xa_search.claims.audit_report import pool, read_audit, write_pooled
from xa_search.cli.json_progress import JsonProgress
from xa_search.records import Plan
from xa_search.workflows.plan import make_plan
from xa_search.workflows.run import run_search

END_OVER_TRIAL = 1.5
"""What testing a trial's model on all languages takes beside training it, at most, on the corpora tried."""
TIMES = "selection_audit_seconds.json"


def plan_of(given: argparse.Namespace, seed: int) -> Plan:
    changes = (f"trials={given.trials}", "audit=all", f"keep={given.trials}", "scheduler={}", *given.set)
    return make_plan(given.space, changes, home=given.home, data=given.data, seed=seed, local=True)


def audited(plan: Plan) -> tuple[SelectionAudit, float]:
    """Run a search to its audit, or find it; return also the seconds that it took, over all interruptions."""
    path = plan.directory / TIMES
    try:
        found = read_audit(plan.directory / "report", plan.search_id)
        return found, float(json.loads(path.read_text(encoding="utf-8")))
    except (Exception, SystemExit):
        start = time.monotonic()
    earlier = float(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else 0.0
    try:
        with JsonProgress(plan) as progress:
            run_search(plan, progress)
    finally:
        plan.directory.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(earlier + time.monotonic() - start), encoding="utf-8")
    return read_audit(plan.directory / "report", plan.search_id), earlier + time.monotonic() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--space", default="mtop-mini")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--trial-seconds", type=float, default=120.0)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    given.home = given.home.absolute()
    each = given.trials * given.trial_seconds * END_OVER_TRIAL
    print(f"about {each / 60:.0f} minutes a search, {len(given.seeds)} searches", flush=True)
    found: list[tuple[SelectionAudit, float]] = []
    for seed in given.seeds:
        found.append(audited(plan_of(given, seed)))
        pooled = pool([one for one, _ in found])
        content = {
            "command": command_line(),
            "machine": describe_machine(torch.device("cpu"), 1),
            "seconds": [seconds for _, seconds in found],
            "pooled": asdict(pooled),
            "verdict": pooled.verdict,
            "audits": [asdict(one) for one, _ in found],
        }
        write_json(given.out, content)
        write_pooled(pooled, given.home / "pooled")
        print(f"seed {seed}: {found[-1][1]:.0f} s; {pooled.verdict}", flush=True)


if __name__ == "__main__":
    main()
