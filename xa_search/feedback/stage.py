"""A trial that learns from feedback. In: a FeedbackJob. Out: an EpochReport after each epoch, as of any trial.

It is the reference, the winner of a search, that learns on: from the labelled source utterances again (replay), with
the winner's own losses between pairs, and from the judgements of its arm. An epoch is one pass over the labelled
utterances, so that all arms take the same number of steps.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from xa_search.encoding.files import write_whole
from xa_search.encoding.table import EncodedRow
from xa_search.encoding.tokenisation import tokenise_running_text, tokenise_words
from xa_search.feedback.files import read_judgements
from xa_search.feedback.judgements import Judgement
from xa_search.feedback.lessons import ReferenceLogits, lesson_of
from xa_search.feedback.objective import FeedbackObjective, RewardShift
from xa_search.model.encoder import load_tokenizer
from xa_search.records import EpochReport, TrialJob
from xa_search.records.feedback import FeedbackJob, FeedbackSettings
from xa_search.training.evaluation import Predictor
from xa_search.training.trainer import Start, Trainer, build_trainer
from xa_search.training.trial import train_trial


def train_on_feedback(job: TrialJob) -> Iterator[EpochReport]:
    """Let the reference learn from the judgements of an arm; it goes on where it was interrupted. One process trains.

    Raises DataError for a judgement that is none, ModelError without the reference's weights.
    """
    return train_trial(replace(job, processes=1), build=build_feedback_trainer)


def build_feedback_trainer(job: TrialJob) -> Trainer:
    """Return the reference as what learns, with the lessons of its arm as a further objective."""
    assert isinstance(job, FeedbackJob)
    assert isinstance(job.settings, FeedbackSettings)
    judgements = read_judgements(job.judged)
    rows = judged_rows(load_tokenizer(job.encoder.directory), judgements, job.settings.max_tokens)
    token_ids = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *(row.input_ids for row in rows)]))
    trainer = build_trainer(job, Start(weights=job.reference, token_ids=torch.from_numpy(token_ids)))
    if not judgements:
        return trainer
    objective = FeedbackObjective(
        predictor=trainer.predictor,
        collator=trainer.collator,
        lessons=[lesson_of(one, row, place) for place, (one, row) in enumerate(zip(judgements, rows, strict=True))],
        reference=kept_reference(trainer.predictor, rows, job.judged.with_suffix(".reference.safetensors")),
        settings=job.settings,
        shift=RewardShift().to(trainer.predictor.device),
    )
    # What weighs the losses is what a trial keeps beside its weights to go on from.
    trainer.micro_batches.weights.add_module("reward_shift", objective.shift)
    return replace(trainer, further=objective)


def judged_rows(tokenizer: Any, judgements: Sequence[Judgement], max_tokens: int) -> list[EncodedRow]:
    """Return the texts of judgements as a model reads them: their tokens, or running text where a line has none.

    What is judged is no pair of sentences.
    """
    given = iter(tokenise_words(tokenizer, [one.tokens for one in judgements if one.tokens], max_tokens))
    running = iter(tokenise_running_text(tokenizer, [one.text for one in judgements if not one.tokens], max_tokens))
    rows = []
    for one in judgements:
        found = next(given if one.tokens else running)
        rows.append(
            EncodedRow(
                id=one.id,
                words=list(found.words),
                input_ids=np.array(found.input_ids, dtype=np.int64),
                positions=np.array(found.positions, dtype=np.int64),
                intent=None,
                slots=None,
            )
        )
    return rows


def reference_logits(predictor: Predictor, rows: Sequence[EncodedRow]) -> ReferenceLogits:
    """Return what a model says of rows, without dropout, on the CPU."""
    words = np.array([len(row.positions) for row in rows], dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(words)])
    corpus = predictor.corpus
    intents = torch.zeros(len(rows), len(corpus.intents))
    slots = torch.zeros(int(starts[-1]), len(corpus.slot_tags))
    for found in predictor.logits(rows):
        intents[torch.from_numpy(found.places)] = found.intents.cpu()
        of_words = np.concatenate([np.arange(starts[place], starts[place + 1]) for place in found.places])
        slots[torch.from_numpy(of_words)] = found.slots.cpu()
    return ReferenceLogits(intents=intents, slots=slots, starts=torch.from_numpy(starts))


def kept_reference(predictor: Predictor, rows: Sequence[EncodedRow], path: Path) -> ReferenceLogits:
    """Return what the reference says of the rows: read where it is kept, else computed and kept for the next trial."""
    try:
        tensors = load_file(path)
        if len(tensors["starts"]) == len(rows) + 1:
            return ReferenceLogits(**tensors)
    except (OSError, SafetensorError):  # not there yet, or damaged
        pass
    found = reference_logits(predictor, rows)
    tensors = {"intents": found.intents, "slots": found.slots, "starts": found.starts}
    write_whole(path, lambda temporary: save_file(tensors, temporary))
    return found
