"""How a model's logits are read, after each epoch. In: its logits of the source's dev utterances. Out: numbers in it.

The weight of the transitions between slot tags is the one that gives the highest slot F1 there, the smallest of
several. The temperatures give the highest likelihood to the intents there, and to which decoded slots are right. No
label of a target is read.
"""

from collections.abc import Sequence

import torch

from xa_search.model.calibration import fit_slot_temperature, fit_temperature
from xa_search.model.crf import LearnedTransitions
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
    fitted |= fit_transition_weight(predictor, found)
    slots, tags, word_counts = _words_of(found)
    decoded = slots.argmax(-1) if model.decoder is None else model.decoder(slots, word_counts)
    fitted["slot_temperature"] = fit_slot_temperature(
        slots, word_counts, model.chain_scores(), decoded, tags, corpus.slot_tags
    )
    model.temperatures[1] = fitted["slot_temperature"]
    return fitted


def fit_transition_weight(predictor: Predictor, found: Sequence[Logits]) -> dict[str, float]:
    """Set the weight of the model's decoder alone; a model without one has none, and learned transitions have 1."""
    decoder, corpus = predictor.model.decoder, predictor.corpus
    if decoder is None or isinstance(decoder, LearnedTransitions):
        return {}
    slots, tags, word_counts = _words_of(found)
    scores = []
    for weight in WEIGHTS:
        found_tags = decode(slots, word_counts, decoder.transitions, weight).cpu().numpy()
        scores.append(legal_span_f1(tags.cpu().numpy(), found_tags, word_counts.cpu().numpy(), corpus.slot_tags))
    best = WEIGHTS[scores.index(max(scores))]
    decoder.weight.fill_(best)
    return {"transition_weight": best}


def _words_of(found: Sequence[Logits]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return slot logits, gold tags, and how many words each utterance has."""
    slots, tags = torch.cat([one.slots for one in found]), torch.cat([one.batch.slots for one in found])
    return slots, tags, torch.cat([one.batch.word_counts for one in found])
