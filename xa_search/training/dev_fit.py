"""How a model's logits are read, after each epoch. In: its logits of the source's dev utterances. Out: numbers in it.

The weight of the transitions between slot tags is the one that gives the highest slot F1 there, the smallest of
several; the temperatures give the labels there the highest likelihood. No label of a target is read.
"""

from collections.abc import Sequence

import torch

from xa_search.model.calibration import fit_temperature
from xa_search.model.decoding import WEIGHTS, decode
from xa_search.training.evaluation import Logits, Predictor
from xa_search.training.metrics import legal_span_f1


def fit_reading(predictor: Predictor, found: Sequence[Logits]) -> dict[str, float]:
    """Set the weight and the temperatures of the predictor's model, and return them as metrics."""
    model, corpus = predictor.model, predictor.corpus
    intents = torch.cat([one.intents for one in found]), torch.cat([one.batch.intents for one in found])
    fitted = {"intent_temperature": fit_temperature(*intents)}
    model.temperatures[0] = fitted["intent_temperature"]
    if not corpus.has_slots:
        return fitted
    slots, tags = torch.cat([one.slots for one in found]), torch.cat([one.batch.slots for one in found])
    fitted["slot_temperature"] = fit_temperature(slots, tags)
    model.temperatures[1] = fitted["slot_temperature"]
    if model.decoder is not None:
        word_counts, gold = torch.cat([one.batch.word_counts for one in found]), tags.cpu().numpy()
        scores = []
        for weight in WEIGHTS:
            decoded = decode(slots, word_counts, model.decoder.transitions, weight).cpu().numpy()
            scores.append(legal_span_f1(gold, decoded, word_counts.cpu().numpy(), corpus.slot_tags))
        fitted["transition_weight"] = WEIGHTS[scores.index(max(scores))]
        model.decoder.weight.fill_(fitted["transition_weight"])
    return fitted
