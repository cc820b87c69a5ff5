"""The test of a finished trial. In: a trial's job and weights, and encoded test splits. Out: test metrics by language.

Runs after the winner is chosen, with the encoder's full vocabulary.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xa_search.encoding.writing import write_whole
from xa_search.records import TrialJob
from xa_search.training.checkpoint import restore_model
from xa_search.training.data import attended_padding, evaluation_collator, split_rows
from xa_search.training.device import trial_device
from xa_search.training.evaluate import Predictor, labelled_metrics, mean_over_targets
from xa_search.training.outcomes import outcomes_of, write_outcomes
from xa_search.training.precision import resolve_precision

SCORES = "test_scores.json"


def trained_predictor(job: TrialJob, weights: Path) -> Predictor:
    """Rebuild a finished trial's model, ready to predict in the precision it was trained in."""
    device = trial_device()
    model = restore_model(job.encoder, job.corpus, job.settings, weights).to(device)
    return Predictor(
        model=model,
        collator=evaluation_collator(job.corpus, attended_padding(job.settings, model.encoder)),
        corpus=job.corpus,
        device=device,
        precision=resolve_precision(job.settings.precision, device, job.threads, job.home),
    )


def score_test(job: TrialJob, weights: Path, languages: Sequence[str]) -> dict[str, float]:
    """Score the test split of each language, and the means over the targets among them; once for the same weights.

    What was right of each utterance is kept in the trial's folder: it stays when the weights go.
    """
    of_what = {"languages": list(languages), "weights": weights.stat().st_mtime_ns}
    known = _known_scores(job.directory / SCORES)
    if known.get("of") == of_what:
        return dict(known["metrics"])
    predictor = trained_predictor(job, weights)
    metrics: dict[str, float] = {}
    outcomes = {}
    for lang in languages:
        rows = split_rows(job.corpus, "test", lang, job.settings.test_limit)
        predictions = predictor.predict(rows)
        metrics |= labelled_metrics(rows, predictions, "test", lang, has_slots=job.corpus.has_slots)
        outcomes[lang] = outcomes_of(rows, predictions)
    metrics |= mean_over_targets(metrics, "test", [lang for lang in languages if lang in job.corpus.targets])
    write_outcomes(outcomes, job.directory)
    scores = json.dumps({"of": of_what, "metrics": metrics})
    write_whole(job.directory / SCORES, lambda path: path.write_text(scores, encoding="utf-8"))
    return metrics


def _known_scores(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
