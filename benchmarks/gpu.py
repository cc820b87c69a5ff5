"""A GPU under this program, in at most eight minutes. In: a corpus. Out: a printed table, and JSON after each part.

    python benchmarks/gpu.py --data mtod.zip --out benchmarks/results/gpu.json

Without a GPU it says so, and does the counting part alone, on the CPU. No GPU was at hand where this was written: its
counting part ran, the others never did.

counting: what a training step asks of a device: copies to it, and kernels, which are operations that are no views.
sizes: base and large with random weights in the precision that the probe chooses; from batch 32 on the batch is doubled
while it fits: examples a second, the share of the rate of a product of large matrices that the necessary operations
reach (goal: 0.4 at the largest batch), and at batch 32 the time of a step beside that of its kernels (goal: below 1.3
times); the published step on the same utterances, padded to a fixed length, with its whole vocabulary. packing:
gpu_packing.py. search: a short search of the bundled corpus. What the time does not suffice for is named.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from arms import arm_job, build_arm, draw_rows, encoder_of, prepare_arms, train
from machine import clock, describe_machine, matrix_rate
from operations import training_operations
from published_step import PAD_LENGTH
from results_file import command_line, write_json
from throughput import ENDLESS_EPOCHS, LEARNING_RATE
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

from xa_search.errors import XaSearchError
from xa_search.records import Plan
from xa_search.training.data import evaluation_collator
from xa_search.training.device import PRECISION, resolve_precision, trial_device
from xa_search.training.micro_batches import MicroBatches
from xa_search.training.steps import step_batches
from xa_search.training.trainer import Trainer, build_trainer
from xa_search.workflows.preflight import Prepared

SECONDS = 480.0
FIRST_BATCH, LARGEST_BATCH = 32, 1024
PROFILED_STEPS, TIMED_STEPS = 4, 8
META = torch.device("meta")


class Operations(TorchDispatchMode):
    """Counts kernels by name, and copies between devices."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels: Counter[str] = Counter()
        self.copies = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = function(*args, **(kwargs or {}))
        if args and isinstance(args[0], torch.Tensor) and isinstance(found, torch.Tensor):
            self.copies += args[0].device != found.device
        if not function.is_view:
            self.kernels[function.overloadpacket.__name__] += 1
        return found


def count_operations(plan: Plan, prepared: Prepared) -> dict[str, Any]:
    """Count what a step asks of a device; nothing is computed."""
    trainer = build_trainer(arm_job(plan, prepared, "ours", "tiny", precision="fp32"))
    collator = evaluation_collator(trainer.job.corpus)
    step = next(step_batches(trainer.data, collator, trainer.job.settings, 0))
    model = trainer.model.to(META).train()
    predictor = replace(trainer.predictor, model=model, device=META)
    before = trainer.micro_batches
    micro_batches = MicroBatches(
        predictor=predictor, collator=collator, settings=before.settings, weights=before.weights.to(META)
    )
    with patch.object(torch, "autocast", lambda *_, **__: nullcontext()), Operations() as whole:
        micro_batches.accumulate_gradients(step)
    padded_tokens = len(step.batch.lengths) * int(step.batch.lengths.max())
    return {
        "encoder": "tiny",
        "layers": model.encoder.config.num_hidden_layers,
        "copies_a_step": whole.copies,
        "kernels_forward_and_backward": whole.kernels.total(),
        "tokens": {"packed": len(step.batch.input_ids), "padded": padded_tokens},
    }


def measure_size(size: str, plan: Plan, prepared: Prepared, options: argparse.Namespace, deadline: float) -> Any:
    """Double the batch while it fits and time is left; then take the published step."""
    encoder, device = encoder_of(size, options.home), trial_device()
    settings: dict[str, Any] = {"epochs": ENDLESS_EPOCHS, "learning_rate": LEARNING_RATE}
    probe = arm_job(plan, prepared, "ours", encoder)
    config = json.loads((Path(encoder) / "config.json").read_text(encoding="utf-8"))
    wanted = argparse.Namespace(**config)
    precision = resolve_precision("auto", device, probe.threads, options.home / PRECISION, wanted)
    rate = matrix_rate(device, precision)
    found: dict[str, Any] = {"size": size, "precision": precision, "matrix_rate": rate, "batches": []}
    batch_size = FIRST_BATCH
    while batch_size <= LARGEST_BATCH and time.monotonic() < deadline:
        job = arm_job(plan, prepared, "ours", encoder, **settings | {"batch_size": batch_size, "precision": precision})
        trainer = build_trainer(job)
        figures = time_steps(trainer, batch_size, rate)
        if batch_size == FIRST_BATCH:
            figures |= profile_steps(trainer)
        fits = trainer.micro_batches.halvings == 0
        del trainer
        gc.collect()
        torch.cuda.empty_cache()
        if not fits:
            found["does_not_fit"] = batch_size
            break
        found["batches"].append(figures)
        batch_size *= 2
    found["published"] = time_published(plan, prepared, encoder, settings)
    return found


