"""What the commands about begun searches show. In: records. Out: tables and lines. Used by the command line alone."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from xa_search.cli.display import describe, ended_of, say, scored, short
from xa_search.cli.light_tables import print_table
from xa_search.records import TrialRecord
from xa_search.search.budgets import format_bytes
from xa_search.search.node_check import SHOWN
from xa_search.search.study import JOURNAL

if TYPE_CHECKING:
    from xa_search.claims.audit_report import PooledAudit
    from xa_search.search.history import SearchHistory
    from xa_search.training.inspection import Inspection
    from xa_search.workflows.check_claims import CheckedClaims
    from xa_search.workflows.doctor import Diagnosis
    from xa_search.workflows.explain import Explanation
    from xa_search.workflows.maintenance import Cleaned, Synced
    from xa_search.workflows.replay import Replay, ReplayedEpoch


def print_searches(searches: "Sequence[SearchHistory]", without_trials: Sequence[Path]) -> None:
    """Print one line a search, and the folders that hold none that can be read."""
    for folder in without_trials:
        say(unread_line(folder))
    if not searches:
        say("no search yet; `xa-search run mtop-mini` begins one")
        return
    columns = ["search", "state", "ended", "by state", "best", "GPU hours", "last change"]
    rows = []
    for search in searches:
        changed = f"{datetime.fromtimestamp(search.changed):%Y-%m-%d %H:%M}"
        counts = [f"{search.ended}/{search.wanted}", _by_state(search.trials)]
        rows.append([search.search_id, search.state, *counts, _best(search), short(search.spent.gpu_hours), changed])
    print_table("Searches, the newest first; scores in percent", columns, rows)
    say(f"more: xa-search status {searches[0].search_id}")


def unread_line(folder: Path) -> str:
    """Say that a folder holds no search that can be read."""
    return f"{folder}: no trial yet, or a damaged {JOURNAL}; the same `xa-search run` resumes it, or says which"


def print_search(search: "SearchHistory", waiting: int | None) -> None:
    """Print the trials of a search and its results so far; `waiting` events are still to go to MLflow."""
    rows = [
        [str(trial.number), describe(trial), trial.state, f"{len(trial.scores)}/{trial.settings.epochs}"]
        + [scored(trial), f"{trial.seconds:.0f}"]
        for trial in search.trials
    ]
    columns = ["trial", "parameters", "state", "epochs", "score", "seconds"]
    print_table(f"{search.search_id}: {_state(search)}", columns, rows)
    say(f"{ended_of(search.ended, search.wanted)}: {_by_state(search.trials)}")
    say(f"best so far: {_best(search)}")
    spent = search.spent
    hours, trial_hours = spent.wall_seconds / 3600, spent.trial_seconds / 3600
    say(f"spent: {hours:.2f} h on the wall, {trial_hours:.2f} h in trials, {spent.gpu_hours:.2f} GPU hours")
    for line in _failures(search.trials):
        say(line)
    if waiting is None:
        say("MLflow: the spool is damaged; `xa-search sync` says where")
    else:
        say(f"MLflow: {waiting} events wait; xa-search sync {search.search_id}" if waiting else "MLflow has everything")


def print_explanation(search: "SearchHistory", explanation: "Explanation") -> None:
    """Print why a trial ended, and what a better one had."""
    trial = explanation.trial
    first, *others = explanation.lines
    say(f"trial {trial.number} of {search.search_id} ({describe(trial)}) {first}")
    for line in others:
        say(line)
    if explanation.traceback is not None:
        say(f"traceback: {explanation.traceback}")
    near = explanation.neighbour
    if near is None:
        say("no trial scored better" if trial.score is not None else "no trial has a score to compare it with")
        return
    other = near.trial
    say(f"the nearest better trial: {other.number} ({describe(other)}), {other.state}, score {scored(other)}")
    say(f"they differ most in {near.setting}: {short(near.own)} here, {short(near.theirs)} there")


def print_synced(search: "SearchHistory", synced: "Synced") -> None:
    """Print what MLflow got of a search, and what still waits."""
    state = synced.state
    say(f"{search.search_id}: {state.given} events given to MLflow, {state.left} left")
    if synced.caught_up:
        say(f"  {synced.caught_up} trials were missing in MLflow or differed from the search")
    if synced.was_abandoned:
        say("  MLflow showed the run of the search as running; it is KILLED now")
    if state.problem and not state.left:
        say(f"  {state.problem}")


def print_cleaned(cleaned: "Sequence[Cleaned]", is_rehearsal: bool) -> None:
    """Print what was removed, by place and kind, and how much space that frees."""
    verb = "would free" if is_rehearsal else "freed"
    total = 0
    for one in cleaned:
        if one.kept_because:
            say(f"{one.place}: nothing removed, {one.kept_because}")
        for kind, count in Counter(garbage.kind for garbage in one.garbage).items():
            size = sum(garbage.size for garbage in one.garbage if garbage.kind == kind)
            total += size
            say(f"{one.place}: {count} x {kind}, {size / 1e6:.1f} MB")
    say(f"{verb} {total / 1e6:.1f} MB")


def print_replayed_epoch(epoch: "ReplayedEpoch") -> None:
    """Print an epoch's score then and now."""
    then = "-" if epoch.then is None else f"{100 * epoch.then:.4f}"
    say(f"epoch {epoch.epoch}: then {then}, now {100 * epoch.now:.4f}")


