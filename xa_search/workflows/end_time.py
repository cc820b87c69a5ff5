"""How long the end of a search will take. In: its plan, its data, its trials so far. Out: seconds kept back for it.

No test split is opened before the winner is chosen: a language's is taken for twice its source's dev split.
"""

import math
from collections.abc import Callable, Sequence
from statistics import median

from xa_search.encoding.store import table_path
from xa_search.encoding.table import EncodedTable
from xa_search.records import Plan, TrialRecord, TrialSettings
from xa_search.search.budgets import Reserved
from xa_search.search.winner import best_of_each_kind, best_zero_shot
from xa_search.training.data import trial_split
from xa_search.training.inspection import MOST_PAIRS
from xa_search.training.registry import selection_rule
from xa_search.workflows.preflight import Prepared

TEST_OVER_DEV = 2
"""MTOP, MTOD and MultiATIS++ test on 1.8 to 2.1 times as many utterances as their English dev splits have."""
LEAST_MODELS = 2
"""The winner and the zero-shot trial."""
REGISTRATION_SECONDS = 30.0
"""A fresh process loads its libraries, and MLflow gets plots, files and the model."""


class EndTime:
    """Estimates the end from what the trials of this search measured; `elapsed` are the seconds of this run so far."""

    def __init__(
        self, plan: Plan, prepared: Prepared, elapsed: Callable[[], float], note: Callable[[str], None]
    ) -> None:
        self._plan = plan
        self._prepared = prepared
        self._before = elapsed()
        self._note = note
        self._is_told = False

    def reserve(self, trials: Sequence[TrialRecord], slots: int) -> Reserved:
        """Return what trials have to leave of a budget; nothing is known of the end before one is complete."""
        if self._plan.time_budget is None and self._plan.gpu_hours is None:
            return Reserved()
        complete = [trial for trial in trials if trial.state == "COMPLETE"]
        if not complete:
            return Reserved(before=self._before)
        kinds = best_of_each_kind(complete)
        zero_shot = best_zero_shot(complete)
        models = kinds if zero_shot is None or zero_shot in kinds else [*kinds, zero_shot]
        rows = {trial.number: self._rows(trial.settings) for trial in models}
        each = [_seconds(trial, *rows[trial.number]) for trial in models]
        runs, tested_runs = _confirming(self._plan)
        asked = max(LEAST_MODELS, len(models)) + tested_runs
        waves = math.ceil(asked * self._plan.models_a_trial / slots)
        loads = median(_loading(trial) for trial in models)
        asked_for, fair = waves * max(each), _fair_seconds(kinds[0], complete) * math.ceil(runs / slots)
        end = (max(asked_for, fair) if slots > 1 else asked_for + fair) + 2 * loads + REGISTRATION_SECONDS
        if not self._is_told:
            self._is_told = True
            tested = max(of_model for _, of_model in rows.values())
            self._note(
                f"the end will take about {end:.0f} s, which trials leave of the budget (half of it at most): "
                f"{asked} models, {slots} at a time, each {loads:.1f} s to load and about {tested} rows to test "
                f"and inspect, {fair:.0f} s for {_told_runs(runs)}, and {REGISTRATION_SECONDS:.0f} s to register"
            )
        return Reserved(before=self._before, end=end)

    def _rows(self, settings: TrialSettings) -> tuple[int, int]:
        """Return how many rows an epoch of a trial evaluates, and about how many the end reads."""
        corpus = self._prepared.encoded[self._prepared.encoders[settings.model_size].tokenizer_fingerprint]
        dev = _limited(len(EncodedTable(table_path(corpus, "dev", corpus.source))), settings.dev_limit)
        held_out = len(trial_split(corpus, settings).selecting)
        pairs = held_out * len(corpus.aligned)
        targets = dev * len(corpus.targets) if selection_rule(self._plan.space.selection).reads_target_labels else 0
        test = _limited(TEST_OVER_DEV * dev, settings.test_limit) * len(self._plan.space.tested_languages)
        looked_at = 2 * min(held_out, MOST_PAIRS) * (1 + len(corpus.aligned) + len(self._plan.space.unseen_languages))
        kept = len(trial_split(corpus, settings).kept) * len(corpus.aligned)
        return dev + pairs + targets, test + looked_at + kept


def _confirming(plan: Plan) -> tuple[int, int]:
    """Return how many runs are trained at the end, and how many of them are tested beside the trials."""
    confirm = plan.space.confirm
    return (1, 0) if confirm is None else (confirm.runs, 3 * confirm.seeds)


def _told_runs(runs: int) -> str:
    return "the fair baseline" if runs == 1 else f"{runs} runs with fresh seeds"


def _fair_seconds(winner: TrialRecord, complete: Sequence[TrialRecord]) -> float:
    """Return how long the winner's settings take without alignment: as long as a zero-shot trial of the same steps."""
    steps = ("model_size", "epochs", "batch_size", "frozen_share")
    alike = [
        trial.seconds
        for trial in complete
        if trial.role == "baseline"
        and all(getattr(trial.settings, name) == getattr(winner.settings, name) for name in steps)
    ]
    return min([winner.seconds, *alike])


def _limited(rows: int, limit: int | None) -> int:
    return rows if limit is None else min(rows, limit)


def _seconds(trial: TrialRecord, evaluated: int, asked: int) -> float:
    """Return how long the end is busy with one model: loaded once, then as fast a row as the trial evaluated."""
    a_row = trial.spent.get("evaluate", 0.0) / max(1, len(trial.scores) * evaluated)
    return _loading(trial) + a_row * asked


def _loading(trial: TrialRecord) -> float:
    """Return what of a trial's time went neither into training nor into evaluation: its start, and its saves."""
    return max(0.0, trial.seconds - trial.spent.get("train", 0.0) - trial.spent.get("evaluate", 0.0))
