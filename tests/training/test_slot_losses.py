"""A trial with a CRF and with smoothed labels: it learns, and its checkpoint reads as the trial did."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from xa_search.encoding.batches import Batch
from xa_search.model.decoding import SlotDecoder, legal_transitions
from xa_search.model.joint import JointOutput
from xa_search.model.losses import intent_loss
from xa_search.records import IGNORED, TrialJob
from xa_search.training.checkpoint import restore_model
from xa_search.training.data import split_rows
from xa_search.training.final_test import trained_predictor
from xa_search.training.trial import best_weights, train_trial


def test_a_crf_learns_and_is_restored_as_a_decoder(make_job: Callable[..., TrialJob]) -> None:
    job = replace(make_job(slot_loss="crf", epochs=3, head_learning_rate_factor=10), rungs=(2,))
    reports = list(train_trial(job))
    losses = [one.metrics["train_loss_slot"] for one in reports if one.whole]
    assert losses[-1] < losses[0]
    assert "transition_weight" not in reports[-1].metrics, "it is learned, not chosen"
    model = restore_model(job.encoder, job.corpus, job.settings, best_weights(job.directory))
    assert type(model.decoder) is SlotDecoder
    assert float(model.decoder.weight) == 1.0
    finite = model.decoder.transitions.isfinite().numpy()
    assert np.array_equal(finite, legal_transitions(job.corpus.slot_tags))
    assert bool((model.decoder.transitions[torch.from_numpy(finite)] != 0).any())
    rows = split_rows(job.corpus, "dev", job.corpus.source, None)
    said = trained_predictor(job, best_weights(job.directory)).predict(rows)
    for one in said:
        for before, tag in zip(("O", *one.slots), one.slots, strict=False):
            assert not tag.startswith("I-") or before[2:] == tag[2:]


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_smoothing_spreads_a_share_of_each_label_by_hand(smoothing: float) -> None:
    logits, intents = torch.tensor([[2.0, 0.0, -1.0], [9.0, 9.0, 9.0]]), torch.tensor([0, IGNORED])
    output = JointOutput(sentence=logits, intent_logits=logits, slot_logits=logits)
    batch = Batch.__new__(Batch)
    object.__setattr__(batch, "intents", intents)
    logs = logits[0].log_softmax(-1)
    by_hand = -((1 - smoothing) * logs[0] + smoothing * logs.mean())
    assert float(intent_loss(output, batch, smoothing)) == pytest.approx(float(by_hand), abs=1e-6)
