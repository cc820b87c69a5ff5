"""The memory of a trial's largest step. In: a TrialJob. Out: a MemoryProbe, of a process that does nothing else.

The step is made of the longest utterances and translations that the trial could ever draw together. It is taken twice,
as the optimiser has its state from the second on, and is followed by the largest batch of an evaluation.
"""

import numpy as np
import torch

from xa_search.encoding.table import EncodedRow, EncodedTable
from xa_search.records import MemoryProbe, TrialJob
from xa_search.training.evaluate import TOKENS_A_BATCH
from xa_search.training.learner import Learner, build_learner
from xa_search.training.steps import StepBatch, StepRows

STEPS = 2


def measure_memory(job: TrialJob) -> MemoryProbe | None:
    """Return what the job's largest step takes of this process's GPU; none where it has none."""
    if not torch.cuda.is_available():
        return None
    learner = build_learner(job)
    learner.model.train()
    step = largest_step(learner)
    for _ in range(STEPS):
        learner.take_step(step)
    learner.predictor.predict(longest_translations(learner, TOKENS_A_BATCH // int(step.batch.lengths.max())))
    torch.cuda.synchronize()
    free, total = torch.cuda.mem_get_info()
    overhead = max(0, total - free - torch.cuda.memory_reserved())
    return MemoryProbe(peak=overhead + torch.cuda.max_memory_reserved(), overhead=overhead, total=total)


def largest_step(learner: Learner) -> StepBatch:
    """Return a step that takes as much memory as any that the trial may draw."""
    settings, task_rows = learner.job.settings, learner.data.task_rows(learner.job.settings.method)
    task = task_rows.read(_longest(task_rows.lengths, settings.batch_size))
    labelled, sources, partners = task, list[EncodedRow](), list[EncodedRow]()
    if settings.method == "translate_train":
        labelled = [*task, *longest_translations(learner, len(task))]
    if settings.pair_losses:
        partners = task if settings.method == "english_only" else longest_translations(learner, len(task))
        sources = task[: len(partners)] if settings.pairing == "independent" else []
    rows = StepRows(task=labelled, places=list(range(len(partners))), sources=sources, partners=partners)
    return rows.collate(learner.collator, settings.pair_losses)


def longest_translations(learner: Learner, count: int) -> list[EncodedRow]:
    """Return the longest translations of all targets together, at most so many, and at least one."""
    tables: list[EncodedTable] = list(learner.data.translations.values())
    rows = [row for table in tables for row in table.rows(_longest(table.lengths, count))]
    return sorted(rows, key=lambda row: len(row.input_ids), reverse=True)[: max(1, count)]


def _longest(lengths: np.ndarray, count: int) -> np.ndarray:
    return np.argsort(-lengths, kind="stable")[: max(1, count)]
