"""What every model must beat. In: a trial's job. Out: two floors, scored as an epoch is, and which trials lie at them.

The most frequent intent: it is said of every utterance, and no slot. The frozen encoder: heads are fitted to what it
gives before it learns anything, by logistic regression on standardised features, whose strength the source dev split
chooses. A trial that is not above both has learned nothing that is worth its training.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from xa_search.encoding.batches import sorted_batches
from xa_search.encoding.store import table_path
from xa_search.encoding.table import EncodedRow, EncodedTable
from xa_search.model.decoding import SlotDecoder, transition_scores
from xa_search.model.encoder import load_encoder
from xa_search.model.joint import JointModel
from xa_search.records import IGNORED, OUTSIDE, EncodedCorpus, TrialJob
from xa_search.training.data import (
    attended_padding,
    evaluation_collator,
    held_out_pairs,
    split_rows,
    split_training_rows,
    trial_split,
)
from xa_search.training.dev_fit import fit_reading
from xa_search.training.device import trial_device
from xa_search.training.evaluation import TOKENS_A_BATCH, Prediction, Predictor, labelled_metrics, mean_over_targets
from xa_search.training.final_test import Outcomes, outcomes_of
from xa_search.training.registry import selection_rule
from xa_search.training.trial import epoch_metrics

STRENGTHS = (1.0, 0.1, 0.01, 0.001)
"""What multiplies half the squared weights beside the mean cross entropy, the strongest first."""
MOST_ITERATIONS = 100
MOST_ROWS, MOST_WORDS = 10_000, 20_000
"""More of the training utterances, and of their words, would fit the heads no better."""
MOST_FREQUENT, FROZEN = "the most frequent intent", "the frozen encoder"
Predict = Callable[[Sequence[EncodedRow]], list[Prediction]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """A model without training: what it predicts, and its metrics, which are named as those of an epoch."""

    name: str
    predict: Predict
    metrics: dict[str, float]

    def score(self, selection: str, corpus: EncodedCorpus) -> float:
        """Return its selection score."""
        return selection_rule(selection).score(self.metrics, corpus)


def measure_floors(job: TrialJob) -> tuple[Floor, Floor]:
    """Return both floors of a corpus and an encoder, scored as a trial of this job is after an epoch."""
    split = trial_split(job.corpus, job.settings)
    selecting, _ = held_out_pairs(job.corpus, split)
    rows = split_training_rows(job.corpus, split, MOST_ROWS)
    dev = split_rows(job.corpus, "dev", job.corpus.source, job.settings.dev_limit)
    predicts = {MOST_FREQUENT: most_frequent_intent(rows), FROZEN: frozen_encoder(job, rows, dev).predict}
    first, second = (
        Floor(name=name, predict=predict, metrics=epoch_metrics(predict, selecting, job, (dev, predict(dev))))
        for name, predict in predicts.items()
    )
    return first, second


def at_floor(metrics: Mapping[str, float], floors: Sequence[Floor], selection: str, corpus: EncodedCorpus) -> str:
    """Say which floor the metrics of an epoch, or of a trial's best one, do not rise above; empty for none."""
    rule = selection_rule(selection)
    score = rule.score(metrics, corpus)
    highest = max(floors, key=lambda floor: floor.score(selection, corpus))
    bar = highest.score(selection, corpus)
    return "" if score > bar else f"at the floor: {100 * score:.1f}, and {highest.name} has {100 * bar:.1f}"


def floor_on_test(
    floor: Floor, job: TrialJob, languages: Sequence[str]
) -> tuple[dict[str, float], dict[str, Outcomes]]:
    """Score a floor on the encoded test splits, once a winner is chosen; return also what was right."""
    metrics: dict[str, float] = {}
    outcomes = {}
    for lang in languages:
        rows = split_rows(job.corpus, "test", lang, job.settings.test_limit)
        predictions = floor.predict(rows)
        metrics |= labelled_metrics(rows, predictions, "test", lang, has_slots=job.corpus.has_slots)
        outcomes[lang] = outcomes_of(rows, predictions)
    metrics |= mean_over_targets(metrics, "test", [lang for lang in languages if lang in job.corpus.targets])
    return metrics, outcomes


def most_frequent_intent(rows: Sequence[EncodedRow]) -> Predict:
    """Return what says the most frequent intent of these rows, of equal ones the first, and no slot, of every row."""
    counts = Counter(row.intent or "" for row in rows)
    intent, count = counts.most_common(1)[0]

    def predict(asked: Sequence[EncodedRow]) -> list[Prediction]:
        share = count / counts.total()
        return [
            Prediction(
                intent=intent,
                intent_probability=share,
                slots=(OUTSIDE,) * len(row.words),
                slot_probabilities=(1.0,) * len(row.words),
            )
            for row in asked
        ]

    return predict


