"""A whole feedback run on the bundled corpus with the tiny encoder: arms, answer, registration, resumption, claim."""

import dataclasses
from collections.abc import Sequence

import pytest

from xa_search.claims.feedback import feedback_rulings
from xa_search.errors import DataError
from xa_search.feedback.answer import answer_table
from xa_search.records import EpochReport, Plan, TrialRecord
from xa_search.records.feedback import FeedbackSettings
from xa_search.search.history import find_search
from xa_search.tracking.registry import list_models
from xa_search.tracking.versions import CHAMPION
from xa_search.workflows.feedback_arms import Simulation
from xa_search.workflows.feedback_end import FeedbackRun
from xa_search.workflows.feedback_run import run_feedback
from xa_search.workflows.plan import make_plan
from xa_search.workflows.run import run_search

pytestmark = pytest.mark.proof
TINY = (
    "params.model_size.choices=[tiny]",
    "params.learning_rate.high=0.001",
    "published={align_weight: 1, learning_rate: 1.0e-3, model_size: tiny}",
    "baseline={learning_rate: 1.0e-3, model_size: tiny}",
    "fixed={epochs: 1, batch_size: 32, train_limit: 120, dev_limit: 40, test_limit: 40, precision: fp32}",
    "targets=[de, th]",
    "trials=2",
)


@dataclasses.dataclass
class Reporter:
    """Remembers what it hears."""

    notes: list[str] = dataclasses.field(default_factory=list)
    ended: list[TrialRecord] = dataclasses.field(default_factory=list)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def resumed(self, earlier: Sequence[TrialRecord]) -> None:
        pass

    def reading(self, done: int, total: int | None) -> None:
        pass

    def download(self, done: int, total: int | None) -> None:
        raise AssertionError("nothing is downloaded")

    def trial_started(self, record: TrialRecord) -> None:
        pass

    def epoch_reported(self, record: TrialRecord, report: EpochReport) -> None:
        pass

    def trial_ended(self, record: TrialRecord) -> None:
        self.ended.append(record)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """A finished search."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        found = make_plan("mtop-mini", TINY, home=tmp_path_factory.mktemp("home"), local=True)
        run_search(found, Reporter())
    return found


def asked(plan: Plan, simulation: Simulation) -> FeedbackRun:
    return FeedbackRun(
        search=plan.search_id, home=plan.home, simulation=simulation, tuning=2, seeds=(1,), epochs=1, local=True
    )


def test_a_run_ends_with_an_answer_and_a_version_that_says_what_it_saw(plan: Plan) -> None:
    simulation = Simulation(count=30, gold="simulated:target_gold")
    result = run_feedback(asked(plan, simulation), Reporter())
    assert result.answer is not None
    assert [row.language for row in result.answer.rows][:4] == ["en", "de", "th", "targets"]
    table = answer_table(result.answer, "title")
    assert "multilingual − english" in table
    assert str(simulation) in result.files[0].read_text(encoding="utf-8")
    by_arm = {
        trial.settings.arm: trial.settings.supervision
        for trial in result.trials
        if isinstance(trial.settings, FeedbackSettings)
    }
    assert by_arm["english"] == "none"
    assert by_arm["multilingual"] == "target_feedback"
    assert result.registration is not None
    assert not result.registration.is_champion
    versions = list_models(f"sqlite:///{plan.home / 'mlflow.db'}")
    (version,) = [one for one in versions if one.search_id == result.search_id]
    assert CHAMPION not in version.aliases
    again = Reporter()
    assert run_feedback(asked(plan, simulation), again).answer == result.answer
    assert again.ended == []
    rulings = feedback_rulings([find_search(plan.home, plan.search_id)])
    assert [one.claim.name for one in rulings] == ["S1a", "S1b"]


def test_more_judgements_than_there_are_utterances_are_refused(plan: Plan) -> None:
    with pytest.raises(DataError, match="can be judged"):
        run_feedback(asked(plan, Simulation(count=10**6, gold="simulated:source_gold")), Reporter())
