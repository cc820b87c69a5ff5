"""What every model must beat. In: a trial's job. Out: two floors, scored as an epoch is, and on test splits.

The most frequent intent: it is said of every utterance, and no slot. The frozen encoder: heads are fitted to what it
gives before it learns anything (`probe`), with a strength that the source dev split chooses. A trial that
is not above both has learned nothing that is worth its training: `TrialRecord.at_floor`, while it runs, and of the
winner `SearchRecord.at_floor`.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from xa_search.encoding.files import write_whole
from xa_search.encoding.locks import one_at_a_time
from xa_search.encoding.store import table_path
from xa_search.encoding.table import EncodedRow, EncodedTable
from xa_search.model.decoding import SlotDecoder, transition_scores
from xa_search.model.encoder import load_encoder
from xa_search.model.joint import JointModel
from xa_search.records import FLOOR, OUTSIDE, EncodedCorpus, TrialJob
from xa_search.training.data import (
    TaskRows,
    attended_padding,
    evaluation_collator,
    held_out_pairs,
    source_dev_rows,
    split_rows,
    trial_split,
)
from xa_search.training.dev_fit import fit_reading
from xa_search.training.device import trial_device, trial_precision
from xa_search.training.epoch_scores import epoch_metrics
from xa_search.training.evaluation import Prediction, Predictor, labelled_metrics, mean_over_targets
from xa_search.training.probe import begin_with, probed_heads
from xa_search.training.registry import selection_rule

MOST_FREQUENT, FROZEN = "the most frequent intent", "the frozen encoder"
DECIDES_A_FLOOR = {
    "model_size",
    "embedding",
    "max_tokens",
    "padding",
    "decoding",
    "precision",
    "validation_fraction",
    "train_limit",
    "dev_limit",
}
"""The settings that what takes no training depends on."""
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


def known_floor(job: TrialJob) -> dict[str, float]:
    """Return the selection score of the higher floor, as a metric of each epoch; nothing for a trial of no search.

    The first trial that needs it measures it, and the search's folder keeps it for all others.
    """
    if job.search is None:
        return {}
    settings = job.settings.model_dump(mode="json", include=DECIDES_A_FLOOR)
    decisive = [settings, job.selection, job.corpus.directory.name, job.corpus.targets, job.corpus.aligned]
    key = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:12]
    path = job.search / f"floor-{key}.json"
    job.search.mkdir(parents=True, exist_ok=True)
    with one_at_a_time(path.with_suffix(".lock")):
        if not path.exists():
            score = max(floor.score(job.selection, job.corpus) for floor in measure_floors(job))
            write_whole(path, lambda place: place.write_text(json.dumps({FLOOR: score}), encoding="utf-8"))
        return dict(json.loads(path.read_text(encoding="utf-8")))


def measure_floors(job: TrialJob) -> tuple[Floor, Floor]:
    """Return both floors of a corpus and an encoder, scored as a trial of this job is after an epoch."""
    corpus = job.corpus
    split = trial_split(corpus, job.settings)
    selecting, _ = held_out_pairs(corpus, split)
    source = EncodedTable(table_path(corpus, "train", corpus.source))
    dev = source_dev_rows(corpus, split, job.settings.dev_limit)
    predicts = {
        MOST_FREQUENT: most_frequent_intent(source.rows(split.train)),
        FROZEN: frozen_encoder(job, TaskRows([(source, split.train)]), dev).predict,
    }
    first, second = (
        Floor(name=name, predict=predict, metrics=epoch_metrics(predict, selecting, job, (dev, predict(dev))))
        for name, predict in predicts.items()
    )
    return first, second


def floor_on_test(floor: Floor, job: TrialJob, languages: Sequence[str]) -> dict[str, float]:
    """Score a floor on the encoded test splits, once a winner is chosen."""
    metrics: dict[str, float] = {}
    for lang in languages:
        rows = split_rows(job.corpus, "test", lang, job.settings.test_limit)
        metrics |= labelled_metrics(rows, floor.predict(rows), "test", lang, has_slots=job.corpus.has_slots)
    return metrics | mean_over_targets(metrics, "test", [lang for lang in languages if lang in job.corpus.targets])


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


def frozen_encoder(job: TrialJob, rows: TaskRows, dev: list[EncodedRow]) -> Predictor:
    """Return the job's encoder as it was pretrained, with heads fitted to these labelled rows, read as a trial's."""
    corpus, settings, device = job.corpus, job.settings, trial_device()
    files = replace(job.encoder, embedding=settings.embedding or job.encoder.embedding)
    model = JointModel(load_encoder(files), files.embedding, len(corpus.intents), len(corpus.slot_tags), 0.0)
    predictor = Predictor(
        model=model.to(device),
        collator=evaluation_collator(corpus, attended_padding(settings, model.encoder)),
        corpus=corpus,
        device=device,
        precision=trial_precision(job, device, model.encoder.config),
    )
    begin_with(predictor, probed_heads(predictor, files, rows, dev, corpus.directory))
    if settings.decoding == "viterbi" and corpus.has_slots:
        table = EncodedTable(table_path(corpus, "train", corpus.source))
        numbers = table.tag_numbers(trial_split(corpus, settings).train, corpus.slot_tags)
        model.decoder = SlotDecoder(transition_scores(*numbers, corpus.slot_tags)).to(device)
    fit_reading(predictor, list(predictor.logits(dev)))
    return predictor
