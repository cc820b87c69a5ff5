"""Averaged weights: the running mean by hand, the second half alone, and an interrupted trial that goes on with it."""

from collections.abc import Callable
from contextlib import closing
from itertools import islice

import pytest
import torch
from safetensors.torch import load_file

from xa_search.records import TrialJob
from xa_search.training.averaging import WeightAverage, counts_in_average
from xa_search.training.trial import best_weights, train_trial


class TwoWeights(torch.nn.Module):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.full((2,), value))
        self.register_buffer("transitions", torch.tensor(-torch.inf))


def test_the_running_mean_is_the_mean_and_goes_on_from_its_state() -> None:
    average = WeightAverage()
    with pytest.raises(ValueError, match="no weights"):
        average.put_into(TwoWeights(0.0))
    for value in (1.0, 2.0):
        average.add(TwoWeights(value))
    again = WeightAverage()
    again.restore(average.state())
    again.add(TwoWeights(6.0))
    model = TwoWeights(0.0)
    again.put_into(model)
    assert model.weight.tolist() == [3.0, 3.0]
    assert model.get_buffer("transitions") == -torch.inf, "what is no parameter stays as it is"
    assert again.count == 3
    empty = WeightAverage()
    empty.restore(WeightAverage().state())
    assert empty.count == 0


def test_the_second_half_of_the_epochs_counts() -> None:
    counted = {
        epochs: [epoch for epoch in range(1, epochs + 1) if counts_in_average(epoch, epochs)] for epochs in (1, 2, 3, 4)
    }
    assert counted == {1: [1], 2: [2], 3: [2, 3], 4: [3, 4]}


def test_a_trial_keeps_the_mean_of_its_last_epochs_also_once_interrupted(
    make_job: Callable[..., TrialJob],
) -> None:
    epochs = 3
    weights = {}
    last = make_job(name="last", epochs=epochs, kept_epoch="last")
    with closing(train_trial(last)) as reports:  # type: ignore[type-var]
        for report in reports:
            weights[report.epoch] = load_file(best_weights(last.directory))
    averaged = make_job(name="average", epochs=epochs, kept_epoch="average")
    with closing(train_trial(averaged)) as reports:  # type: ignore[type-var]
        before = list(islice(reports, 2))
    after = list(train_trial(averaged))
    assert [report.epoch for report in (*before, *after)] == [1, 2, 2, 3]
    assert (after[-1].best_epoch, after[-1].best_score) == (3, after[-1].score)
    found = load_file(best_weights(averaged.directory))
    name = "intent_head.weight"
    expected = (weights[2][name] + weights[3][name]) / 2
    assert torch.allclose(found[name], expected, atol=1e-6)
    assert not torch.allclose(found[name], weights[3][name], atol=1e-6)
