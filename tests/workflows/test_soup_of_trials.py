"""Which trials may be averaged, and when their soup takes the winner's place; nothing is trained or averaged."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from xa_search.records import EncodedCorpus, EncoderFiles, Plan, TrialRecord, TrialSettings
from xa_search.records.search import trial_directory
from xa_search.records.soup import soup_number
from xa_search.training.soup import SoupScore
from xa_search.workflows.plan import make_plan
from xa_search.workflows.preflight import Prepared
from xa_search.workflows.soup import TOO_FEW, Cooked, cook

SETTINGS = TrialSettings(model_size="tiny")


def trial(number: int, score: float, **settings: Any) -> TrialRecord:
    metrics = {"held_out_intent_acc_th": score, "held_out_slot_type_f1_th": score, "held_out_rows": 1000.0}
    return TrialRecord(
        number=number,
        role="searched",
        settings=SETTINGS.model_copy(update=settings),
        params={},
        state="COMPLETE",
        scores=(score,),
        metrics=metrics,
    )


TRIALS = (
    trial(0, 0.80, method="zero_shot"),
    trial(1, 0.800, learning_rate=1e-4),
    trial(2, 0.795, learning_rate=2e-4),
    trial(3, 0.794, seed=7),  # other heads
    trial(4, 0.799, model_size="small"),
    trial(5, 0.70, learning_rate=3e-4),  # outside the gate
)


class Kitchen:
    """Gives a soup of this score, or says why there is none."""

    def __init__(self, found: SoupScore | str) -> None:
        self.found = found
        self.members: list[Path] = []

    def submit(self, size: str, function: Any, job: Any, members: list[Path], alone: list[float]) -> Any:
        self.members += members
        job.directory.mkdir(parents=True, exist_ok=True)
        (job.directory / "best.safetensors").write_text("soup")
        return lambda: self.found


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    plan = make_plan("mtop-mini", ("soup=true", "targets=[th]"), home=tmp_path)
    for one in TRIALS:
        folder = trial_directory(plan.directory, one.number)
        folder.mkdir(parents=True)
        (folder / "best.safetensors").write_text("weights")
    return plan


def cooked(plan: Plan, kitchen: Kitchen, trials: tuple[TrialRecord, ...] = TRIALS) -> Cooked:
    files = EncoderFiles(
        directory=plan.home, size="tiny", origin="here", revision="1", tokenizer_fingerprint="1", embedding="mean"
    )
    corpus = EncodedCorpus(directory=plan.home, source="en", targets=("th",), intents=("a",), slot_tags=("O", "B-x"))
    prepared = cast(Prepared, SimpleNamespace(encoders={"tiny": files, "small": files}, encoded={"1": corpus}))
    return cook(plan, prepared, trials, trials[1], cast(Any, kitchen), lambda _: None)


def test_what_began_alike_and_lies_in_the_gate_is_averaged_and_must_score_above_the_winner(plan: Plan) -> None:
    kitchen = Kitchen(SoupScore(score=0.81, metrics={"held_out_intent_acc_th": 0.81}, half_way=0.8))
    found = cooked(plan, kitchen)
    assert found.soup.members == (1, 2)
    assert (found.soup.wins, found.run.role, found.run.number) == (True, "soup", soup_number(1))
    assert found.soup.sentence == (
        "soup of trials 1, 2: selection score 81.0, the winner's 80.0; it takes the winner's place"
    )
    assert len(kitchen.members) == 2
    for one in TRIALS:
        trial_directory(plan.directory, one.number).joinpath("best.safetensors").unlink()
    assert cooked(plan, kitchen) == found, "its members' weights may be gone"
    assert len(kitchen.members) == 2, "it is not cooked twice"


def test_a_soup_that_scores_no_better_leaves_the_winner_and_a_ridge_is_told(plan: Plan) -> None:
    equal = cooked(plan, Kitchen(SoupScore(score=0.80, metrics={}, half_way=0.8)))
    assert not equal.soup.wins
    trial_directory(plan.directory, equal.soup.number).joinpath("best.safetensors").unlink()
    refused = cooked(plan, Kitchen("half way between two members the score is 20.0, and 24.0 or more at both ends"))
    assert not refused.soup.wins
    assert refused.soup.sentence.startswith("no soup of trials 1, 2: half way between")


def test_one_trial_alone_makes_no_soup(plan: Plan) -> None:
    alone = cooked(plan, Kitchen(""), (TRIALS[0], TRIALS[1], replace(TRIALS[2], state="PRUNED")))
    assert alone.soup.refused == TOO_FEW
