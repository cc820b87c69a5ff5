"""How good a model is on a target, guessed without labels. In: a model, held-out text. Out: an estimate by rule.

Both rules look at what the model says of intents alone, on the translations of the held-out source utterances, whose
labels they do not read. Neither was chosen here: `claims/audit` holds them against test scores.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
import torch

from xa_search.encoding.files import write_whole
from xa_search.encoding.table import EncodedRow
from xa_search.records import TrialJob
from xa_search.training.data import held_out_pairs, source_dev_rows, trial_split
from xa_search.training.evaluation import Predictor

ESTIMATES = "estimates.json"
ATC, NUCLEAR = "atc", "nuclear"


def negative_entropy(probabilities: np.ndarray) -> np.ndarray:
    """Return how sure each row of [N, K] is: the sum of p log p, 0 for a row that is certain."""
    logs = np.log(np.where(probabilities > 0, probabilities, 1.0))
    found: np.ndarray = (probabilities * logs).sum(axis=1)
    return found


def average_thresholded_confidence(source: np.ndarray, right: np.ndarray, target: np.ndarray) -> float:
    """Estimate the accuracy on a target from how sure a model is: `source` [n], `target` [m], `right` bool [n].

    The threshold t lets as many source rows lie above it as are right; the estimate is the share of target rows above
    t. Garg et al., Leveraging Unlabeled Data to Predict Out-of-Distribution Performance, ICLR 2022, equations 1 and 2.
    """
    above = int(right.sum())
    if above == len(source):
        return 1.0
    threshold = np.sort(source)[len(source) - above - 1]
    return float((target > threshold).mean())


def nuclear_norm(probabilities: np.ndarray) -> float:
    """Return the nuclear norm of predictions [N, K] over its bound, the root of N min(N, K): 0 to 1.

    It is large where a model is sure, and of many different classes: one that says the same of everything has little
    (compared with other estimates in arXiv 2510.02956).
    """
    rows, classes = probabilities.shape
    singular = np.linalg.svd(probabilities, compute_uv=False)
    return float(singular.sum() / np.sqrt(rows * min(rows, classes)))


def measure_estimates(job: TrialJob, predictor: Predictor) -> dict[str, float]:
    """Return both estimates of a finished trial's model, the mean over targets. Opens no test split, reads no label
    of a target."""
    corpus, split = job.corpus, trial_split(job.corpus, job.settings)
    selecting, _ = held_out_pairs(corpus, split)
    dev = source_dev_rows(corpus, split, job.settings.dev_limit)
    on_dev = intent_probabilities(predictor, dev)
    right = np.array([row.intent for row in dev]) == np.array(corpus.intents)[on_dev.argmax(axis=1)]
    found: dict[str, list[float]] = {ATC: [], NUCLEAR: []}
    for lang in corpus.aligned:
        _, translations = selecting.read(lang)
        said = intent_probabilities(predictor, translations)
        sure = average_thresholded_confidence(negative_entropy(on_dev), right, negative_entropy(said))
        found[ATC].append(sure)
        found[NUCLEAR].append(nuclear_norm(said))
    return {rule: fmean(values) for rule, values in found.items()}


def intent_probabilities(predictor: Predictor, rows: Sequence[EncodedRow]) -> np.ndarray:
    """Return what a model says of the intents of N rows, [N, K], in their order and by its temperature."""
    temperature = float(predictor.model.temperatures[0])
    found = np.zeros((len(rows), len(predictor.corpus.intents)))
    for one in predictor.logits(rows):
        found[one.places] = torch.softmax(one.intents / temperature, dim=-1).cpu().numpy()
    return found


def write_estimates(estimates: Mapping[str, float], path: Path, of: Mapping[str, int] | None) -> None:
    """Keep estimates with a trial; `of` says of which weights."""
    content = json.dumps({"of": of, "estimates": dict(estimates)})
    write_whole(path, lambda partial: partial.write_text(content, encoding="utf-8"))


def read_estimates(path: Path, of: Mapping[str, int] | None) -> dict[str, float] | None:
    """Return what was estimated of these weights, or of whatever they were; else none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return dict(found["estimates"]) if of in (None, found["of"]) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
