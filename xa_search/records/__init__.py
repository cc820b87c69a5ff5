"""The frozen records that packages exchange; none holds a live handle (a model, a client, an open file)."""

from xa_search.records.data import (
    BETWEEN,
    OUTSIDE,
    SPLITS,
    EncodedCorpus,
    EncoderFiles,
    Split,
    Translation,
    Utterance,
)
from xa_search.records.search import (
    KEEP,
    Asha,
    Parameter,
    Plan,
    Scheduler,
    SearchCost,
    SearchRecord,
    SearchSpace,
    Spent,
)
from xa_search.records.trial import (
    TARGET_METHODS,
    WEIGHTS,
    Embedding,
    EpochReport,
    FailureClass,
    GpuShare,
    MemoryProbe,
    Method,
    Selection,
    SizeResources,
    StoppedAt,
    TrialJob,
    TrialRecord,
    TrialRole,
    TrialSettings,
    TrialState,
)

__all__ = [
    "BETWEEN", "KEEP", "OUTSIDE", "SPLITS", "TARGET_METHODS", "WEIGHTS", "Asha", "Embedding", "EncodedCorpus",
    "EncoderFiles", "EpochReport", "FailureClass", "GpuShare", "MemoryProbe", "Method", "Parameter", "Plan",
    "Scheduler", "SearchCost", "SearchRecord", "SearchSpace", "Selection", "SizeResources", "Spent", "Split",
    "StoppedAt", "Translation", "TrialJob", "TrialRecord", "TrialRole", "TrialSettings", "TrialState", "Utterance",
]  # fmt: skip
