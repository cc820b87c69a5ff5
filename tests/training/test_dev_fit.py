"""What is fitted to the source's dev utterances, and where it stays."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from xa_search.model.decoding import SlotDecoder, transition_scores
from xa_search.model.posterior import weighted_scores
from xa_search.records import EncodedCorpus, TrialJob
from xa_search.training.dev_fit import fit_reading
from xa_search.training.final_test import trained_predictor
from xa_search.training.metrics import legal_span_f1, slot_f1
from xa_search.training.trial import best_weights, train_trial

TAGS = ("O", "B-a", "I-a", "B-b", "I-b")
MakeJob = Callable[..., TrialJob]


def legal(draws: list[int]) -> list[int]:
    """Make tags of any numbers: what may not stand behind the tag before it becomes a beginning."""
    tags: list[int] = []
    for one in draws:
        goes_on = one in (2, 4) and bool(tags) and tags[-1] in (one - 1, one)
        tags.append(one if goes_on or one not in (2, 4) else one - 1)
    return tags


@given(st.lists(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=5), min_size=1, max_size=5))
def test_the_f1_of_legal_tags_is_that_of_seqeval(rows: list[list[tuple[int, int]]]) -> None:
    gold, said = ([legal([pair[side] for pair in row]) for row in rows] for side in (0, 1))
    flat = [np.array([tag for row in tags for tag in row], dtype=np.int64) for tags in (gold, said)]
    names = [[[TAGS[tag] for tag in row] for row in tags] for tags in (gold, said)]
    counts = np.array([len(row) for row in rows])
    assert legal_span_f1(*flat, counts, TAGS) == pytest.approx(slot_f1(*names) if counts.sum() else 0.0)


def reading(slots: torch.Tensor, gold: list[int], transitions: torch.Tensor) -> tuple[Any, dict[str, float]]:
    """Fit a model that gave these logits to utterances of two words."""
    decoder = SlotDecoder(transitions)
    model = SimpleNamespace(
        temperatures=torch.ones(2),
        decoder=decoder,
        chain_scores=lambda: weighted_scores(decoder.transitions, float(decoder.weight)),
    )
    corpus = EncodedCorpus(directory=Path(), source="en", targets=(), intents=("x", "y"), slot_tags=TAGS)
    counts = torch.full((len(gold) // 2,), 2)
    batch = SimpleNamespace(intents=torch.zeros(len(counts)).long(), slots=torch.tensor(gold), word_counts=counts)
    logits = SimpleNamespace(batch=batch, intents=torch.zeros(len(counts), 2), slots=slots)
    return model, fit_reading(SimpleNamespace(model=model, corpus=corpus), [logits])  # type: ignore[arg-type, list-item]


def test_the_transitions_get_the_weight_that_dev_asks_for() -> None:
    """The logits begin two slots; the gold tags, as those of training, have one: only a high weight says so."""
    slots = torch.tensor([[0.0, 4.0, 0.0, 0.0, 0.0], [0.0, 1.5, 0.0, 0.0, 0.0]]).repeat(6, 1)
    transitions = transition_scores(np.array([1, 2] * 20), np.full(20, 2), TAGS)
    model, fitted = reading(slots, [1, 2] * 6, transitions)
    assert fitted["transition_weight"] > 0
    assert float(model.decoder.weight) == pytest.approx(fitted["transition_weight"])
    assert model.temperatures.tolist() == pytest.approx([fitted["intent_temperature"], fitted["slot_temperature"]])
    _, fitted = reading(slots, [1, 1] * 6, transitions)
    assert fitted["transition_weight"] == 0.0, "the smallest of those that are as good"


def test_a_trial_keeps_how_its_logits_are_read_with_its_weights(make_job: MakeJob) -> None:
    job = make_job()
    reports = list(train_trial(job))
    best = next(one for one in reports if one.epoch == reports[-1].best_epoch)
    predictor = trained_predictor(job, best_weights(job.directory))
    model = predictor.model
    assert model.decoder is not None
    assert float(model.decoder.weight) == pytest.approx(best.metrics["transition_weight"])
    names = ["intent_temperature", "slot_temperature"]
    assert model.temperatures.tolist() == pytest.approx([best.metrics[name] for name in names])
    assert best.metrics["dev_slot_f1_en"] == best.metrics["dev_slot_f1_strict_en"]
    tensors = load_file(best_weights(job.directory))
    earlier = {name: tensor for name, tensor in tensors.items() if "decoder" not in name and name != "temperatures"}
    save_file(earlier, job.directory / "earlier.safetensors")
    model = trained_predictor(job, job.directory / "earlier.safetensors").model
    assert model.decoder is None
    assert model.temperatures.tolist() == [1.0, 1.0]


def test_argmax_has_no_decoder(make_job: MakeJob) -> None:
    job = make_job(decoding="argmax", epochs=1)
    (report,) = train_trial(job)
    assert "transition_weight" not in report.metrics
    assert not [name for name in load_file(best_weights(job.directory)) if name.startswith("decoder")]
