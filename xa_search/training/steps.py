"""The input of each training step. In: a trial's rows. Out: batches.

Source utterances and what they are aligned with go through the encoder in one pass.
"""

from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import torch

from xa_search.encoding.batches import Batch, Collator, move_together, shuffled_batches
from xa_search.encoding.table import EncodedRow
from xa_search.model.registry import PAIR_LOSSES
from xa_search.records import TrialSettings
from xa_search.training.data import TaskRows, TrialData
from xa_search.training.methods import Method
from xa_search.training.registry import method_of

BATCHES_A_READ = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRows:
    """The rows of one step: labelled utterances, and the pairs, if anything is aligned.

    `partners[i]` belongs to the utterance at `places[i]` of the pair batch, which is `task` unless `sources` has the
    source utterances of the pairs. It is a translation, or for method `english_only` the utterance once more.
    """

    task: list[EncodedRow]
    places: list[int]
    sources: list[EncodedRow]
    partners: list[EncodedRow]

    def piece(self, number: int, count: int) -> "StepRows":
        """Return one of `count` pieces, which have about as many long utterances each."""
        own = [pair for pair, place in enumerate(self.places) if place % count == number]
        return StepRows(
            task=self.task[number::count],
            places=[self.places[pair] // count for pair in own],
            sources=[self.sources[pair] for pair in own] if self.sources else [],
            partners=[self.partners[pair] for pair in own],
        )

    def collate(self, collator: Collator, losses: Collection[str]) -> "StepBatch":
        """Return the step's input: all its rows in one batch, with what these losses between pairs read."""
        pairs = [*self.sources, *self.partners]
        read = [PAIR_LOSSES[name] for name in losses]
        intents, presence = any(one.reads_intents for one in read), any(one.reads_slot_presence for one in read)
        scored, unscored = ([*self.task, *map(_without_labels, pairs)], []) if presence else (self.task, pairs)
        batch = collator(scored, unscored)
        before_partners = len(self.task) + len(self.sources)
        sources = torch.arange(len(self.task), before_partners) if self.sources else torch.tensor(self.places)
        labelled = self.sources or [self.task[place] for place in self.places]
        return StepBatch(
            rows=self,
            batch=batch,
            sources=sources.to(torch.int64),
            partners=torch.arange(len(self.partners)) + before_partners,
            intents=collator.intents(labelled if intents else []),
            slot_presence=collator.slot_presence(labelled if presence else []),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StepBatch:
    """One step's input: labelled utterances, then what is aligned with their help, if anything.

    Row `sources[i]` of the batch is the source utterance of its row `partners[i]`; `intents[i]` is its intent, and
    `slot_presence[i]` says which slot types it has, where a loss reads that.
    """

    rows: StepRows
    batch: Batch
    sources: torch.Tensor
    partners: torch.Tensor
    intents: torch.Tensor
    slot_presence: torch.Tensor

    def to(self, device: torch.device) -> "StepBatch":
        """Return the step's input on a device: all of it goes there in one copy."""
        if device.type == "cpu":
            return self
        own = [self.sources, self.partners, self.intents, self.slot_presence.to(torch.int64)]
        *of_batch, sources, partners, intents, presence = move_together([*self.batch.tensors, *own], device)
        return StepBatch(
            rows=self.rows,
            batch=self.batch.with_tensors(of_batch),
            sources=sources,
            partners=partners,
            intents=intents,
            slot_presence=presence.to(self.slot_presence.dtype),
        )


def step_batches(data: TrialData, collator: Collator, settings: TrialSettings, epoch: int) -> Iterator[StepBatch]:
    """Yield the batches of an epoch, in the order that the settings' seed decides."""
    method = method_of(settings)
    task_rows, losses = data.task_rows(method), method.weights(settings)
    independent = settings.pairing == "independent"
    task_batches = _order(task_rows, settings, epoch, 0)
    pair_batches = _order(task_rows, settings, epoch, 1) if independent else task_batches
    for start in range(0, len(task_batches), BATCHES_A_READ):
        read = slice(start, start + BATCHES_A_READ)
        tasks = _read(task_rows, task_batches[read])
        if method.labelled_translations:
            tasks = _with_translations(data, tasks, task_batches[read], epoch)
        if not losses:
            steps = [StepRows(task=task, places=[], sources=[], partners=[]) for task in tasks]
        else:
            sources = _read(task_rows, pair_batches[read]) if independent else tasks
            partners = _partners(data, sources, pair_batches[read], method, epoch)
            steps = [_pair_up(task, source, partners, independent) for task, source in zip(tasks, sources, strict=True)]
        for rows in steps:
            yield rows.collate(collator, losses)


def made_ahead(steps: Iterator[StepBatch]) -> Iterator[StepBatch]:
    """Yield the same; the next one is made by a thread while the last one is used."""
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as thread:
        coming = thread.submit(next, steps, end)
        while isinstance(step := coming.result(), StepBatch):
            coming = thread.submit(next, steps, end)
            yield step


def _without_labels(row: EncodedRow) -> EncodedRow:
    return replace(row, intent=None, slots=None)


def _order(rows: TaskRows, settings: TrialSettings, epoch: int, stream: int) -> list[np.ndarray]:
    return shuffled_batches(rows.lengths, settings.batch_size, np.random.default_rng([settings.seed, epoch, stream]))


def _read(task_rows: TaskRows, batches: list[np.ndarray]) -> list[list[EncodedRow]]:
    """Read the rows of several batches at once."""
    rows = iter(task_rows.read(np.concatenate(batches)))
    return [[next(rows) for _ in batch] for batch in batches]


def _with_translations(
    data: TrialData, tasks: list[list[EncodedRow]], batches: list[np.ndarray], epoch: int
) -> list[list[EncodedRow]]:
    """Add a labelled translation of each utterance that has one."""
    translations = iter(data.paired_translations(np.concatenate(batches), epoch))
    return [[*task, *(other for _ in task if (other := next(translations)) is not None)] for task in tasks]


def _partners(
    data: TrialData, sources: list[list[EncodedRow]], batches: list[np.ndarray], method: Method, epoch: int
) -> Iterator[EncodedRow | None]:
    """Yield what each source utterance of some batches is aligned with."""
    if method.partner == "itself":
        return chain.from_iterable(sources)
    return iter(data.paired_translations(np.concatenate(batches), epoch))


def _pair_up(
    task: list[EncodedRow], sources: list[EncodedRow], partners: Iterator[EncodedRow | None], independent: bool
) -> StepRows:
    """Take a partner for each source utterance; those without one are left out of the pairs."""
    found = [(place, partner) for place in range(len(sources)) if (partner := next(partners)) is not None]
    return StepRows(
        task=task,
        places=[place for place, _ in found],
        sources=[sources[place] for place, _ in found] if independent else [],
        partners=[partner for _, partner in found],
    )
