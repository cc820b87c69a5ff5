"""The frozen records that packages exchange; none holds a live handle (a model, a client, an open file).

data: utterances, translations, encoders. trial: one trial's settings, job and reports. search: a space, a plan, what
was found; comparisons: what a winner is held against; evidence, confirmation, soup: what is shown of it. cost: what
it took. scheduler: early stopping. registry: what a search may name. feedback: the settings and the job of a trial
that learns from feedback. stored: records under the names that earlier versions gave their fields. whole_files: how a
file takes the place of another. torn_files: what could not be read, and was gone on without. report: all that is told
of a search.
"""

from xa_search.records.comparisons import FairBaseline, FloorScore
from xa_search.records.cost import SearchCost, Spent
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
from xa_search.records.registry import Vocabulary, look_up, registered, unknown
from xa_search.records.scheduler import Asha, Scheduler
from xa_search.records.search import (
    KEEP,
    Parameter,
    Plan,
    SearchRecord,
    SearchSpace,
)
from xa_search.records.trial import (
    FLOOR,
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
    "BETWEEN", "FIELDS", "FLOOR", "IGNORED", "KEEP", "OUTSIDE", "SPLITS", "Asha", "Embedding", "EncodedCorpus",
    "EncoderFiles", "EpochReport", "FailureClass", "FairBaseline", "FloorScore", "GpuShare", "MemoryProbe", "Parameter",
    "Plan", "Scheduler", "SearchCost", "SearchRecord", "SearchSpace", "SizeResources", "Spent", "Split",
    "StoppedAt", "Translation", "TrialJob", "TrialRecord", "TrialRole", "TrialSettings", "TrialState", "Utterance",
    "Vocabulary", "is_weight", "look_up", "registered", "unknown",
]  # fmt: skip