def frozen_encoder(job: TrialJob, rows: Sequence[EncodedRow], dev: Sequence[EncodedRow]) -> Predictor:
    """Return the job's encoder as it was pretrained, with heads fitted to these rows, read as a trial's."""
    corpus, settings, device = job.corpus, job.settings, trial_device()
    files = replace(job.encoder, embedding=settings.embedding or job.encoder.embedding)
    model = JointModel(load_encoder(files), files.embedding, len(corpus.intents), len(corpus.slot_tags), 0.0)
    predictor = Predictor(
        model=model.to(device),
        collator=evaluation_collator(corpus, attended_padding(settings, model.encoder)),
        corpus=corpus,
        device=device,
        precision="fp32",
    )
    learn, choose = features_of(predictor, rows), features_of(predictor, dev)
    fit_head(model.intent_head, learn.sentences, learn.intents, choose.sentences, choose.intents)
    if corpus.has_slots:
        fit_head(model.slot_head, learn.words, learn.tags, choose.words, choose.tags)
        if settings.decoding == "viterbi":
            table = EncodedTable(table_path(corpus, "train", corpus.source))
            numbers = table.tag_numbers(trial_split(corpus, settings).train, corpus.slot_tags)
            model.decoder = SlotDecoder(transition_scores(*numbers, corpus.slot_tags)).to(device)
    fit_reading(predictor, list(predictor.logits(dev)))
    return predictor


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What an encoder gives of R utterances and of W of their words, with their label numbers, or IGNORED."""

    sentences: torch.Tensor
    intents: torch.Tensor
    words: torch.Tensor
    tags: torch.Tensor


@torch.inference_mode()
def features_of(predictor: Predictor, rows: Sequence[EncodedRow]) -> Features:
    """Pass rows through the encoder once; of the words, at most MOST_WORDS are kept, evenly spread."""
    model = predictor.model.eval()
    parts = []
    for indices in sorted_batches(predictor.collator.lengths(rows), TOKENS_A_BATCH):
        batch = predictor.collator([rows[index] for index in indices]).to(predictor.device)
        sentences, words = model.embed(batch)
        parts.append((sentences.float(), batch.intents, words.float(), batch.slots))
    sentences, intents, words, tags = (torch.cat(column) for column in zip(*parts, strict=True))
    kept = torch.from_numpy(np.linspace(0, len(words), min(len(words), MOST_WORDS), endpoint=False).astype(np.int64))
    kept = kept.to(words.device)
    return Features(sentences=sentences, intents=intents, words=words[kept], tags=tags[kept])


def fit_head(
    head: nn.Linear, learn: torch.Tensor, labels: torch.Tensor, choose: torch.Tensor, truth: torch.Tensor
) -> float:
    """Fit a head to features [N, H] and their labels; return the strength that is right most often on `choose`.

    Of strengths that are right as often, the strongest is taken. The standardisation is folded into the head.
    """
    known = labels != IGNORED
    learn, labels = learn[known].clone(), labels[known].clone()
    middle, spread = learn.mean(0), learn.std(0, correction=0).clamp(min=1e-6)
    standard = (learn - middle) / spread
    best = (-1.0, STRENGTHS[0])
    start: torch.Tensor | None = None
    for strength in STRENGTHS:
        start = _logistic_regression(standard, labels, head.out_features, strength, start)
        weight = start[:, :-1] / spread
        bias = start[:, -1] - weight @ middle
        right = float(((choose @ weight.T + bias).argmax(1) == truth)[truth != IGNORED].float().mean())
        if right > best[0]:
            best = right, strength
            with torch.no_grad():
                head.weight.copy_(weight)
                head.bias.copy_(bias)
    return best[1]


def _logistic_regression(
    features: torch.Tensor, labels: torch.Tensor, classes: int, strength: float, start: torch.Tensor | None
) -> torch.Tensor:
    """Minimise the mean cross entropy plus strength / 2 times the squared weights; [classes, H + 1], the bias last."""
    known = torch.zeros(classes, features.shape[1] + 1, device=features.device) if start is None else start.clone()
    found = known.requires_grad_()
    optimizer = torch.optim.LBFGS([found], max_iter=MOST_ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        logits = features @ found[:, :-1].T + found[:, -1]
        total = functional.cross_entropy(logits, labels) + strength / 2 * found[:, :-1].square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    with torch.enable_grad():
        optimizer.step(loss)  # type: ignore[no-untyped-call]
    return found.detach()
