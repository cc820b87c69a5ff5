"""The test of a finished trial. In: a trial's job and weights, and encoded test splits. Out: test metrics by language.

Where trials run, a model is asked, and nothing is written; the driver keeps the answers.

Scores are made of these, and the scores of two models can be compared on the same resampled utterances.

Runs after the winner is chosen, with the encoder's full vocabulary.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xa_search.encoding.files import write_whole
from xa_search.encoding.table import EncodedRow
from xa_search.records import TrialJob, Utterance
from xa_search.records.report import Mistakes
from xa_search.records.torn_files import tell_torn
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
from xa_search.training.mistakes import mistakes_of, write_mistakes

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


def ask_model(job: TrialJob, weights: Path, questions: Sequence[Callable[[Predictor], Any]]) -> list[Any]:
    """Return the answer to each question about a finished trial's model, which is loaded once."""
    predictor = trained_predictor(job, weights)
    return [question(predictor) for question in questions]


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageTest:
    """What the test split of a language came to: its scores by name, what was right of each utterance, what was not."""

    metrics: dict[str, float]
    outcomes: Outcomes
    mistakes: Mistakes


def score_language(job: TrialJob, lang: str, predictor: Predictor) -> LanguageTest:
    """Score a finished trial's model on the test split of a language. Writes nothing."""
    rows = split_rows(job.corpus, "test", lang, job.settings.test_limit)
    found, has_slots = list(predictor.logits(rows)), job.corpus.has_slots
    predictions = predictor.read(rows, found)
    metrics = labelled_metrics(rows, predictions, "test", lang, has_slots=has_slots)
    metrics |= calibration_metrics(rows, predictions, "test", lang, "", has_slots=has_slots)
    uncalibrated = predictor.read(rows, found, calibrated=False)
    metrics |= calibration_metrics(rows, uncalibrated, "test", lang, "raw_", has_slots=has_slots)
    return LanguageTest(
        metrics=metrics,
        outcomes=outcomes_of(rows, predictions),
        mistakes=mistakes_of(rows, predictions, has_slots=has_slots),
    )


def known_scores(job: TrialJob, weights: Path, languages: Sequence[str]) -> dict[str, float] | None:
    """Return what a trial was found to score before, with the same weights, in the same languages; else none.

    Weights that are gone are those of then.
    """
    path = job.directory / SCORES
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        path = job.directory / OUTCOMES  # claims read it later, when the weights may be gone
        json.loads(path.read_text(encoding="utf-8"))
        now = _of_what(weights, languages) if weights.exists() else {**known["of"], "languages": list(languages)}
        return dict(known["metrics"]) if known["of"] == now else None
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        tell_torn(path, error, "the model is tested again")
        return None


def keep_scores(job: TrialJob, weights: Path, tested: Mapping[str, LanguageTest]) -> dict[str, float]:
    """Return the scores of all languages, and the means over the targets among them, and keep them with the trial."""
    metrics = keep_outcomes(tested, job.corpus.targets, job.directory)
    scores = json.dumps({"of": _of_what(weights, tuple(tested)), "metrics": metrics})
    write_whole(job.directory / SCORES, lambda path: path.write_text(scores, encoding="utf-8"))
    return metrics


def keep_outcomes(tested: Mapping[str, LanguageTest], targets: Sequence[str], directory: Path) -> dict[str, float]:
    """Return the scores of all languages, and the means over the targets among them.

    What was right of each utterance, and what was taken for what, is written into the folder: it stays when the weights
    go.
    """
    metrics = {name: value for one in tested.values() for name, value in one.metrics.items()}
    metrics |= mean_over_targets(metrics, "test", [lang for lang in tested if lang in targets])
    write_outcomes({lang: one.outcomes for lang, one in tested.items()}, directory)
    write_mistakes({lang: one.mistakes for lang, one in tested.items()}, directory)
    return metrics


def score_test(job: TrialJob, weights: Path, languages: Sequence[str]) -> dict[str, float]:
    """Score the test split of each language, and the means over the targets among them; once for the same weights."""
    known = known_scores(job, weights, languages)
    if known is not None:
        return known
    predictor = trained_predictor(job, weights)
    return keep_scores(job, weights, {lang: score_language(job, lang, predictor) for lang in languages})


def _of_what(weights: Path, languages: Sequence[str]) -> dict[str, Any]:
    return {"languages": list(languages), "weights": weights.stat().st_mtime_ns}
