"""Records of one trial. In: nothing. Out: its settings, its place on a GPU, its job, its reports, as frozen types."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, NonNegativeFloat, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

from xa_search.records.data import EncodedCorpus, EncoderFiles

Embedding = Literal["cls", "mean", "pooler"]
WEIGHT = "_weight"
"""How the name of a setting ends that weights a loss between pairs; the rest of it is the loss's name."""
TrialRole = Literal[
    "baseline", "published", "paper_values", "searched", "zero_shot", "arm", "confirmed", "fair_baseline", "soup"
]
"""`published` has the paper's whole recipe, `paper_values` the values that a space gives as the paper's; an earlier
version called both `published`. `zero_shot` are the trials of the baseline's own search. An `arm` of a feedback run
learns from judgements, with settings that earlier trials found. The last three are of runs outside the trials: settings
that run again, these without alignment, a mean of trials."""
ZERO_SHOT_ROLES: tuple[TrialRole, ...] = ("baseline", "zero_shot")
"""The roles that align nothing, whatever the space's method."""
FLOOR = "floor_score"
"""The metric of an epoch that says what selection score takes no training."""
TrialState = Literal["RUNNING", "PAUSED", "COMPLETE", "PRUNED", "FAIL"]
FailureClass = Literal["non_finite", "collapsed", "oom", "lost_worker", "data", "code", "interrupted"]


def _whole_above_one(gpus: float) -> float:
    if gpus > 1 and gpus != int(gpus):
        raise PydanticCustomError("gpus", "above 1 it is a whole number")
    return gpus


Gpus = Annotated[float, Field(ge=0), AfterValidator(_whole_above_one)]


class SizeResources(BaseModel):
    """What a trial of one model size takes in place of `gpus_per_trial`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gpus: Gpus


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryProbe:
    """What a process that took the largest step of a trial took of a GPU, in bytes, and what that GPU has.

    `overhead` is the part of `peak` that no limit on tensors counts: the driver's and the libraries' own. `host` is
    what the process took of the node's memory, in bytes, and `epoch_seconds` how long an epoch of such steps takes; 0
    where an earlier version measured.
    """

    peak: int
    overhead: int
    total: int
    host: int = 0
    epoch_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuShare:
    """A trial's part of the memory of each GPU it has: the most its tensors may take, and what it waits for."""

    limit: float
    needed: float


