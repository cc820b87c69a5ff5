"""One training step. In: a trial's rows. Out: batches, and the total loss of one with its terms.

Source utterances and translations go through the encoder in one pass.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from xa_search.encoding.batches import Batch, Collator, shuffled_batches
from xa_search.encoding.table import EncodedRow
from xa_search.model.joint import JointModel
from xa_search.model.losses import align_loss, intent_loss, slot_loss
from xa_search.records import TrialSettings
from xa_search.training.data import TrialData

BATCHES_A_READ = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class StepBatch:
    """One step's input: labelled source utterances, then what is aligned with their help, if anything.

    Row `sources[i]` of the batch is the source utterance of its row `translations[i]`.
    """

    batch: Batch
    sources: torch.Tensor
    translations: torch.Tensor

    def to(self, device: torch.device) -> "StepBatch":
        """Return the step's input on a device."""
        return StepBatch(
            batch=self.batch.to(device), sources=self.sources.to(device), translations=self.translations.to(device)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LossTerms:
    """Scalars of one step; `total` carries the gradient."""

    total: torch.Tensor
    intent: torch.Tensor
    slot: torch.Tensor
    align: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pairs:
    """The pairs of one step: places in the pair batch that have a translation, the source rows, the translations."""

    places: list[int]
    sources: list[EncodedRow]
    translations: list[EncodedRow]


def step_batches(data: TrialData, collator: Collator, settings: TrialSettings, epoch: int) -> Iterator[StepBatch]:
    """Yield the batches of an epoch, in the order that the settings' seed decides."""
    lengths = data.source.lengths[data.train]
    aligns = settings.method != "zero_shot" and settings.align_weight > 0
    independent = settings.pairing == "independent"
    task_batches = _order(lengths, settings, epoch, 0)
    pair_batches = _order(lengths, settings, epoch, 1) if independent else task_batches
    for start in range(0, len(task_batches), BATCHES_A_READ):
        read = slice(start, start + BATCHES_A_READ)
        rows = _read(data, task_batches[read])
        pairs = _read_pairs(data, pair_batches[read], epoch) if aligns else [None] * len(rows)
        for task, pair in zip(rows, pairs, strict=True):
            yield _step_batch(collator, task, pair, independent)


def compute_losses(model: JointModel, step: StepBatch, settings: TrialSettings) -> LossTerms:
    """Run the encoder over one step's input and sum the loss terms."""
    output = model(step.batch)
    intent, slot = intent_loss(output, step.batch), slot_loss(output, step.batch)
    align = intent.new_zeros(())
    if len(step.translations):
        sources, translations = output.sentence[step.sources], output.sentence[step.translations]
        align = align_loss(sources, translations, settings.align_distance)
    return LossTerms(total=intent + slot + settings.align_weight * align, intent=intent, slot=slot, align=align)


def _order(lengths: np.ndarray, settings: TrialSettings, epoch: int, stream: int) -> list[np.ndarray]:
    return shuffled_batches(lengths, settings.batch_size, np.random.default_rng([settings.seed, epoch, stream]))


def _read(data: TrialData, batches: list[np.ndarray]) -> list[list[EncodedRow]]:
    """Read the source rows of several batches at once."""
    rows = iter(data.source.rows(data.train[np.concatenate(batches)]))
    return [[next(rows) for _ in batch] for batch in batches]


def _read_pairs(data: TrialData, batches: list[np.ndarray], epoch: int) -> list[_Pairs]:
    sources = _read(data, batches)
    translations = iter(data.paired_translations(np.concatenate(batches), epoch))
    pairs = []
    for rows in sources:
        found = [(place, row, other) for place, row in enumerate(rows) if (other := next(translations)) is not None]
        pairs.append(
            _Pairs(
                places=[place for place, _, _ in found],
                sources=[row for _, row, _ in found],
                translations=[other for _, _, other in found],
            )
        )
    return pairs


def _step_batch(collator: Collator, task: list[EncodedRow], pairs: _Pairs | None, independent: bool) -> StepBatch:
    if pairs is None:
        nothing = torch.zeros(0, dtype=torch.int64)
        return StepBatch(batch=collator(task), sources=nothing, translations=nothing)
    extra = pairs.sources if independent else []
    sources = torch.arange(len(extra)) + len(task) if independent else torch.tensor(pairs.places, dtype=torch.int64)
    return StepBatch(
        batch=collator(task, [*extra, *pairs.translations]),
        sources=sources,
        translations=torch.arange(len(pairs.translations)) + len(task) + len(extra),
    )
