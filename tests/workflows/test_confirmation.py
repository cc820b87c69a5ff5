"""Settings that run again: chosen by their mean, registered near it, resumed; the training is made up."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from xa_search.errors import UsageError, XaSearchError
from xa_search.records import EncodedCorpus, EncoderFiles, Plan, TrialJob, TrialRecord, TrialSettings
from xa_search.records.confirmation import Confirm, Repeated, confirmed_number, confirmed_of
from xa_search.records.search import trial_directory
from xa_search.search.history import SearchHistory
from xa_search.training.comparisons import TrainedAgain
from xa_search.training.final_test import Outcomes, write_outcomes
from xa_search.workflows.confirmation import RUN, Confirmed, confirm_settings, confirming_plan, with_tests
from xa_search.workflows.plan import make_plan
from xa_search.workflows.preflight import Prepared

SETTINGS = TrialSettings(model_size="tiny", learning_rate=1e-4)
SEEDS = (101, 102, 103)


def trial(number: int, score: float, role: Any = "searched", **settings: Any) -> TrialRecord:
    return TrialRecord(
        number=number,
        role=role,
        settings=SETTINGS.model_copy(update={"seed": 1, **settings}),
        params={},
        state="COMPLETE",
        scores=(score,),
        metrics={"bf16": 0.0},
    )


TRIALS = (
    trial(0, 0.60, "baseline", method="zero_shot"),
    trial(1, 0.88, learning_rate=1e-3),
    trial(2, 0.86),
    trial(3, 0.85),  # the same settings as trial 2
    trial(4, 0.70, learning_rate=1e-5),
)
TRUE = {1e-3: 0.80, 1e-4: 0.84, 1e-5: 0.70}
"""What each learning rate is worth in truth: the search's best trial was lucky."""


class MadeUp:
    """Trains nothing: gives what a run's settings are worth, and a little of its seed."""

    gpu_hours = 0.0

    def __init__(self, fails: Callable[[TrialSettings], bool] = lambda _: False) -> None:
        self.trained: list[TrialSettings] = []
        self._fails = fails

    def slots(self, size: str) -> int:
        return 1

    def submit(self, size: str, function: Any, job: TrialJob) -> Callable[[], Any]:
        return lambda: self._train(job)

    def _train(self, job: TrialJob) -> TrainedAgain | str:
        settings = job.settings
        self.trained.append(settings)
        if self._fails(settings):
            return "out of memory"
        (job.directory / "best.safetensors").write_text("weights")
        truth = 0.6 if settings.method == "zero_shot" else TRUE[settings.learning_rate]
        score = truth + {101: 0.0, 102: 0.03, 103: -0.01}[settings.seed]
        return TrainedAgain(scores=(score,), score=score, best_epoch=1, metrics={"bf16": 0.0}, seconds=1.0)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return make_plan("mtop-mini", ("confirm={top: 3, seeds: 3}", "targets=[de, th]"), home=tmp_path)


def confirm(plan: Plan, tasks: MadeUp, notes: list[str] | None = None) -> Confirmed:
    files = EncoderFiles(
        directory=plan.home, size="tiny", origin="here", revision="1", tokenizer_fingerprint="1", embedding="mean"
    )
    corpus = EncodedCorpus(directory=plan.home, source="en", targets=("th",), intents=("a",), slot_tags=("O",))
    prepared = cast(Prepared, SimpleNamespace(encoders={"tiny": files}, encoded={"1": corpus}))
    return confirm_settings(plan, prepared, TRIALS, cast(Any, tasks), (notes if notes is not None else []).append)


def test_the_best_mean_of_the_same_fresh_seeds_wins_and_the_run_next_to_it_is_registered(plan: Plan) -> None:
    tasks, notes = MadeUp(), list[str]()
    found = confirm(plan, tasks, notes)
    assert found.winner.number == 2
    winner = found.confirmation.winner
    assert (winner.seeds, winner.scores) == (SEEDS, pytest.approx((0.84, 0.87, 0.83)))
    assert winner.mean == pytest.approx(0.84 + 0.02 / 3)
    assert winner.half == pytest.approx(4.302653 * np.std([0.0, 0.03, -0.01], ddof=1) / 3**0.5)
    assert found.confirmation.registered_seed == 101, "102 is the best, and not the nearest to the mean"
    assert (found.registered.role, found.registered.settings.seed) == ("confirmed", 101)
    assert [one.name for one in found.confirmation.settings] == ["trial 2", "trial 1", "trial 4"]
    assert {(one.seed, one.head_seed) for one in tasks.trained} == {(seed, 1) for seed in SEEDS}
    fair = tasks.trained[-3:]
    assert all((one.method, one.learning_rate) == ("zero_shot", 1e-4) for one in fair), "the winner's, unaligned"
    assert len(tasks.trained) == 3 * 5
    lost = found.confirmation.settings[1]
    assert lost.luck.startswith("88.0 in the search, 80.7 ± 5.2 repeated: 7.3 points were luck")
    assert winner.luck.startswith("86.0 in the search, 84.7 ± 5.2 repeated")
    assert notes[0] == "confirming trials 1, 2, 4 and the zero-shot trial with the fresh seeds 101, 102, 103"


