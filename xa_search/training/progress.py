"""A trial that can go on. In: a trainer after a report. Out: files to go on from, as if nothing had happened.

`progress.json` names the file that belongs to it, and is written last: what it says is always whole.
"""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch.optim.lr_scheduler import LRScheduler

from xa_search.model.joint import TEMPERATURES
from xa_search.records import EpochReport
from xa_search.records.torn_files import tell_torn
from xa_search.records.whole_files import put_in_place
from xa_search.training.epoch import EpochTotals
from xa_search.training.trainer import Trainer

PROGRESS = "progress.json"
BEST_WEIGHTS = "best.safetensors"
STATES = "last-*.safetensors"
ANEW = "training begins again with the first epoch"
MODEL, OPTIMIZER, RANDOM = "model.", "optimizer.", "random."
WEIGHTS, EPOCH, AVERAGE = "weights.", "epoch.", "average."


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a trial came: its last report, the steps it took, and each parameter group's learning rate."""

    report: EpochReport
    steps: int
    learning_rates: tuple[float, ...]


def save_progress(trainer: Trainer, report: EpochReport, totals: EpochTotals) -> None:
    """Keep all that the next step depends on, and what an unfinished epoch adds up to; at the end the report alone."""
    directory = trainer.job.directory
    directory.mkdir(parents=True, exist_ok=True)
    state = _state(directory, report)
    if not report.final:
        temporary = state.with_suffix(".partial")
        sums = {} if report.whole else {f"{EPOCH}{name}": value.cpu().clone() for name, value in totals.sums.items()}
        save_file(_tensors(trainer) | sums, temporary)
        put_in_place(temporary, state)
    rates = tuple(group["lr"] for group in trainer.optimizer.param_groups)
    _write(directory, Progress(report=report, steps=trainer.schedule.last_epoch, learning_rates=rates))
    for path in directory.glob(STATES):
        if path != state:
            path.unlink()


def save_report(directory: Path, report: EpochReport) -> None:
    """Keep the last report of a trial whose models, in folders of their own, keep all else."""
    directory.mkdir(parents=True, exist_ok=True)
    _write(directory, Progress(report=report, steps=0, learning_rates=()))


def load_report(directory: Path) -> EpochReport | None:
    """Return the last report of the trial of this directory; none where there is none."""
    progress = _read(directory)
    return None if progress is None else progress.report


def load_progress(directory: Path) -> Progress | None:
    """Return how far the trial of this directory came; none where it has to begin anew.

    It has to where a file that it would go on from, or its best weights, is missing or torn: a disk that was full, a
    machine that lost its power. That is told (`torn_files`).
    """
    progress = _read(directory)
    if progress is None:
        return None
    report = progress.report
    needed = [directory / BEST_WEIGHTS] if report.best_epoch else []
    needed += [] if report.final else [_state(directory, report)]
    for path in needed:
        if fault := fault_of(path):
            tell_torn(path, fault, f"{report.epoch - (not report.whole)} epochs are lost, {ANEW}")
            return None
    return progress


def fault_of(weights: Path) -> str:
    """Return why a file of weights has not all the bytes that its head speaks of; empty where it has."""
    try:
        with safe_open(weights, framework="pt"):
            return ""
    except (OSError, SafetensorError) as error:
        return str(error) if weights.exists() else "it is gone"


def _write(directory: Path, progress: Progress) -> None:
    temporary = (directory / PROGRESS).with_suffix(".partial")
    temporary.write_text(json.dumps(asdict(progress)), encoding="utf-8")
    put_in_place(temporary, directory / PROGRESS)


def _read(directory: Path) -> Progress | None:
    try:
        found = json.loads((directory / PROGRESS).read_text(encoding="utf-8"))
        return Progress(
            report=EpochReport(**found["report"] | {"torn": ()}),  # told already
            steps=found["steps"],
            learning_rates=tuple(found["learning_rates"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        tell_torn(directory / PROGRESS, f"{type(error).__name__}: {error}", ANEW)
        return None


def restore_progress(trainer: Trainer, progress: Progress) -> EpochTotals:
    """Put a new trainer where the saved one was: weights, loss weights, optimiser, schedule and random state.

    Return how far it was in its epoch.
    """
    report = progress.report
    tensors = load_file(_state(trainer.job.directory, report), device=str(trainer.predictor.device))
    trainer.model.load_state_dict({TEMPERATURES: trainer.model.temperatures, **_below(tensors, MODEL)})
    trainer.micro_batches.weights.load_state_dict(_below(tensors, WEIGHTS))
    trainer.average.restore(_below(tensors, AVERAGE))
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, tensor in _below(tensors, OPTIMIZER).items():
        number, name = key.split(".")
        state.setdefault(int(number), {})[name] = tensor
    groups = trainer.optimizer.state_dict()["param_groups"]
    for group, learning_rate in zip(groups, progress.learning_rates, strict=True):
        group["lr"] = learning_rate
    trainer.optimizer.load_state_dict({"state": state, "param_groups": groups})
    LRScheduler.load_state_dict(trainer.schedule, {"last_epoch": progress.steps, "_step_count": progress.steps + 1})
    random = _below(tensors, RANDOM)
    torch.set_rng_state(random["cpu"].cpu())
    if "cuda" in random:
        torch.cuda.set_rng_state(random["cuda"].cpu(), trainer.predictor.device)
    if "mps" in random:
        torch.mps.set_rng_state(random["mps"].cpu())
    done = progress.steps - report.epoch * trainer.steps_an_epoch
    return (
        EpochTotals() if report.whole else EpochTotals(steps=done + trainer.steps_an_epoch, sums=_below(tensors, EPOCH))
    )


def remove_progress(directory: Path) -> None:
    """Remove what only a trial that goes on needs, and what was left half-written; the best weights stay."""
    for path in [path for name in (PROGRESS, STATES, "*.partial") for path in directory.rglob(name)]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _state(directory: Path, report: EpochReport) -> Path:
    place = str(report.epoch) if report.whole else f"{report.epoch}-{report.rung}"
    return directory / STATES.replace("*", place)


def _tensors(trainer: Trainer) -> dict[str, torch.Tensor]:
    tensors = {f"{MODEL}{name}": tensor for name, tensor in trainer.model.state_dict().items()}
    tensors |= {f"{WEIGHTS}{name}": tensor for name, tensor in trainer.micro_batches.weights.state_dict().items()}
    tensors |= {f"{AVERAGE}{name}": tensor for name, tensor in trainer.average.state().items()}
    for number, parts in trainer.optimizer.state_dict()["state"].items():
        tensors |= {f"{OPTIMIZER}{number}.{name}": tensor for name, tensor in parts.items()}
    tensors[f"{RANDOM}cpu"] = torch.get_rng_state()
    if trainer.predictor.device.type == "cuda":
        tensors[f"{RANDOM}cuda"] = torch.cuda.get_rng_state(trainer.predictor.device)
    if trainer.predictor.device.type == "mps":
        tensors[f"{RANDOM}mps"] = torch.mps.get_rng_state()
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _below(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
