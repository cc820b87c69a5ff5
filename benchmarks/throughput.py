"""The published training step against ours. In: a corpus. Out: a printed table, and every figure as JSON.

    python benchmarks/throughput.py --data mtod.zip --sizes small base --precisions fp32 own --threads 2 --rounds 7 \
        --out benchmarks/results/throughput.json
    python benchmarks/throughput.py quality --data mtod.zip --out benchmarks/results/speed_quality.json

In each round every arm trains on the same utterances, one arm after the other, beside a product of large matrices in
the same precision. An example is one labelled utterance with its pair. `share` is the part of that product's rate that
an arm's necessary operations reach: those of operations.py, over real tokens. `base` and `large` are random weights.
Precision `own` is each arm's own: fp32 is the published step's, ours is what the product's probe chooses.
The second form asks what the speed costs: see speed_quality.py.
"""

import argparse
import gc
import sys
from pathlib import Path
from statistics import median
from typing import Any

from arms import ARMS, DIMENSIONS, AnyLearner, arm_job, build_arm, draw_rows, encoder_of, prepare_arms, train
from children import WARM_UP_STEPS, measure_memory, train_at_once
from machine import clock, describe_machine, matrix_rate
from operations import encoder_parameters, training_operations
from published_step import PAD_LENGTH
from results_file import command_line, spread, write_json
from speed_quality import main as compare_quality
from step_parts import time_epoch_costs, time_step_parts

from xa_search.errors import XaSearchError
from xa_search.model.encoder import load_encoder_config
from xa_search.records import EncoderFiles, Plan, TrialJob
from xa_search.training.device import PRECISION, resolve_precision, trial_device
from xa_search.training.trainer import Trainer

ENDLESS_EPOCHS = 1000
LEARNING_RATE = 1e-5


def measure_side_by_side(plan: Plan, jobs: dict[str, TrialJob], options: argparse.Namespace) -> dict[str, Any]:
    """Train all arms in alternation in this process; then take our step and our epoch apart."""
    learners = {arm: build_arm(arm, job, options.pad_length) for arm, job in jobs.items()}
    for trainer in learners.values():
        warm_up = options.warm_up * trainer.job.settings.batch_size
        train(trainer, draw_rows(trainer.data, warm_up, options.seed, 0), 0)
    rounds = [measure_round(learners, options, turn) for turn in range(1, options.rounds + 1)]
    found = {
        "encoder_parameters": encoder_parameters(next(iter(learners.values())).model),
        "arms": {arm: summarise(arm, job.settings.precision, rounds, options.examples) for arm, job in jobs.items()},
        "rounds": rounds,
    }
    ours = learners.get("ours")
    return found | take_apart(ours, plan, options) if isinstance(ours, Trainer) else found


def measure_round(learners: dict[str, AnyLearner], options: argparse.Namespace, turn: int) -> dict[str, Any]:
    """Train each arm once on the same utterances, each after a product of matrices in the same precision."""
    device = trial_device()
    figures: dict[str, Any] = {}
    for arm, trainer in learners.items():
        settings, data = trainer.job.settings, draw_rows(trainer.data, options.examples, options.seed, turn)
        rate = matrix_rate(device, settings.precision)
        start = clock(device)
        train(trainer, data, turn)
        seconds = clock(device) - start
        operations = training_operations(trainer.model, data, turn, independent=settings.pairing == "independent")
        figures[arm] = {"matrix_rate": rate, "seconds": seconds, "operations": operations}
    return figures


def summarise(arm: str, precision: str, rounds: list[dict[str, Any]], examples: int) -> dict[str, Any]:
    """Return the spread of an arm's figures; what compares it with another is taken within each round."""
    own = [figures[arm] for figures in rounds]
    found = {
        "precision": precision,
        "matrix_rate": spread([one["matrix_rate"] for one in own]),
        "examples_a_second": spread([examples / one["seconds"] for one in own]),
        "operations_an_example": median(one["operations"] for one in own) / examples,
        "share": spread([one["operations"] / one["seconds"] / one["matrix_rate"] for one in own]),
    }
    if "published" in rounds[0]:
        found["speed_up"] = spread([one["published"]["seconds"] / one[arm]["seconds"] for one in rounds])
    return found


def take_apart(ours: Trainer, plan: Plan, options: argparse.Namespace) -> dict[str, Any]:
    """Time the parts of our step on the utterances of the rounds, and what an epoch costs beside its steps."""
    turns = range(1, options.rounds + 1)
    parts = [time_step_parts(ours, draw_rows(ours.data, options.examples, options.seed, turn), turn) for turn in turns]
    return {
        "step_parts": {
            part: {
                "share": spread([one[part] / sum(one.values()) for one in parts]),
                "milliseconds_an_example": spread([1000 * one[part] / options.examples for one in parts]),
            }
            for part in parts[0]
        },
        "epoch_costs": time_epoch_costs(ours, plan, options.rounds),
    }