def print_replay(replay: "Replay") -> None:
    """Print whether the scores of then and now agree, and where the new weights lie."""
    trial, differs = replay.trial, replay.first_difference
    if trial.failure or replay.failure:
        then = f"failed with [{trial.failure}] {trial.failure_text}" if trial.failure else f"ended {trial.state}"
        say(f"then it {then}")
        say(f"now it failed with {replay.failure}" if replay.failure else "now it did not fail")
    if not replay.compared:
        say("no epoch to compare")
    elif differs is None:
        say(f"all {len(replay.compared)} epochs agree to the last digit")
    else:
        largest = max(abs((epoch.then or 0.0) - epoch.now) for epoch in replay.compared)
        say(f"they do not agree: first in epoch {differs.epoch}, at most by {100 * largest:.2g} points")
    say(f"weights: {replay.directory}")


def print_inspection(inspection: "Inspection", paths: Sequence[Path]) -> None:
    """Print what was found inside a model, and where it is kept."""
    from xa_search.tracking.inspection_report import COLUMNS, inspection_rows, inspection_summary

    title = f"{inspection.model}, {inspection.embedding} embeddings; before: {inspection.encoder}"
    print_table(title, COLUMNS, inspection_rows(inspection))
    for line in (*inspection_summary(inspection), *inspection.notes, *map(str, paths)):
        say(line)


def print_claims(checked: "CheckedClaims") -> None:
    """Print the ruling on each claim, what it was measured on, and what the intervals mean."""
    from xa_search.claims.verdicts import COLUMNS, FOOTNOTES, claim_cells, claim_details

    rows = [claim_cells(one) for one in checked.rulings]
    print_table("The paper's claims, differences in points", COLUMNS, rows, texts=(0, 1, 2, 4, 5))
    for line in (*(line for one in checked.rulings for line in claim_details(one)), *FOOTNOTES, *checked.remarks):
        say(line)


def print_pooled_audit(pooled: "PooledAudit") -> None:
    """Print the mean regret of each selection rule, the differences between rules, and what they say."""
    from xa_search.claims.audit_report import pooled_cells

    columns, rows = pooled_cells(pooled)
    print_table(
        f"Selection rules over {len(pooled.searches)} searches, regret in points of the test score", columns, rows
    )
    for line in (*(one.sentence for one in pooled.differences), pooled.verdict):
        say(line)


def print_diagnosis(diagnosis: "Diagnosis") -> None:
    """Print what each node has, then what is wrong with it and how to mend that."""
    rows = []
    for one in diagnosis.nodes:
        if (report := one.report) is not None:
            gpus = f"{report.gpus}, driver {report.driver}" if report.driver else str(report.gpus)
            software = [report.python, *(report.packages[name] for name in ("ray", "torch")), report.code[:SHOWN]]
            rows.append([one.name, *software, gpus, format_bytes(report.free_disk), format_bytes(report.free_memory)])
    columns = ("node", "python", "ray", "torch", "xa_search", "gpus", "disk free", "memory free")
    print_table("What the nodes have", columns, rows, texts=range(6))
    if findings := [[one.node, one.what, one.found, one.wanted, one.fix] for one in diagnosis.findings]:
        print_table("What to repair", ("node", "what", "found", "wanted", "fix"), findings, texts=range(5))
    else:
        say("all is well" + ("" if len(rows) > 1 else "; with --address, the nodes of a Ray are asked too"))


def _state(search: "SearchHistory") -> str:
    if search.driver:
        return f"running, process {search.driver}"
    if search.other_version and not search.is_over:
        return f"stopped: {search.other_version} began it, and resumes it"
    return "over" if search.is_over else "stopped: the same `xa-search run` resumes it"


def _by_state(trials: Sequence[TrialRecord]) -> str:
    return ", ".join(f"{count} {state}" for state, count in Counter(trial.state for trial in trials).most_common())


def _best(search: "SearchHistory") -> str:
    return "-" if search.best is None else f"{scored(search.best)} (trial {search.best.number})"


def _failures(trials: Sequence[TrialRecord]) -> list[str]:
    """Return one line a failure class: how many trials, and the first one's words."""
    failed = [trial for trial in trials if trial.failure is not None]
    counts = Counter(trial.failure for trial in failed)
    firsts = {trial.failure: trial for trial in reversed(failed)}
    return [
        f"failed [{name}] {count}; the first, trial {firsts[name].number}: {firsts[name].failure_text}"
        for name, count in counts.most_common()
    ]
