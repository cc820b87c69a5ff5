"""The frozen records that packages exchange; none holds a live handle (a model, a client, an open file).

data: utterances, translations, encoders. trial: one trial's settings, job and reports. search: a space, a plan, what
was found. evidence, confirmation, soup: what is shown of a winner. registry: what a search may name. stored: records
under the names that earlier versions gave their fields. whole_files: how a file takes the place of another.
torn_files: what could not be read, and was gone on without.
"""

from xa_search.records.data import (
    BETWEEN,
    FIELDS,
    IGNORED,
    OUTSIDE,
    SPLITS,
    EncodedCorpus,
    EncoderFiles,
    Split,
    Translation,
    Utterance,
)
from xa_search.records.evidence import FairBaseline, FloorScore
from xa_search.records.registry import Vocabulary, look_up, registered, unknown
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
    Embedding,
    EpochReport,
    FailureClass,
    GpuShare,
    MemoryProbe,
    SizeResources,
    StoppedAt,
    TrialJob,
    TrialRecord,
    TrialRole,
    TrialSettings,
    TrialState,
    is_weight,
)

__all__ = [
    "BETWEEN", "FIELDS", "IGNORED", "KEEP", "OUTSIDE", "SPLITS", "Asha", "Embedding", "EncodedCorpus",
    "EncoderFiles", "EpochReport", "FailureClass", "FairBaseline", "FloorScore", "GpuShare", "MemoryProbe", "Parameter",
    "Plan", "Scheduler", "SearchCost", "SearchRecord", "SearchSpace", "SizeResources", "Spent", "Split",
    "StoppedAt", "Translation", "TrialJob", "TrialRecord", "TrialRole", "TrialSettings", "TrialState", "Utterance",
    "Vocabulary", "is_weight", "look_up", "registered", "unknown",
]  # fmt: skip
