"""ASHA by model size, and the choice of the winner."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from fake_trainers import report
from ray.tune.schedulers import ASHAScheduler

from xa_search.errors import XaSearchError
from xa_search.records import Asha, StoppedAt, TrialRecord, TrialRole, TrialSettings, TrialState
from xa_search.search.early_stopping import ASHA, ChosenRule, EarlyStopping
from xa_search.search.winner import choose_winner


def asha(grace: int = 1, reduction: int = 3) -> ChosenRule:
    return ChosenRule(rule=ASHA, settings=Asha(grace_epochs=grace, reduction=reduction))


HALVING = asha(1, 2)


def trial(
    number: int,
    size: str = "small",
    scores: tuple[float, ...] = (),
    state: TrialState = "RUNNING",
    role: TrialRole = "searched",
) -> TrialRecord:
    settings = TrialSettings(model_size=size, epochs=4)
    return TrialRecord(number=number, role=role, settings=settings, params={}, state=state, scores=scores)


def resumed(stopping: EarlyStopping, record: TrialRecord, epoch: int, score: float) -> bool:
    """Judge the epoch of a trial and let later ones be compared with it."""
    stopped = stopping.verdict(record, report(epoch, score, final=False))
    stopping.enter(replace(record, scores=(*record.scores, score)))
    return stopped is None


def test_a_size_is_compared_with_itself_only() -> None:
    stopping = EarlyStopping(HALVING)
    assert resumed(stopping, trial(0, "small"), 1, 0.9)
    assert resumed(stopping, trial(1, "large"), 1, 0.1)
    assert not resumed(stopping, trial(2, "small"), 1, 0.2)
    assert resumed(stopping, trial(3, "large"), 1, 0.2)


def test_the_fixed_recipes_always_go_on_and_without_asha_all_do() -> None:
    stopping = EarlyStopping(HALVING, [trial(0, scores=(0.9,))])
    assert resumed(stopping, trial(1, role="baseline"), 1, 0.1)
    assert resumed(stopping, trial(2, role="published"), 1, 0.1)
    assert not resumed(stopping, trial(3), 1, 0.05)
    assert resumed(EarlyStopping(None, [trial(0, scores=(0.9,))]), trial(1), 1, 0.0)


def test_a_resumed_search_remembers_the_earlier_scores() -> None:
    earlier = [
        trial(0, scores=(0.9, 0.95), state="COMPLETE"),
        trial(1, scores=(0.8,), state="PRUNED"),
        trial(4, scores=(0.7, 0.9), state="PAUSED"),
    ]
    assert EarlyStopping(HALVING).verdict(trial(2), report(1, 0.1, final=False)) is None
    resumed = EarlyStopping(HALVING, earlier)
    assert resumed.verdict(trial(2), report(1, 0.79, final=False)) == StoppedAt(
        epoch=1, score=0.79, cutoff=0.8, rank=3, competitors=4
    )
    assert resumed.verdict(trial(2), report(2, 0.92, final=False)) == StoppedAt(
        epoch=2, score=0.92, cutoff=0.925, rank=2, competitors=3
    )


def test_a_paused_trial_that_goes_on_is_counted_once() -> None:
    paused = trial(1, scores=(0.2,), state="PAUSED")
    resumed = EarlyStopping(HALVING, [trial(0, scores=(0.9,)), paused])
    resumed.enter(replace(paused, state="RUNNING", scores=(0.2, 0.3)))
    stopped = resumed.verdict(trial(2), report(1, 0.5, final=False))
    assert stopped is not None
    assert (stopped.cutoff, stopped.competitors) == (pytest.approx(0.55), 3)


def test_a_grace_longer_than_the_budget_never_stops_a_trial() -> None:
    stopping = EarlyStopping(asha(9), [trial(0, scores=(0.9, 0.9, 0.9))])
    assert all(resumed(stopping, trial(1), epoch, 0.1) for epoch in (1, 2, 3))


@pytest.mark.parametrize(("grace", "reduction", "epochs"), [(1, 2, 8), (2, 3, 20), (1, 4, 16)])
def test_the_rule_is_that_of_rays_asha(grace: int, reduction: int, epochs: int) -> None:
    """Forty trials with noisy curves, their epochs in a mixed order."""
    stopping = EarlyStopping(asha(grace, reduction))
    theirs = ASHAScheduler("epoch", "score", "max", max_t=epochs, grace_period=grace, reduction_factor=reduction)
    generator = np.random.default_rng(1)
    going = [replace(trial(n), settings=TrialSettings(model_size="small", epochs=epochs)) for n in range(40)]
    decisions = []
    while going:
        record = going.pop(int(generator.integers(min(4, len(going)))))
        epoch, score = len(record.scores) + 1, float(generator.normal())
        if epoch == epochs:
            continue
        name = SimpleNamespace(trial_id=str(record.number))
        theirs.on_trial_add(None, name)
        decision = theirs.on_trial_result(None, name, {"epoch": epoch, "score": score})
        decisions.append(resumed(stopping, record, epoch, score))
        assert decisions[-1] == (decision == ASHAScheduler.CONTINUE)
        if decisions[-1]:
            going.insert(0, replace(record, scores=(*record.scores, score)))
    assert not all(decisions)


def test_the_winner_used_its_full_budget_and_ties_go_to_the_earlier() -> None:
    trials = [
        trial(0, "small", (0.5,), "COMPLETE"),
        trial(1, "large", (0.6, 0.2), "COMPLETE"),
        trial(2, "large", (0.6,), "COMPLETE"),
        trial(3, "large", (0.9,), "PRUNED"),
        trial(4, "small", (0.9,), "FAIL"),
    ]
    assert choose_winner(trials).number == 1
    with pytest.raises(XaSearchError, match="there is no winner"):
        choose_winner(trials[3:])
