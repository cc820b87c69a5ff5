"""The mean of several trials' weights. In: their files and a job. Out: a file of weights, scored as an epoch is.

Models that learned from one beginning with different settings may be averaged; the mean often transfers better than the
best of them (Wortsman et al., Model soups, ICML 2022, arXiv 2203.05482: the uniform soup). Whether a ridge lies between
them is tried first, half way between the two that lie farthest apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from xa_search.errors import ModelError
from xa_search.model.joint import TEMPERATURES
from xa_search.records import TrialJob
from xa_search.records.whole_files import put_in_place
from xa_search.training.checkpoint import KEPT_IDS
from xa_search.training.data import held_out_pairs, source_dev_rows, trial_split
from xa_search.training.dev_fit import fit_reading
from xa_search.training.epoch_scores import epoch_metrics
from xa_search.training.final_test import trained_predictor
from xa_search.training.registry import selection_rule
from xa_search.training.trial import best_weights

BARRIER = 0.03
"""So far below both ends, a model half way between them says that a ridge lies there: then nothing is averaged."""
DECODER = "decoder."


@dataclass(frozen=True, slots=True, kw_only=True)
class SoupScore:
    """A soup's selection score and metrics; `half_way` is the score half way between its two farthest members."""

    score: float
    metrics: dict[str, float]
    half_way: float


def average_weights(paths: Sequence[Path], to: Path) -> None:
    """Write the uniform mean of the parameters of several checkpoints; how the first is read stays as it is.

    Raises ModelError where they keep other token rows, or are of other shapes.
    """
    first = load_file(paths[0])
    mean = {name: tensor.float() for name, tensor in first.items() if _is_parameter(name)}
    for count, path in enumerate(paths[1:], start=2):
        other = load_file(path)
        if other.keys() != first.keys() or not torch.equal(other[KEPT_IDS], first[KEPT_IDS]):
            raise ModelError(f"{path}: other parameters or token rows than {paths[0]}; they cannot be averaged")
        for name, tensor in mean.items():
            tensor += (other[name].float() - tensor) / count
    _write({**first, **{name: tensor.to(first[name].dtype) for name, tensor in mean.items()}}, to)


def distance(one: Path, other: Path) -> float:
    """Return how far the parameters of two checkpoints lie apart, by their length."""
    first, second = load_file(one), load_file(other)
    squares = [(first[name].float() - second[name].float()).square().sum() for name in first if _is_parameter(name)]
    return float(torch.stack(squares).sum().sqrt())


def cook_soup(job: TrialJob, members: Sequence[Path], alone: Sequence[float]) -> SoupScore | str:
    """Average the members into the job's folder, and score that; return why there is no soup, if so.

    `alone` are the selection scores of the members, each of its own.
    """
    target = best_weights(job.directory)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        apart = {pair: distance(members[pair[0]], members[pair[1]]) for pair in combinations(range(len(members)), 2)}
        first, second = max(apart, key=lambda pair: apart[pair])
        average_weights([members[first], members[second]], target)
        half_way, metrics = _scored(job, target)
        lower = min(alone[first], alone[second])
        if half_way < lower - BARRIER:
            target.unlink()
            return (
                f"half way between two members the score is {100 * half_way:.1f}, and {100 * lower:.1f} or more at "
                "both ends"
            )
        score = half_way
        if len(members) > 2:
            average_weights(members, target)
            score, metrics = _scored(job, target)
    except ModelError as error:
        return str(error)
    return SoupScore(score=score, metrics=metrics, half_way=half_way)


def _scored(job: TrialJob, weights: Path) -> tuple[float, dict[str, float]]:
    """Score weights as a trial's after an epoch; how their logits are read is fitted, and written into the file."""
    predictor, corpus = trained_predictor(job, weights), job.corpus
    split = trial_split(corpus, job.settings)
    selecting, _ = held_out_pairs(corpus, split)
    dev = source_dev_rows(corpus, split, job.settings.dev_limit)
    found = list(predictor.logits(dev))
    fitted = fit_reading(predictor, found)
    metrics = fitted | epoch_metrics(lambda _: predictor.predict, selecting, job, (dev, predictor.read(dev, found)))
    model = predictor.model
    tensors = {**load_file(weights), TEMPERATURES: model.temperatures.detach().cpu().contiguous()}
    if model.decoder is not None:
        tensors[f"{DECODER}weight"] = model.decoder.weight.detach().cpu().contiguous()
    _write(tensors, weights)
    return selection_rule(job.selection).score(metrics, corpus), metrics


def _is_parameter(name: str) -> bool:
    return name not in (KEPT_IDS, TEMPERATURES) and not name.startswith(DECODER)


def _write(tensors: dict[str, torch.Tensor], path: Path) -> None:
    temporary = path.with_suffix(".partial")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary)
    put_in_place(temporary, path)