def measure_all(options: argparse.Namespace) -> None:
    """Measure each size in each precision, and write and print what is known after each."""
    encoders = {size: encoder_of(size, options.home) for size in options.sizes}
    plan, prepared = prepare_arms(options.data, options.home, options.threads, list(encoders.values()))
    result: dict[str, Any] = {
        "command": command_line(),
        "machine": describe_machine(trial_device(), options.threads),
        **{name: getattr(options, name) for name in ("seed", "examples", "pad_length", "at_once")},
        "measurements": [],
    }
    same = {"epochs": ENDLESS_EPOCHS, "learning_rate": LEARNING_RATE, "seed": options.seed}
    for size, encoder in encoders.items():
        for precision in options.precisions:
            jobs = {
                arm: arm_job(
                    plan,
                    prepared,
                    arm,
                    encoder,
                    precision=arm_precision(arm, precision, prepared.encoders[encoder], options),
                    **same,
                )
                for arm in options.arms
            }
            entry = {"size": size, "precision": precision, **measure_side_by_side(plan, jobs, options)}
            gc.collect()  # reference cycles still hold the learners
            # After them, so that the trimmed encoder is on disk: only the first trial of a search writes it.
            if not options.no_memory:
                entry["memory"] = {arm: measure_memory(arm, job, options.pad_length) for arm, job in jobs.items()}
            if options.at_once > 1:
                entry["at_once"] = measure_at_once(jobs, options)
            result["measurements"].append(entry)
            write_json(options.out, result)
            print_entry(entry)


def arm_precision(arm: str, precision: str, encoder: EncoderFiles, options: argparse.Namespace) -> str:
    """Return an arm's precision; its own is fp32 if published, otherwise what the product's probe chooses here."""
    if precision != "own":
        return precision
    wanted = "fp32" if arm == "published" else "auto"
    config = load_encoder_config(encoder)
    return resolve_precision(wanted, trial_device(), options.threads, options.home / PRECISION, config)


def measure_at_once(jobs: dict[str, TrialJob], options: argparse.Namespace) -> dict[str, Any]:
    """Return the examples a second of several trials of one arm side by side."""
    sizes = (options.pad_length, options.examples, options.rounds)
    return {arm: spread(train_at_once(options.at_once, arm, job, *sizes)) for arm, job in jobs.items()}


def print_entry(entry: dict[str, Any]) -> None:
    """Print the figures of one size and precision."""
    print(f"\n{entry['size']}, precision {entry['precision']}")
    for arm, figures in entry["arms"].items():
        speed, share = figures["examples_a_second"], figures["share"]
        line = f"  {arm:18s} {figures['precision']} of {figures['matrix_rate']['median'] / 1e9:.0f} G operations/s"
        line += f" {speed['median']:8.2f} examples/s "
        line += f"[{speed['lower_quartile']:.2f}, {speed['upper_quartile']:.2f}]"
        line += f"  share {share['median']:.2f}"
        if "memory" in entry:
            line += f"  peak {entry['memory'][arm]['peak_gb']:.2f} GB"
        if "speed_up" in figures:
            line += f"  {figures['speed_up']['median']:.2f} times published"
        if "at_once" in entry:
            line += f"  at once {entry['at_once'][arm]['median']:.2f} examples/s"
        print(line)
    if "step_parts" in entry:
        parts = [f"{part} {figures['share']['median']:.0%}" for part, figures in entry["step_parts"].items()]
        costs = {name: value for name, value in entry["epoch_costs"].items() if isinstance(value, dict)}
        print("  our step: " + ", ".join(parts))
        print("  our epoch: " + ", ".join(f"{name} {value['median']:.3g}" for name, value in costs.items()), flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--home", type=Path, default=Path.home() / ".xa-search")
    parser.add_argument("--sizes", nargs="+", choices=("tiny", "small", *DIMENSIONS), default=["small"])
    parser.add_argument("--precisions", nargs="+", choices=("fp32", "bf16", "own"), default=["fp32", "own"])
    parser.add_argument("--arms", nargs="+", choices=tuple(ARMS), default=list(ARMS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=1, help="also measure so many trials side by side")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--examples", type=int, default=160, help="utterances a round; 160 leaves no short batch")
    parser.add_argument("--warm-up", type=int, default=WARM_UP_STEPS, help="steps before the first round")
    parser.add_argument("--no-memory", action="store_true", help="leave out the peak memory, which takes as many again")
    parser.add_argument("--pad-length", type=int, default=PAD_LENGTH)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    try:
        if sys.argv[1:2] == ["quality"]:
            compare_quality(sys.argv[2:])
        else:
            measure_all(parse())
    except XaSearchError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