def time_steps(trainer: Trainer, batch_size: int, rate: float) -> dict[str, float]:
    """Return examples a second and the share of the matrix rate, of some steps behind two others."""
    count = min(TIMED_STEPS * batch_size, len(trainer.data.train) // batch_size * batch_size)
    train(trainer, draw_rows(trainer.data, min(count, 2 * batch_size), 1, 0), 0)
    data, device = draw_rows(trainer.data, count, 1, 1), trial_device()
    start = clock(device)
    train(trainer, data, 1)
    seconds = clock(device) - start
    operations = training_operations(trainer.model, data, 1, independent=False)
    figures = {"batch_size": batch_size, "examples_a_second": count / seconds, "share": operations / seconds / rate}
    return figures | {"peak_gb": torch.cuda.max_memory_allocated() / 1e9}


def profile_steps(trainer: Trainer) -> dict[str, float]:
    """Return the seconds of a step, without a profiler, and of the kernels in it; how many there are."""
    data, device = draw_rows(trainer.data, PROFILED_STEPS * FIRST_BATCH, 1, 2), trial_device()
    start = clock(device)
    train(trainer, data, 2)
    seconds = (clock(device) - start) / PROFILED_STEPS
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiled:
        train(trainer, data, 2)
        clock(device)
    kernels = [one for one in profiled.events() if one.device_type == torch.autograd.DeviceType.CUDA]
    busy = sum(one.time_range.elapsed_us() for one in kernels) / 1e6 / PROFILED_STEPS
    copies = sum("HtoD" in one.name for one in kernels) / PROFILED_STEPS
    figures = {"step_seconds": seconds, "kernel_seconds": busy, "step_by_kernels": seconds / busy}
    return figures | {"kernels_a_step": len(kernels) / PROFILED_STEPS, "copies_a_step": copies}


def time_published(plan: Plan, prepared: Prepared, encoder: str, settings: dict[str, Any]) -> dict[str, float]:
    """Return the examples a second of the published step, in fp32."""
    learner = build_arm(
        "published", arm_job(plan, prepared, "published", encoder, **settings, precision="fp32"), PAD_LENGTH
    )
    count, device = 16 * learner.job.settings.batch_size, trial_device()
    train(learner, draw_rows(learner.data, count // 4, 1, 0), 0)
    data = draw_rows(learner.data, count, 1, 1)
    start = clock(device)
    train(learner, data, 1)
    found = {"examples_a_second": count / (clock(device) - start)}
    del learner
    gc.collect()
    torch.cuda.empty_cache()
    return found


def run_program(command: list[str], deadline: float) -> dict[str, Any]:
    """Run another program for as long as time is left; return its end, and the last lines that it printed."""
    start, left = time.monotonic(), deadline - time.monotonic()
    if left < 30:
        return {"left_out": "no time was left"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=left, env={**os.environ})
    except subprocess.TimeoutExpired:
        return {"left_out": f"not done in {left:.0f} s"}
    lines = (done.stdout + done.stderr).splitlines()[-25:]
    return {"exit_code": done.returncode, "seconds": time.monotonic() - start, "printed": lines}


def measure(options: argparse.Namespace) -> None:
    begin = time.monotonic()
    on_gpu = torch.cuda.is_available()
    sizes = options.sizes if on_gpu else []
    plan, prepared = prepare_arms(
        options.data, options.home, 1, ["tiny", *(encoder_of(size, options.home) for size in sizes)]
    )
    result: dict[str, Any] = {"command": command_line(), "machine": describe_machine(trial_device(), 1)}

    def note(part: str, found: Any) -> None:
        result[part] = found
        write_json(options.out, result)
        print(f"{part} ({time.monotonic() - begin:.0f} s): {json.dumps(found)}", flush=True)

    note("counting", count_operations(plan, prepared))
    if not on_gpu:
        print("there is no GPU here: nothing was timed; run it where `nvidia-smi` shows one")
        return
    ends = begin + SECONDS
    for turn, size in enumerate(sizes, 1):
        deadline = begin + 0.5 * SECONDS * turn / len(sizes)
        note(size, measure_size(size, plan, prepared, options, deadline))
    with tempfile.TemporaryDirectory() as folder:
        home = str(Path(folder) / "home")
        packing = [sys.executable, str(Path(__file__).with_name("gpu_packing.py")), "mtop-mini", "--home", home]
        note("packing", run_program([*packing, "--out", str(Path(folder) / "packing.json")], ends - 120))
        search = [sys.executable, "-m", "xa_search", "run", "mtop-mini", "--trials", "4", "--home", home]
        note("search", run_program([*search, "--time-budget", "80s"], ends))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="MTOD as a folder or an archive")
    parser.add_argument("--home", type=Path, default=Path.home() / ".xa-search")
    parser.add_argument("--sizes", nargs="+", choices=("base", "large"), default=["base", "large"])
    parser.add_argument("--out", type=Path, required=True)
    try:
        measure(parser.parse_args())
    except XaSearchError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