class TrialSettings(BaseModel):
    """Everything that decides how one trial trains. Any field can be fixed or searched in a search space.

    Besides its fields it takes the weight of any registered loss between pairs, `NAME_weight`; 0 where none is given.
    """

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, NonNegativeFloat]

    method: str = "xeroalign"
    """How the trial learns: a name in `training/methods.py`."""
    models: Literal["joint", "each"] = "joint"
    """One model for all targets, or as published one for each, trained in turn; the score is their mean."""
    model_size: str = "base"
    """tiny, small, base, large, a Hugging Face encoder id, or a directory that holds an encoder."""
    align_weight: float = Field(default=1.0, ge=0)
    """The factor before the alignment loss: the distance between the sentence embeddings of a pair."""
    contrastive_weight: float = Field(default=1.0, ge=0)
    """For `cross_aligner`: the factor before the loss of finding each translation among those of the batch."""
    translate_intent_weight: float = Field(default=1.0, ge=0)
    """For `cross_aligner`: the factor before the loss of the source's intent on the translation."""
    slot_presence_weight: float = Field(default=1.0, ge=0)
    """For `cross_aligner`: the factor before CrossAligner's own loss, on which slot types an utterance has."""
    loss_weighting: Literal["fixed", "coefficient_of_variation"] = "fixed"
    """Whether the factors stay, or are multiplied by shares that follow how much each loss still varies."""
    learning_rate: float = Field(default=2e-5, gt=0)
    """The highest learning rate of the schedule."""
    head_learning_rate_factor: float = Field(default=1.0, gt=0)
    """The heads learn at this multiple of the learning rate: above 1 where they start at random; published is 1."""
    heads: Literal["random", "probe"] = "random"
    """What the heads begin with: drawn weights, or those fitted to the frozen encoder's view of the labelled rows."""
    frozen_share: float = Field(default=0.0, ge=0, lt=1)
    """This share of the encoder's layers, the lowest, and its token embeddings stay as they were pretrained."""
    head_seed: int | None = Field(default=None, ge=0)
    """Draws the heads in place of `seed`: the same heads for another order of the data and other dropout."""
    epochs: int = Field(default=10, ge=1)
    """Passes over the training utterances that the method learns from: a trial's full budget."""
    batch_size: int = Field(default=32, ge=1)
    """Labelled utterances a step."""
    pairing: Literal["shared", "independent"] = "shared"
    """`shared` aligns the task batch with its translations; `independent` draws the pairs separately."""
    align_distance: str = "mse"
    """The distance between the sentence embeddings of a pair: a name in `model/registry.py`."""
    embedding: Embedding | None = None
    """The sentence embedding; none takes the default of the model size."""
    schedule: Literal["one_cycle", "linear"] = "one_cycle"
    """How the learning rate rises and falls over the steps."""
    warmup: float = Field(default=0.1, gt=0, lt=1)
    """The share of the steps in which the learning rate rises."""
    clip_norm: float = Field(default=1.0, gt=0)
    """The gradient's norm is cut to this."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Dropout in the encoder and, unless `head_dropout` says otherwise, before the heads."""
    head_dropout: float | None = Field(default=None, ge=0, lt=1)
    """Dropout before the heads; the published recipe has none there."""
    padding: Literal["none", "attended"] = "none"
    """`attended` pads every utterance to `max_tokens` and lets attention see that, as the published code does."""
    kept_epoch: Literal["best", "last", "average"] = "best"
    """The epoch whose weights and score count: the best by the selection rule, as published the last, or in its place
    the mean of the weights after each epoch of the second half, whose score is that of the last epoch."""
    decoding: Literal["viterbi", "argmax"] = "viterbi"
    """`viterbi` gives the best legal sequence of slot tags, with transitions as the source has them; `argmax`, as
    published, each word its best tag."""
    slot_loss: Literal["cross_entropy", "crf"] = "cross_entropy"
    """`crf` learns whole sequences of tags, and the transitions between tags with them; Viterbi reads those."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """The share of each intent's and slot tag's label that is spread over all labels; a CRF's tags are not smoothed."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """`auto` takes what a measurement at the search's first trial of a model size found faster, for all of them."""
    max_tokens: int = Field(default=128, ge=8)
    """Sub-words an utterance; what lies beyond is cut and predicted as outside."""
    validation_fraction: float = Field(default=0.1, gt=0, lt=0.5)
    """The share of the source training utterances that is kept back, with its translations, for selection."""
    train_limit: int | None = Field(default=None, ge=10)
    """At most so many source training utterances, the held-out ones included, and so many of each target's."""
    dev_limit: int | None = Field(default=None, ge=1)
    """At most so many dev utterances a language."""
    test_limit: int | None = Field(default=None, ge=1)
    """At most so many test utterances a language."""
    seed: int = Field(default=1, ge=0)
    """Fixes the order of the data, dropout and, unless `head_seed` does, the initialisation of the heads."""

    @model_validator(mode="before")
    @classmethod
    def _no_unknown_keys(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        extra = [key for key in values if key not in cls.model_fields and not is_weight(key)]
        faults = [InitErrorDetails(type="extra_forbidden", loc=(key,), input=values[key]) for key in extra]
        if faults:
            raise ValidationError.from_exception_data(cls.__name__, faults)
        return values

    @model_validator(mode="after")
    def _crf_is_decoded(self) -> "TrialSettings":
        if self.slot_loss == "crf" and self.decoding == "argmax":
            raise PydanticCustomError("crf", "slot_loss: crf is read by Viterbi; write decoding: viterbi beside it")
        return self

    @classmethod
    def type_of(cls, setting: str) -> Any:
        """Return the type of a setting's values."""
        return float if setting not in cls.model_fields else cls.model_fields[setting].annotation

    @property
    def weights(self) -> dict[str, float]:
        """The factors before the losses between pairs, by loss; a method may read some of them, or none."""
        return {name.removesuffix(WEIGHT): value for name, value in self if is_weight(name)}


def is_weight(setting: str) -> bool:
    """Whether a setting is the factor before a loss between pairs; a zero-shot trial reads none of them."""
    return setting.endswith(WEIGHT)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialJob:
    """What a worker needs to train one trial."""

    settings: TrialSettings
    encoder: EncoderFiles
    corpus: EncodedCorpus
    selection: str
    directory: Path
    home: Path
    threads: int
    processes: int = 1
    """How many processes train, each on a GPU and a part of every batch."""
    share: GpuShare | None = None
    """What the trial may take of a GPU's memory; none where it has a GPU to itself, or has none."""
    search: Path | None = None
    """The folder of the search, for what is decided once for all its trials; none where the trial is alone."""
    deterministic: bool = False
    """Whether only algorithms may be used that give the same bits each time."""
    rungs: tuple[int, ...] = ()
    """The steps after which it also reports, within an epoch, so that it can be compared and stopped there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochReport:
    """What a trial tells after each epoch, and at each rung that lies in steps.

    `score` is the selection score; `metrics` have flat names, seconds and steps in them are those since the report
    before. `rung` is how many steps the trial has taken, where that is a rung. If it is not `whole`, the epoch is still
    under way: only what selection needs was measured, and its weights are none to be kept. `best_epoch` is 0 and
    `best_score` the score at hand until an epoch is over.
    """

    epoch: int
    score: float
    best_score: float
    best_epoch: int
    final: bool
    metrics: dict[str, float]
    rung: int | None = None
    whole: bool = True
    torn: tuple[str, ...] = ()
    """What could not be read in this epoch, and what was done instead: see `torn_files`."""

    @property
    def at_floor(self) -> bool | None:
        """Whether the best score so far is not above what takes no training; none where that was not measured."""
        return None if FLOOR not in self.metrics else self.best_score <= self.metrics[FLOOR]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppedAt:
    """Why early stopping ended a trial: after `epoch`, or in it after `rung` steps, its score lay below the cut-off.

    `rank` 1 is the best of the `competitors`: the trials of its size that had come so far, itself included.
    """

    epoch: int
    score: float
    cutoff: float
    rank: int
    competitors: int
    rung: int | None = None

    @property
    def where(self) -> str:
        """The place, in words."""
        return f"epoch {self.epoch}" if self.rung is None else f"step {self.rung} in epoch {self.epoch}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """What is known of one trial. The metrics are those of its best epoch under the selection rule.

    `params` are the searched settings alone; `scores[i]` is the selection score after epoch i + 1, `rung_scores[n]` at
    a rung after n steps. `spent` has the seconds of all that it did: `train`, `evaluate`, and `cpu`, the processor
    seconds of all threads; `seconds` are those on the wall, over all its interruptions. A PAUSED trial was interrupted
    and goes on under its number.
    """

    number: int
    role: TrialRole
    settings: TrialSettings
    params: dict[str, float | int | str | bool]
    state: TrialState = "RUNNING"
    scores: tuple[float, ...] = ()
    rung_scores: dict[int, float] = field(default_factory=dict)
    best_epoch: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    failure: FailureClass | None = None
    failure_text: str = ""
    failure_frame: str = ""
    stopped_at: StoppedAt | None = None
    interruptions: int = 0
    interruption: str = ""
    """Why the last interruption happened."""
    batch: int | None = None
    """The batch that a deterministic search proposed it in."""
    seconds: float = 0.0
    spent: dict[str, float] = field(default_factory=dict)
    torn: tuple[str, ...] = ()
    """The files that it could not read, and what that set back."""

    @property
    def score(self) -> float | None:
        """The selection score of the epoch whose weights are kept; before one is over, that of the last rung."""
        scores = self.scores if self.settings.kept_epoch == "best" else self.scores[-1:]
        return max(scores, default=self.rung_scores[max(self.rung_scores)] if self.rung_scores else None)

    @property
    def at_floor(self) -> bool | None:
        """Whether its score is not above what takes no training; none where one of the two is not known."""
        score = self.score
        return None if score is None or FLOOR not in self.metrics else score <= self.metrics[FLOOR]
