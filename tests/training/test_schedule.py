"""The learning rate over the steps."""

import pytest
import torch

from xa_search.training.trainer import learning_rate_schedule


@pytest.mark.parametrize("kind", ["one_cycle", "linear"])
@pytest.mark.parametrize("steps", [1, 2, 5, 9, 10, 11, 40])
def test_it_rises_to_the_learning_rate_and_falls_whatever_the_number_of_steps(kind: str, steps: int) -> None:
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    schedule = learning_rate_schedule(optimizer, kind, 0.1, steps)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert all(0 <= rate <= 0.5 for rate in rates)
    assert rates[-1] == min(rates[rates.index(max(rates)) :])
    if steps > 2:
        assert max(rates) == pytest.approx(0.5, rel=0.05)
