"""Plans, jobs and listeners for the tests of the search."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from xa_search.records import EncodedCorpus, EncoderFiles, EpochReport, Plan, SearchSpace, TrialJob, TrialRecord
from xa_search.search.study import SearchStudy

PARAMS: dict[str, Any] = {
    "align_weight": {"low": 0.01, "high": 100, "log": True},
    "learning_rate": {"low": 1e-6, "high": 1e-2, "log": True},
    "model_size": {"choices": ["tiny", "small"]},
}
OPTIONS = {"seed", "time_budget", "gpu_hours", "disk_budget", "deterministic", "new", "address"}
ASHA = {"asha": {"grace_epochs": 1, "reduction": 2}}


def plan_of(home: Path, name: str = "toy", local: bool = True, **changes: Any) -> Plan:
    options = {key: changes.pop(key) for key in OPTIONS if key in changes}
    space = {
        "corpus": "toy",
        "targets": ["th"],
        "params": PARAMS,
        "fixed": {"epochs": 4},
        "published": {"align_weight": 1, "learning_rate": 2e-5, "model_size": "tiny"},
        "trials": 8,
        **changes,
    }
    return Plan(name=name, space=SearchSpace.model_validate(space), home=home, local=local, **options)


def job_maker(plan: Plan) -> Callable[[TrialRecord], TrialJob]:
    encoder = EncoderFiles(
        directory=plan.home, size="tiny", origin="here", revision="1", tokenizer_fingerprint="1", embedding="mean"
    )
    corpus = EncodedCorpus(directory=plan.home, source="en", targets=("th",), intents=("a",), slot_tags=("O",))

    def make_job(record: TrialRecord) -> TrialJob:
        directory = plan.directory / "trials" / f"{record.number:03d}"
        directory.mkdir(parents=True, exist_ok=True)
        return TrialJob(
            settings=record.settings,
            encoder=encoder,
            corpus=corpus,
            selection="label_free",
            directory=directory,
            home=plan.home,
            threads=1,
        )

    return make_job


class Recorder:
    """Keeps all news."""

    def __init__(self) -> None:
        self.placements: list[str] = []
        self.torn: list[str] = []
        self.started: list[int] = []
        self.epochs: dict[int, list[int]] = {}
        self.ended: list[TrialRecord] = []

    def placed(self, lines: Sequence[str]) -> None:
        self.placements += lines

    def trial_started(self, record: TrialRecord) -> None:
        self.started.append(record.number)

    def epoch_reported(self, record: TrialRecord, report: EpochReport) -> None:
        assert report.score in (record.scores[-1:] if report.whole else record.rung_scores.values())
        self.epochs.setdefault(record.number, []).append(report.epoch)

    def trial_torn(self, record: TrialRecord, lines: Sequence[str]) -> None:
        self.torn += [f"trial {record.number}: {line}" for line in lines]

    def trial_ended(self, record: TrialRecord) -> None:
        self.ended.append(record)


def states(study: SearchStudy) -> Counter[str]:
    return Counter(trial.state for trial in study.trials())


def proposals(study: SearchStudy) -> list[dict[str, Any]]:
    return [trial.params for trial in study.trials()]


def charged(study: SearchStudy) -> list[TrialRecord]:
    return [trial for trial in study.trials() if trial.failure not in ("interrupted", "lost_worker")]


def run(plan: Plan, train: Any, recorder: Recorder | None = None) -> tuple[SearchStudy, Recorder]:
    """Run a search on the Ray that is there; workers import this module, and need none of what runs one."""
    from xa_search.search.runner import run_trials
    from xa_search.search.study import open_study

    study, recorder = open_study(plan), recorder or Recorder()
    run_trials(plan, study, job_maker(plan), recorder, train)
    return study, recorder
