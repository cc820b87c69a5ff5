import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from xa_search.encoding.batches import IGNORED, Batch, Collator
from xa_search.encoding.table import EncodedRow
from xa_search.model.joint import JointOutput
from xa_search.model.losses import align_loss, intent_loss, slot_loss


def output_and_batch(slots: list[int]) -> tuple[JointOutput, Batch]:
    output = JointOutput(
        sentence=torch.zeros(2, 3),
        intent_logits=torch.tensor([[0.0, 0.0], [math.log(3), 0.0]]),
        slot_logits=torch.tensor([[0.0, 0.0], [math.log(3), 0.0], [5.0, 5.0], [9.0, -9.0]]),
    )
    rows = [
        EncodedRow(
            id="x", words=["v", "w"], input_ids=np.arange(4), positions=np.array([1, 2]), intent=intent, slots=None
        )
        for intent in ("A", "B")
    ]
    return output, replace(Collator(["A", "B"], [])(rows), slots=torch.tensor(slots))


def test_intent_loss_is_the_mean_over_utterances() -> None:
    output, batch = output_and_batch([0, 1, 1, IGNORED])
    assert intent_loss(output, batch).item() == pytest.approx((math.log(2) + math.log(4)) / 2)


def test_slot_loss_is_the_mean_over_scored_words_of_the_batch() -> None:
    output, batch = output_and_batch([0, 1, 1, IGNORED])
    assert slot_loss(output, batch).item() == pytest.approx((math.log(2) + math.log(4) + math.log(2)) / 3)


def test_slot_loss_without_any_scored_word_is_zero_and_finite() -> None:
    output, batch = output_and_batch([IGNORED] * 4)
    assert slot_loss(output, batch).item() == 0.0


SOURCE = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
TRANSLATION = torch.tensor([[0.0, 0.0], [0.0, 1.0]])


def test_mean_squared_error_by_hand() -> None:
    assert align_loss(SOURCE, TRANSLATION, "mse").item() == pytest.approx((1 + 0 + 0 + 1) / 4)


def test_cosine_distance_by_hand() -> None:
    translation = torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    assert align_loss(SOURCE, translation, "cosine").item() == pytest.approx((1 + 0) / 2)


def test_contrastive_distance_by_hand() -> None:
    similar, other = 1 / 0.05, 0.0
    expected = math.log(math.exp(similar) + math.exp(other)) - similar
    assert align_loss(SOURCE, SOURCE, "contrastive").item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("distance", ["mse", "cosine", "contrastive"])
def test_the_gradient_reaches_both_sides(distance: str) -> None:
    source, translation = SOURCE.clone().requires_grad_(), torch.rand(2, 2, requires_grad=True)
    align_loss(source, translation, distance).backward()
    assert source.grad is not None
    assert translation.grad is not None
    assert source.grad.abs().sum() > 0
    assert translation.grad.abs().sum() > 0
