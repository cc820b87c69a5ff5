"""The head that says which slot types an utterance has."""

import numpy as np
import torch

from xa_search.encoding.batches import Collator
from xa_search.encoding.table import EncodedRow
from xa_search.model.joint import SlotPresence

TAGS = ["O", "B-room", "I-room", "B-time", "I-time"]


def row(words: int, slots: list[str] | None = None) -> EncodedRow:
    return EncodedRow(
        id="x",
        words=["w"] * words,
        input_ids=np.arange(words + 2),
        positions=np.arange(1, words + 1),
        intent="A",
        slots=slots,
    )


def test_it_is_one_linear_layer_over_the_words_of_each_utterance() -> None:
    torch.manual_seed(0)
    batch = Collator(["A"], TAGS, rows_a_block=2)([row(1), row(4), row(2)], [row(3)])
    logits = torch.randn(7, 5)
    head = SlotPresence(words=6, slot_tags=5, slot_types=2)
    padded = torch.zeros(4, 6, 5)
    padded[0, :1], padded[1, :4], padded[2, :2] = logits[:1], logits[1:5], logits[5:]
    torch.testing.assert_close(head(logits, batch), head.classifier(padded.flatten(1)))


def test_a_type_is_present_once_however_often_it_occurs() -> None:
    rows = [row(3, ["B-time", "I-time", "B-time"]), row(2, ["O", "I-room"]), row(1), row(1, ["B-unknown"])]
    assert Collator(["A"], TAGS).slot_presence(rows).tolist() == [[0, 1], [1, 0], [0, 0], [0, 0]]
