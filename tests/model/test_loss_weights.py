"""The factors before the losses between pairs."""

import math
from statistics import fmean, pstdev

import pytest
import torch

from xa_search.model.losses import LossWeights

WEIGHTS = {"align": 2.0, "contrastive": 0.5}
LOSSES = [(4.0, 1.0), (2.0, 1.1), (1.0, 0.9), (0.5, 1.0)]


def learn(weights: LossWeights, steps: list[tuple[float, float]]) -> None:
    for losses in steps:
        weights.learn({name: torch.tensor(loss) for name, loss in zip(WEIGHTS, losses, strict=True)})


def variation(losses: list[float]) -> float:
    """The coefficient of variation of the ratios, from its definition."""
    ratios = [1.0] + [losses[step] / fmean(losses[:step]) for step in range(1, len(losses))]
    return math.sqrt(pstdev(ratios) ** 2 + 1e-8) / fmean(ratios)


def test_fixed_weights_stay() -> None:
    weights = LossWeights(WEIGHTS, by_variation=False)
    learn(weights, LOSSES)
    assert weights.factors() == WEIGHTS
    assert weights.report() == {}
    assert not weights.state_dict()


@pytest.mark.parametrize("steps", [0, 1])
def test_the_first_two_steps_share_alike(steps: int) -> None:
    weights = LossWeights(WEIGHTS, by_variation=True)
    learn(weights, LOSSES[:steps])
    assert {name: float(factor) for name, factor in weights.factors().items()} == {"align": 1.0, "contrastive": 0.25}


@pytest.mark.parametrize("steps", [2, 3, 4])
def test_shares_follow_the_variation_of_the_ratios(steps: int) -> None:
    weights = LossWeights(WEIGHTS, by_variation=True)
    learn(weights, LOSSES[:steps])
    align, contrastive = (variation([step[place] for step in LOSSES[:steps]]) for place in (0, 1))
    share = align / (align + contrastive)
    assert weights.report()["loss_share_align"] == pytest.approx(share, rel=1e-4)
    factors = {name: float(factor) for name, factor in weights.factors().items()}
    assert factors == pytest.approx({"align": 2 * share, "contrastive": 0.5 * (1 - share)}, rel=1e-4)


def test_a_loss_that_is_always_zero_breaks_nothing() -> None:
    weights = LossWeights(WEIGHTS, by_variation=True)
    learn(weights, [(0.0, 3.0)] * 5)
    assert all(math.isfinite(share) for share in weights.report().values())
    assert sum(weights.report().values()) == pytest.approx(1)


def test_a_single_loss_keeps_its_weight() -> None:
    weights = LossWeights({"align": 3.0}, by_variation=True)
    for loss in (1.0, 0.5, 0.1):
        weights.learn({"align": torch.tensor(loss)})
    assert float(weights.factors()["align"]) == pytest.approx(3)


def test_the_statistics_can_be_saved_and_restored() -> None:
    one, other = (LossWeights(WEIGHTS, by_variation=True) for _ in range(2))
    learn(one, LOSSES[:3])
    other.load_state_dict(one.state_dict())
    learn(one, LOSSES[3:])
    learn(other, LOSSES[3:])
    assert one.report() == other.report()
