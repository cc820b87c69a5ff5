"""The test of a finished trial. In: a trial's job and weights, and encoded test splits. Out: test metrics by language.

Scores are made of these, and the scores of two models can be compared on the same resampled utterances.

Runs after the winner is chosen, with the encoder's full vocabulary.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xa_search.encoding.files import write_whole
from xa_search.encoding.table import EncodedRow
from xa_search.records import TrialJob, Utterance
from xa_search.training.checkpoint import restore_model
from xa_search.training.data import attended_padding, evaluation_collator, split_rows
from xa_search.training.device import set_determinism, trial_device, trial_precision
from xa_search.training.evaluation import (
    Prediction,
    Predictor,
    calibration_metrics,
    labelled_metrics,
    mean_over_targets,
)
from xa_search.training.metrics import spans_of

OUTCOMES = "test_outcomes.json"
SCORES = "test_scores.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """A language's test set under one model, each field [utterances].

    `intent` and `exact` say whether the intent, and with it all tags, are right; `correct`, `found` and `gold` count
    slot spans: those that are right, all that were predicted, and all that there are.
    """

    ids: tuple[str, ...]
    intent: np.ndarray
    exact: np.ndarray
    correct: np.ndarray
    found: np.ndarray
    gold: np.ndarray


def outcomes_of(rows: Sequence[Utterance | EncodedRow], predictions: Sequence[Prediction]) -> Outcomes:
    """Hold predictions against the labels of the rows."""
    pairs = list(zip(rows, predictions, strict=True))
    intent = np.array([row.intent == said.intent for row, said in pairs], dtype=bool)
    same_tags = np.array([tuple(row.slots or ()) == said.slots for row, said in pairs], dtype=bool)
    spans = [(spans_of(row.slots or ()), spans_of(said.slots)) for row, said in pairs]
    return Outcomes(
        ids=tuple(row.id for row in rows),
        intent=intent,
        exact=intent & same_tags,
        correct=np.array([len(wanted & found) for wanted, found in spans], dtype=np.int64),
        found=np.array([len(found) for _, found in spans], dtype=np.int64),
        gold=np.array([len(wanted) for wanted, _ in spans], dtype=np.int64),
    )


def write_outcomes(outcomes: Mapping[str, Outcomes], directory: Path) -> None:
    """Write the outcomes of each language beside a model's weights."""
    content = {
        lang: {name: [int(value) for value in values] for name, values in asdict(one).items() if name != "ids"}
        | {"ids": one.ids}
        for lang, one in outcomes.items()
    }
    directory.mkdir(parents=True, exist_ok=True)
    write_whole(directory / OUTCOMES, lambda path: path.write_text(json.dumps(content), encoding="utf-8"))


def read_outcomes(directory: Path) -> dict[str, Outcomes]:
    """Return the outcomes of a trial by language, of its one model or of several; none where it was never tested."""
    found: dict[str, Outcomes] = {}
    for path in sorted(directory.rglob(OUTCOMES)):
        for lang, fields in json.loads(path.read_text(encoding="utf-8")).items():
            ids = tuple(fields.pop("ids"))
            kinds = {name: bool if name in ("intent", "exact") else np.int64 for name in fields}
            arrays = {name: np.array(values, dtype=kinds[name]) for name, values in fields.items()}
            found.setdefault(lang, Outcomes(ids=ids, **arrays))
    return found


def trained_predictor(job: TrialJob, weights: Path) -> Predictor:
    """Rebuild a finished trial's model, ready to predict in the precision it was trained in."""
    device = trial_device()
    set_determinism(wanted=job.deterministic)
    model = restore_model(job.encoder, job.corpus, job.settings, weights).to(device)
    return Predictor(
        model=model,
        collator=evaluation_collator(job.corpus, attended_padding(job.settings, model.encoder)),
        corpus=job.corpus,
        device=device,
        precision=trial_precision(job, device, model.encoder.config),
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
        found = list(predictor.logits(rows))
        predictions = predictor.read(rows, found)
        metrics |= labelled_metrics(rows, predictions, "test", lang, has_slots=job.corpus.has_slots)
        metrics |= calibration_metrics(rows, predictions, "test", lang, "", has_slots=job.corpus.has_slots)
        uncalibrated = predictor.read(rows, found, calibrated=False)
        metrics |= calibration_metrics(rows, uncalibrated, "test", lang, "raw_", has_slots=job.corpus.has_slots)
        outcomes[lang] = outcomes_of(rows, predictions)
    metrics |= mean_over_targets(metrics, "test", [lang for lang in languages if lang in job.corpus.targets])
    write_outcomes(outcomes, job.directory)
    scores = json.dumps({"of": of_what, "metrics": metrics})
    write_whole(job.directory / SCORES, lambda path: path.write_text(scores, encoding="utf-8"))
    return metrics


def _known_scores(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
