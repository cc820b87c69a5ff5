"""What learns in a trial. In: a TrialJob. Out: its data, model and optimiser, ready to take steps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from xa_search.encoding.batches import Collator
from xa_search.encoding.store import DEV_TRANSLATIONS, TRANSLATIONS
from xa_search.model.crf import LearnedTransitions
from xa_search.model.decoding import SlotDecoder, transition_scores
from xa_search.model.joint import JointModel
from xa_search.model.labelled_translations import project_translations
from xa_search.model.losses import LossWeights
from xa_search.model.trimming import distinct_token_ids
from xa_search.records import TrialJob, TrialSettings
from xa_search.training.averaging import WeightAverage
from xa_search.training.checkpoint import build_model, continue_model
from xa_search.training.data import (
    TrialData,
    attended_padding,
    evaluation_collator,
    load_trial_data,
    source_dev_rows,
    training_collator,
    trial_split,
)
from xa_search.training.device import set_determinism, trial_device, trial_precision
from xa_search.training.evaluation import Predictor
from xa_search.training.micro_batches import MicroBatches
from xa_search.training.objective import LossTerms
from xa_search.training.probe import begin_with, probed_heads
from xa_search.training.registry import method_of, pair_losses, selection_rule
from xa_search.training.steps import StepBatch

NUDGE = 1e-6


def learning_rate_schedule(optimizer: Optimizer, kind: str, warmup: float, steps: int) -> LRScheduler:
    """Rise to each group's learning rate over the share `warmup` of the steps, then fall by a cosine or a line."""
    if kind == "one_cycle":
        highest = [group["lr"] for group in optimizer.param_groups]
        total = max(2, steps)
        # A rise of exactly one step makes torch divide by zero.
        rise = warmup + NUDGE if warmup * total == 1 else warmup
        return OneCycleLR(optimizer, max_lr=highest, total_steps=total, pct_start=rise, cycle_momentum=False)
    rising = max(1, round(steps * warmup))
    falling = max(1, steps - rising)
    return LambdaLR(optimizer, lambda step: min((step + 1) / rising, max(0.0, (steps - step) / falling)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The weights that a trial goes on from, and the token ids that it reads beside those of its corpus."""

    weights: Path
    token_ids: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainer:
    """The live parts of a running trial."""

    job: TrialJob
    data: TrialData
    collator: Collator
    predictor: Predictor
    micro_batches: MicroBatches
    kept_ids: torch.Tensor
    optimizer: torch.optim.Optimizer
    schedule: LRScheduler
    steps: int
    """The steps of all epochs: the trial's full budget."""
    start_metrics: dict[str, float]
    """What is told of the heads that it begins with."""
    average: WeightAverage
    """The mean of the weights of the second half's epochs, where `kept_epoch` asks for it."""
    further: Callable[[int], Mapping[str, torch.Tensor]] | None = None
    """Adds the gradients of a further objective of the step with this number to the model's; returns its terms."""

    @property
    def model(self) -> JointModel:
        """The model that learns."""
        return self.predictor.model

    @property
    def steps_an_epoch(self) -> int:
        """The steps of each epoch."""
        return self.steps // self.job.settings.epochs

    def take_step(self, step: StepBatch) -> tuple[LossTerms, torch.Tensor]:
        """Learn from one step's input. Return the loss terms and the gradient's norm before it was cut."""
        losses = self.micro_batches.accumulate_gradients(step)
        if self.further is not None:
            more = self.further(self.schedule.last_epoch)
            losses = replace(losses, total=losses.total + sum(more.values()), terms={**losses.terms, **more})
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.job.settings.clip_norm)
        self.optimizer.step()
        self.schedule.step()
        return losses, norm


def build_trainer(job: TrialJob, start: Start | None = None) -> Trainer:
    """Load a trial's data and model. Sets this process's thread count, random state and choice of algorithms.

    With a start the model is that of these weights, else the pretrained encoder with new heads.
    """
    settings, device = job.settings, trial_device()
    method = method_of(settings)
    torch.set_num_threads(job.threads)
    set_determinism(wanted=job.deterministic)
    token_ids = _token_ids(job)
    data = _trial_data(job, token_ids, device)
    if start is None:
        model, kept_ids = build_model(job.encoder, job.corpus, settings, token_ids)
    else:
        token_ids = torch.cat([token_ids, start.token_ids])
        model, kept_ids = continue_model(job.encoder, job.corpus, settings, token_ids, start.weights)
    model.decoder = _decoder(model.decoder, data, settings)
    model.to(device)
    optimizer = _optimizer(model, settings)
    steps = settings.epochs * -(-len(data.task_rows(method)) // settings.batch_size)
    padding = attended_padding(settings, model.encoder)
    predictor = Predictor(
        model=model,
        collator=evaluation_collator(job.corpus, padding),
        corpus=job.corpus,
        device=device,
        precision=trial_precision(job, device, model.encoder.config),
    )
    start_metrics = {}
    if settings.heads == "probe" and start is None:
        dev = source_dev_rows(job.corpus, data.split, settings.dev_limit)
        heads = probed_heads(predictor, job.encoder, data.task_rows(method), dev, job.corpus.directory)
        start_metrics = begin_with(predictor, heads)
    collator = training_collator(job.corpus, device, padding)
    by_variation = settings.loss_weighting == "coefficient_of_variation"
    weights = LossWeights(pair_losses(settings), by_variation=by_variation).to(device)
    return Trainer(
        job=job,
        data=data,
        collator=collator,
        predictor=predictor,
        micro_batches=MicroBatches(predictor=predictor, collator=collator, settings=settings, weights=weights),
        kept_ids=kept_ids,
        optimizer=optimizer,
        schedule=learning_rate_schedule(optimizer, settings.schedule, settings.warmup, steps),
        steps=steps,
        start_metrics=start_metrics,
        average=WeightAverage(),
    )


def _trial_data(job: TrialJob, token_ids: torch.Tensor, device: torch.device) -> TrialData:
    """Return the trial's data, with labelled translations where the method learns from such; then draws begin anew."""
    labelled = None
    if method_of(job.settings).labelled_translations:
        rows = trial_split(job.corpus, job.settings).of_training
        labelled = project_translations(job.encoder, job.corpus, token_ids, rows, device)
    torch.manual_seed(job.settings.seed)
    return load_trial_data(job.corpus, job.settings, labelled)


def _decoder(known: SlotDecoder | None, data: TrialData, settings: TrialSettings) -> SlotDecoder | None:
    """Return how slot tags are decoded; learned transitions go on from those that the model has already."""
    corpus = data.corpus
    if not corpus.has_slots or settings.decoding == "argmax":
        return known
    if settings.slot_loss == "crf":
        learned = LearnedTransitions(corpus.slot_tags)
        if known is not None:
            learned.load_state_dict(known.state_dict())
        return learned
    return SlotDecoder(transition_scores(*data.source.tag_numbers(data.train, corpus.slot_tags), corpus.slot_tags))


def _optimizer(model: JointModel, settings: TrialSettings) -> torch.optim.Optimizer:
    head_learning_rate = settings.learning_rate * settings.head_learning_rate_factor
    heads = [parameter for name, parameter in model.named_parameters() if not name.startswith("encoder.")]
    encoder = [parameter for parameter in model.encoder.parameters() if parameter.requires_grad]
    return torch.optim.Adam(
        [
            {"params": encoder, "lr": settings.learning_rate},
            {"params": heads, "lr": head_learning_rate},
        ],
        fused=True,
    )


def _token_ids(job: TrialJob) -> torch.Tensor:
    """The distinct tokens of all tables that the trial reads; the test splits are not among them."""
    corpus = job.corpus
    tables = [("train", corpus.source), ("dev", corpus.source)]
    tables += [(name, lang) for name in (TRANSLATIONS, DEV_TRANSLATIONS) for lang in corpus.aligned]
    if method_of(job.settings).target_rows:
        tables += [("train", lang) for lang in corpus.targets]
    if selection_rule(job.selection).reads_target_labels:
        tables += [("dev", lang) for lang in corpus.targets]
    return distinct_token_ids(corpus, tables)
