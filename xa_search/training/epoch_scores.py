"""What a report scored. In: what a model predicts, held-out pairs, the source dev split. Out: metrics by flat names."""

from collections.abc import Callable, Sequence

from xa_search.encoding.table import EncodedRow
from xa_search.records import EncodedCorpus, TrialJob
from xa_search.training.data import HeldOutPairs, TrialData, source_dev_rows, split_rows
from xa_search.training.dev_fit import fit_transition_weight
from xa_search.training.evaluation import (
    Prediction,
    Predictor,
    label_free_metrics,
    labelled_metrics,
    mean_over_targets,
)
from xa_search.training.registry import selection_rule
from xa_search.training.selection import ROWS

Predict = Callable[[Sequence[EncodedRow]], list[Prediction]]
Speak = Callable[[str], Predict]
"""Returns what predicts the rows of a language."""


def epoch_metrics(
    speak: Speak,
    selecting: HeldOutPairs,
    job: TrialJob,
    dev: tuple[Sequence[EncodedRow], Sequence[Prediction]],
) -> dict[str, float]:
    """Score the held-out translations, and the source dev split with what is predicted there.

    The targets' dev splits are scored only if the selection rule reads them.
    """
    corpus = job.corpus
    metrics = _held_out_metrics(speak, selecting, corpus)
    metrics |= labelled_metrics(*dev, "dev", corpus.source, has_slots=corpus.has_slots)
    return metrics | _target_dev_metrics(speak, job)


def rung_metrics(predictor: Predictor, data: TrialData, job: TrialJob) -> dict[str, float]:
    """Score what the selection rule reads, no more, with slot tags decoded as at an epoch's end."""
    corpus, rule, metrics = job.corpus, selection_rule(job.selection), dict[str, float]()
    if rule.reads_source_dev or predictor.model.decoder is not None:
        dev = source_dev_rows(corpus, data.split, job.settings.dev_limit)
        dev_logits = list(predictor.logits(dev))
        fit_transition_weight(predictor, dev_logits)
        if rule.reads_source_dev:
            said = predictor.read(dev, dev_logits)
            metrics |= labelled_metrics(dev, said, "dev", corpus.source, has_slots=corpus.has_slots)
    if rule.reads_held_out:
        metrics |= _held_out_metrics(lambda _: predictor.predict, data.selecting, corpus)
    return metrics | _target_dev_metrics(lambda _: predictor.predict, job)


def _held_out_metrics(speak: Speak, selecting: HeldOutPairs, corpus: EncodedCorpus) -> dict[str, float]:
    metrics: dict[str, float] = {ROWS: float(len(selecting.rows))}
    for lang in corpus.aligned:
        sources, translations = selecting.read(lang)
        metrics |= label_free_metrics(sources, speak(lang)(translations), lang, has_slots=corpus.has_slots)
    return metrics


def _target_dev_metrics(speak: Speak, job: TrialJob) -> dict[str, float]:
    corpus, metrics = job.corpus, dict[str, float]()
    targets_seen = corpus.targets if selection_rule(job.selection).reads_target_labels else ()
    for lang in targets_seen:
        rows = split_rows(corpus, "dev", lang, job.settings.dev_limit)
        metrics |= labelled_metrics(rows, speak(lang)(rows), "dev", lang, has_slots=corpus.has_slots)
    if targets_seen:
        metrics |= mean_over_targets(metrics, "dev", targets_seen)
    return metrics
