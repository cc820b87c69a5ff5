import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from xa_search.encoding.batches import Batch, Collator
from xa_search.encoding.table import EncodedRow
from xa_search.model.joint import JointOutput
from xa_search.model.losses import (
    COSINE,
    MSE,
    align_loss,
    contrastive_loss,
    intent_loss,
    slot_loss,
    slot_presence_loss,
    translate_intent_loss,
)
from xa_search.records import IGNORED


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
    assert align_loss(SOURCE, TRANSLATION, MSE).item() == pytest.approx((1 + 0 + 0 + 1) / 4)


def test_cosine_distance_by_hand() -> None:
    translation = torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    assert align_loss(SOURCE, translation, COSINE).item() == pytest.approx((1 + 0) / 2)


def test_contrastive_loss_by_hand() -> None:
    root = 1 / math.sqrt(2)
    partner = torch.tensor([[0.0, 3.0], [1.0, 1.0]])
    cosines = [[0.0, root], [1.0, root]]  # of each source with each partner
    rows = [_log_sum(row) - row[i] / 0.05 for i, row in enumerate(cosines)]
    columns = [_log_sum(column) - column[i] / 0.05 for i, column in enumerate(zip(*cosines, strict=True))]
    expected = (sum(rows) / 2 + sum(columns) / 2) / 2
    assert contrastive_loss(SOURCE, partner).item() == pytest.approx(expected, rel=1e-5)


def _log_sum(cosines: Sequence[float]) -> float:
    return math.log(sum(math.exp(cosine / 0.05) for cosine in cosines))


def test_one_pair_alone_cannot_be_mistaken() -> None:
    assert contrastive_loss(SOURCE[:1], TRANSLATION[1:]).item() == 0


def test_translate_intent_loss_by_hand() -> None:
    logits = torch.tensor([[0.0, 0.0], [math.log(3), 0.0]])
    assert translate_intent_loss(logits, torch.tensor([1, 0])).item() == pytest.approx(
        (math.log(2) + math.log(4 / 3)) / 2
    )


def test_slot_presence_loss_by_hand() -> None:
    source = torch.tensor([[0.0, math.log(3)], [0.0, 0.0]])
    partner = torch.tensor([[-math.log(3), 0.0], [0.0, 0.0]])
    present = torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    of_source = (math.log(2) + math.log(4 / 3) + 2 * math.log(2)) / 4
    of_partner = (math.log(4) + math.log(2) + 2 * math.log(2)) / 4
    assert slot_presence_loss(source, partner, present).item() == pytest.approx(of_source + of_partner)


def test_without_any_slot_type_the_slot_presence_loss_is_zero() -> None:
    assert slot_presence_loss(torch.zeros(2, 0), torch.zeros(2, 0), torch.zeros(2, 0)).item() == 0


LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "mse": lambda source, partner: align_loss(source, partner, MSE),
    "cosine": lambda source, partner: align_loss(source, partner, COSINE),
    "contrastive": contrastive_loss,
    "slot presence": lambda source, partner: slot_presence_loss(source, partner, torch.eye(2)),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_the_gradient_reaches_both_sides(loss: str) -> None:
    source, translation = SOURCE.clone().requires_grad_(), torch.rand(2, 2, requires_grad=True)
    LOSSES[loss](source, translation).backward()
    assert source.grad is not None
    assert translation.grad is not None
    assert source.grad.abs().sum() > 0
    assert translation.grad.abs().sum() > 0
