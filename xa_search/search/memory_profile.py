"""What trials take of a GPU's memory. In: a Plan, its study, the kinds of GPU. Out: what to measure; what was
measured.

The step is made of the longest utterances and translations that the trial could ever draw together. It is taken twice,
as the optimiser has its state from the second on, and is followed by the largest batch of an evaluation.

A model size is measured once a search and kind of GPU, as its hungriest trial: the largest batch, with each method. A
search that goes on measures nothing again.
"""

import resource
import sys
import time
from collections.abc import Collection
from dataclasses import asdict
from itertools import product

import numpy as np
import torch

from xa_search.encoding.table import EncodedRow, EncodedTable
from xa_search.records import MemoryProbe, Plan, TrialJob, TrialRecord, TrialSettings
from xa_search.search.budgets import format_bytes
from xa_search.search.controller import MakeJob, SearchCallback
from xa_search.search.resources import Placement
from xa_search.search.study import SearchStudy
from xa_search.training.evaluation import TOKENS_A_BATCH
from xa_search.training.registry import method_of, one_model_a_target, pair_losses
from xa_search.training.steps import StepBatch, StepRows
from xa_search.training.trainer import Trainer, build_trainer

STEPS = 2
DECISIVE = ("method", "pairing", "padding", "precision")
"""The searched settings that decide, with size, batch and length, how much memory a step takes."""


def measure_memory(job: TrialJob) -> MemoryProbe | None:
    """Return what the job's largest step takes of this process's GPU; none where it has none."""
    if not torch.cuda.is_available():
        return None
    trainer = build_trainer(job)
    trainer.model.train()
    step = largest_step(trainer)
    for _ in range(STEPS):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        trainer.take_step(step)
        torch.cuda.synchronize()
        seconds = time.perf_counter() - begin
    trainer.predictor.predict(longest_translations(trainer, TOKENS_A_BATCH // int(step.batch.lengths.max())))
    torch.cuda.synchronize()
    free, total = torch.cuda.mem_get_info()
    overhead = max(0, total - free - torch.cuda.memory_reserved())
    return MemoryProbe(
        peak=overhead + torch.cuda.max_memory_reserved(),
        overhead=overhead,
        total=total,
        host=peak_memory(),
        epoch_seconds=seconds * steps_an_epoch(trainer),
    )


def peak_memory() -> int:
    """Return the most bytes of the node's memory that this process had."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def steps_an_epoch(trainer: Trainer) -> int:
    """Return how many steps an epoch of the trial has, over all its models."""
    settings, job = trainer.job.settings, trainer.job
    rows = len(trainer.data.task_rows(method_of(settings)))
    return -(-rows // settings.batch_size) * (len(job.corpus.targets) if one_model_a_target(settings) else 1)


def largest_step(trainer: Trainer) -> StepBatch:
    """Return a step that takes as much memory as any that the trial may draw."""
    settings = trainer.job.settings
    method, losses = method_of(settings), pair_losses(settings)
    task_rows = trainer.data.task_rows(method)
    task = task_rows.read(_longest(task_rows.lengths, settings.batch_size))
    labelled, sources, partners = task, list[EncodedRow](), list[EncodedRow]()
    if method.labelled_translations:
        labelled = [*task, *longest_translations(trainer, len(task))]
    if losses:
        partners = task if method.partner == "itself" else longest_translations(trainer, len(task))
        sources = task[: len(partners)] if settings.pairing == "independent" else []
    rows = StepRows(task=labelled, places=list(range(len(partners))), sources=sources, partners=partners)
    return rows.collate(trainer.collator, losses)


def longest_translations(trainer: Trainer, count: int) -> list[EncodedRow]:
    """Return the longest translations of all targets together, at most so many, and at least one."""
    tables: list[EncodedTable] = list(trainer.data.translations.values())
    rows = [row for table in tables for row in table.rows(_longest(table.lengths, count))]
    return sorted(rows, key=lambda row: len(row.input_ids), reverse=True)[: max(1, count)]


def _longest(lengths: np.ndarray, count: int) -> np.ndarray:
    return np.argsort(-lengths, kind="stable")[: max(1, count)]


class MemoryProfile:
    """Says which steps are to be measured, and keeps what was measured with the search."""

    def __init__(self, plan: Plan, study: SearchStudy, make_job: MakeJob, callback: SearchCallback) -> None:
        self._plan = plan
        self._study = study
        self._make_job = make_job
        self._callback = callback

    @property
    def is_needed(self) -> bool:
        """Whether the space leaves it to measurements what some trials take."""
        return any(self._plan.space.gpus(size) is None for size in self._plan.space.model_sizes)

    def missing(self, kinds: Collection[str]) -> dict[tuple[str, str], TrialJob]:
        """Return what is still to be measured on these kinds of GPU: jobs by kind and key."""
        known = self._study.measured()
        return {
            (kind, key): self._job(settings)
            for size in self._plan.space.model_sizes
            if self._plan.space.gpus(size) is None
            for settings in most_demanding(self._plan, size)
            for kind in kinds
            if (key := _key(settings, kind)) not in known
        }

    def enter(self, key: str, probe: MemoryProbe) -> None:
        """Keep what was measured."""
        self._study.note_measured(key, asdict(probe))

    def probes(self, kinds: Collection[str]) -> dict[str, list[MemoryProbe]]:
        """Return what is known of each model size on these kinds of GPU; nothing of a size that is not all measured."""
        known = self._study.measured()
        found = {}
        for size in self._plan.space.model_sizes:
            keys = [_key(settings, kind) for settings in most_demanding(self._plan, size) for kind in kinds]
            if self._plan.space.gpus(size) is None and all(key in known for key in keys):
                found[size] = [MemoryProbe(**known[key]) for key in keys]
        return found

    def announce(self, placement: Placement, kinds: Collection[str], faults: Collection[str]) -> None:
        """Tell the callback what a trial of each size has of a GPU, and why; nothing where there is none."""
        probes, lines = self.probes(kinds), list(faults)
        for size, share in placement.shares.items():
            line = f"a trial of size {size} takes {placement.requests[size].gpus:g} GPUs"
            if probes.get(size):
                most = max(probes[size], key=lambda probe: probe.peak / probe.total)
                line += f", its largest step took {format_bytes(most.peak)} of {format_bytes(most.total)}"
            memory = placement.requests[size].memory
            asked = f", it asks for {format_bytes(memory)} of its node's memory" if memory else ""
            lines.append(f"{line}; its tensors may take {share.limit:.0%} of a GPU's memory{asked}")
        if lines:
            self._callback.placed(lines)

    def _job(self, settings: TrialSettings) -> TrialJob:
        """A job that is measured is no trial: its number is nobody's, and nothing is written into its folder."""
        return self._make_job(TrialRecord(number=0, role="searched", settings=settings, params={}))


def most_demanding(plan: Plan, size: str) -> tuple[TrialSettings, ...]:
    """Return the settings of the trials of a size that may take the most memory: no other takes more than them all."""
    params = plan.space.params
    choices = {key: params[key].choices or () for key in DECISIVE if key in params}
    largest = {}
    if "batch_size" in params:
        largest["batch_size"] = int(max(params["batch_size"].choices or (params["batch_size"].high or 1,)))
    return tuple(
        plan.trial_settings({"model_size": size, **largest, **dict(zip(choices, values, strict=True))})
        for values in product(*choices.values())
    )


def _key(settings: TrialSettings, kind: str) -> str:
    decisive = ("model_size", "batch_size", "max_tokens", *DECISIVE)
    return ", ".join([*(f"{name} {getattr(settings, name)}" for name in decisive), kind])
