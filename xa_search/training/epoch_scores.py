"""What an epoch scored. In: what a model predicts, held-out pairs, the source dev split. Out: metrics by flat names."""

from collections.abc import Callable, Sequence

from xa_search.encoding.table import EncodedRow
from xa_search.records import TrialJob
from xa_search.training.data import HeldOutPairs, split_rows
from xa_search.training.evaluation import (
    Prediction,
    label_free_metrics,
    labelled_metrics,
    mean_over_targets,
)
from xa_search.training.registry import selection_rule
from xa_search.training.selection import ROWS


def epoch_metrics(
    predict: Callable[[Sequence[EncodedRow]], list[Prediction]],
    selecting: HeldOutPairs,
    job: TrialJob,
    dev: tuple[Sequence[EncodedRow], Sequence[Prediction]],
) -> dict[str, float]:
    """Score the held-out translations, and the source dev split with what is predicted there.

    The targets' dev splits are scored only if the selection rule reads them.
    """
    corpus = job.corpus
    metrics: dict[str, float] = {ROWS: float(len(selecting.rows))}
    for lang in corpus.aligned:
        sources, translations = selecting.read(lang)
        metrics |= label_free_metrics(sources, predict(translations), lang, has_slots=corpus.has_slots)
    metrics |= labelled_metrics(*dev, "dev", corpus.source, has_slots=corpus.has_slots)
    targets_seen = corpus.targets if selection_rule(job.selection).reads_target_labels else ()
    for lang in targets_seen:
        rows = split_rows(corpus, "dev", lang, job.settings.dev_limit)
        metrics |= labelled_metrics(rows, predict(rows), "dev", lang, has_slots=corpus.has_slots)
    if targets_seen:
        metrics |= mean_over_targets(metrics, "dev", targets_seen)
    return metrics
