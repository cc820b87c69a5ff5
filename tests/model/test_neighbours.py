"""Neighbouring slots of one type: two or one, as the source's tags have them."""

import numpy as np
import pytest
import torch

from xa_search.model.decoding import decode, transition_scores

TAGS = ("O", "B-time", "I-time")


@pytest.mark.parametrize(("second", "source"), [(1, [0, 1, 1, 0]), (2, [0, 1, 2, 0])])
def test_where_a_word_says_neither_the_source_decides(second: int, source: list[int]) -> None:
    scores = transition_scores(np.array(source * 20), np.full(20, 4), TAGS)
    logits = torch.tensor([[0.0, 5.0, 0.0], [0.0, 3.0, 3.0], [5.0, 0.0, 0.0]])
    assert decode(logits, torch.tensor([3]), scores, 0.3).tolist() == [1, second, 0]
    sure = logits + torch.tensor([[0.0, 0.0, 0.0], [0.0, 9.0, 0.0], [0.0, 0.0, 0.0]])
    assert decode(sure, torch.tensor([3]), scores, 0.3).tolist() == [1, 1, 0], "what a word says for sure is kept"