def test_what_is_finished_is_not_trained_again(plan: Plan) -> None:
    first = confirm(plan, MadeUp())
    again = MadeUp()
    assert confirm(plan, again).confirmation == first.confirmation
    assert not again.trained
    gone = trial_directory(plan.directory, first.confirmation.settings[1].numbers[1])
    (gone / RUN).unlink()
    assert confirm(plan, again).confirmation == first.confirmation
    assert [(one.learning_rate, one.seed) for one in again.trained] == [(1e-3, 102)]


def test_settings_that_fail_with_a_seed_cannot_win_and_are_told(plan: Plan) -> None:
    with pytest.raises(XaSearchError, match="none of the settings got through all fresh seeds"):
        confirm(plan, MadeUp(lambda one: one.seed == 103))
    found = confirm(plan, MadeUp(lambda one: (one.learning_rate, one.seed, one.method) == (1e-4, 103, "xeroalign")))
    assert found.winner.number == 1
    assert "trial 2: seed 103 failed (out of memory)" in found.confirmation.sentences


def outcomes(right: int) -> dict[str, Outcomes]:
    ids = tuple(str(number) for number in range(40))
    ones = np.ones(40, dtype=np.int64)
    hits = np.arange(40) < right
    one = Outcomes(ids=ids, intent=hits, exact=hits, correct=hits.astype(np.int64), found=ones, gold=ones)
    return {"de": one, "th": one}


def test_gains_on_the_test_sets_are_paired_by_seed_and_utterance(plan: Plan) -> None:
    found = confirm(plan, MadeUp())
    confirmation = found.confirmation
    assert confirmation.zero_shot is not None
    assert confirmation.fair is not None
    scores: dict[int, dict[str, float]] = {}
    for one, right in ((confirmation.winner, 36), (confirmation.zero_shot, 20), (confirmation.fair, 30)):
        for place, number in enumerate(one.numbers):
            write_outcomes(outcomes(right + place), trial_directory(plan.directory, number))
            scores[number] = {"test_intent_acc_th": (right + place) / 40}
    tested = with_tests(found, plan, scores)
    assert tested.winner.test_metrics["test_intent_acc_th"] == pytest.approx(37 / 40)
    gains = {(gain.over, gain.lang, gain.metric): gain for gain in tested.gains}
    assert len(gains) == 2 * 3 * 2
    fair = gains["the fair baseline", "mean", "intent accuracy"]
    assert fair.points == pytest.approx(15.0)
    assert fair.low < 15 < fair.high
    assert fair.told_of == "3 seeds and the test set"
    assert gains["the zero-shot trial", "th", "slot F1"].points == pytest.approx(40.0)


def test_two_seeds_tell_no_interval_and_luck_is_no_merit() -> None:
    few = Repeated(
        name="trial 1", trial=1, searched=0.8, seeds=(101, 102), numbers=(1, 2), scores=(0.8, 0.9), mean=0.85, half=None
    )
    assert few.luck == "80.0 in the search, 85.0 (2 seeds, too few for an interval) repeated: none of it was luck"


def test_numbers_of_runs_are_none_of_a_trial_and_say_whose_they_are() -> None:
    numbers = {confirmed_number(n, seed, fair=fair) for n in (0, 7, 5000) for seed in SEEDS for fair in (True, False)}
    assert len(numbers) == 18
    assert min(numbers) >= 10**9
    assert {confirmed_of(number) for number in numbers} == {(n, seed) for n in (0, 7, 5000) for seed in SEEDS}


def test_only_a_search_that_is_over_is_confirmed(plan: Plan) -> None:
    search = cast(
        SearchHistory,
        SimpleNamespace(
            plan=plan, search_id="s", space_name="mtop-mini", is_over=True, driver="", ended=4, wanted=20, keep=5
        ),
    )
    found = confirming_plan(search, 2, 5, local=True, address=None)
    assert (found.space.confirm, found.space.keep, found.local) == (Confirm(top=2, seeds=5), 5, True)
    assert found.search_id == plan.search_id, "to confirm a search makes it no other one"
    for changes, reason in (({"is_over": False}, "4 of 20 trials"), ({"plan": None}, "kept no plan")):
        other = cast(SearchHistory, SimpleNamespace(**{**vars(search), **changes}))
        with pytest.raises(UsageError, match=reason):
            confirming_plan(other, 2, 5, local=True, address=None)
