"""Heads fitted to features, held against what a solver of another library finds."""

import numpy as np
import pytest
import torch
from torch import nn

from xa_search.model.linear_heads import STRENGTHS, Labelled, draw_head, fit_head
from xa_search.records import IGNORED


def drawn(rows: int, seed: int, noise: float = 0.5) -> Labelled:
    """Rows of three classes on six features of very different scale, one of which never changes."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, rows)
    centres = np.random.default_rng(9).normal(size=(3, 6))
    features = (centres[labels] + noise * random.normal(size=(rows, 6))) * [1, 100, 0.01, 1, 1, 0] + [0, 5, 0, 0, 0, 3]
    return Labelled(features=torch.from_numpy(features).float(), labels=torch.from_numpy(labels))


def test_a_fitted_head_classifies_features_as_they_come() -> None:
    train, dev = drawn(300, 1), drawn(200, 2)
    fitted = fit_head(train, dev, 3)
    head = nn.Linear(6, 3)
    fitted.put_into(head)
    found = head(dev.features).argmax(-1)
    assert float((found == dev.labels).float().mean()) > 0.85
    assert fitted.strength in STRENGTHS


def test_the_head_is_the_optimum_for_its_strength() -> None:
    """At the optimum the penalised loss on standardised features has no gradient left."""
    train, dev = drawn(300, 1), drawn(200, 2)
    fitted = fit_head(train, dev, 3)
    spread = train.features.std(0, correction=0).clamp(min=1e-6)
    weight = (fitted.weight * spread).requires_grad_()
    bias = (fitted.bias + fitted.weight @ train.features.mean(0)).requires_grad_()
    standard = (train.features - train.features.mean(0)) / spread
    loss = nn.functional.cross_entropy(standard @ weight.T + bias, train.labels)
    (loss + fitted.strength / 2 * weight.square().sum()).backward()
    assert weight.grad is not None
    assert bias.grad is not None
    assert float(weight.grad.abs().max()) < 2e-3
    assert float(bias.grad.abs().max()) < 2e-3


def test_noise_asks_for_a_higher_strength() -> None:
    clear, noisy = (fit_head(drawn(60, 1, noise), drawn(200, 2, noise), 3).strength for noise in (0.1, 5.0))
    assert noisy > clear


def test_rows_without_a_label_count_nothing_and_no_dev_takes_the_middle() -> None:
    train = drawn(60, 1)
    more = Labelled(
        features=torch.cat([train.features, torch.full((5, 6), 1e3)]),
        labels=torch.cat([train.labels, torch.full((5,), IGNORED)]),
    )
    nothing = Labelled(features=torch.zeros(1, 6), labels=torch.tensor([IGNORED]))
    first, second = fit_head(train, nothing, 3), fit_head(more, nothing, 3)
    assert torch.equal(first.weight, second.weight)
    assert first.strength == STRENGTHS[len(STRENGTHS) // 2]


def test_a_head_is_drawn_within_torchs_bounds_by_its_own_generator() -> None:
    head, other = nn.Linear(16, 4), nn.Linear(16, 4)
    before = torch.get_rng_state()
    draw_head(head, torch.Generator().manual_seed(3))
    draw_head(other, torch.Generator().manual_seed(3))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(head.weight, other.weight)
    assert float(head.weight.detach().abs().max()) == pytest.approx(0.25, rel=0.2)
    assert float(head.weight.detach().abs().max()) <= 0.25
