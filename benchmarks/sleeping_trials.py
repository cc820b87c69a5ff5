"""Trials that sleep in place of training. In: a TrialJob. Out: reports, a checkpoint, and where each epoch took place.

Workers import this module: it needs none of the heavy libraries.
"""

import json
import os
import time
from collections.abc import Iterator
from typing import Any

from xa_search.records import EncodedCorpus, EncoderFiles, EpochReport, Plan, TrialJob, TrialRecord

CHECKPOINT, STEPS, RELEASED = "checkpoint", "steps.jsonl", "released"
HELD_AFTER = 2
BETWEEN_LOOKS = 0.05


def sleeping(job: TrialJob) -> Iterator[EpochReport]:
    """Sleep in place of training, keep a checkpoint after each epoch, and go on from it wherever this runs next."""
    import ray

    checkpoint, context = job.directory / CHECKPOINT, ray.get_runtime_context()
    done = int(checkpoint.read_text()) if checkpoint.exists() else 0
    for epoch in range(max(1, done), job.settings.epochs + 1):
        if epoch > done:
            began = time.time()
            time.sleep(float(os.environ["EPOCH_SECONDS"]))
            temporary = checkpoint.with_suffix(".partial")
            temporary.write_text(str(epoch))
            os.replace(temporary, checkpoint)
            step = {
                "epoch": epoch,
                "node": context.get_node_id(),
                "gpu": os.environ.get("CUDA_VISIBLE_DEVICES", ""),
                "process": os.getpid(),
                "began": began,
                "ended": time.time(),
            }
            with (job.directory / STEPS).open("a") as steps:
                steps.write(json.dumps(step) + "\n")
        score = epoch / (1 + abs(job.settings.align_weight - 1))
        yield EpochReport(
            epoch=epoch, score=score, best_score=score, best_epoch=epoch, final=epoch == job.settings.epochs, metrics={}
        )


def held(job: TrialJob) -> Iterator[EpochReport]:
    """Sleep in place of training; trials from HELD_FROM on wait, with two epochs saved, until all are released."""
    waits, released = int(job.directory.name) >= int(os.environ["HELD_FROM"]), job.home / RELEASED
    for report in sleeping(job):
        yield report
        while waits and report.epoch == HELD_AFTER and not released.exists():
            time.sleep(BETWEEN_LOOKS)


def whereabouts() -> tuple[str, int]:
    """Return the node that this runs on, and how many GPUs it has there: asked for in place of a test of a model."""
    import ray

    context = ray.get_runtime_context()
    return context.get_node_id(), len(context.get_accelerator_ids().get("GPU", []))


def release(plan: Plan) -> None:
    """Let the trials of a search that are held go on, and hold no other."""
    (plan.home / RELEASED).touch()


def make_job(plan: Plan, record: TrialRecord) -> TrialJob:
    directory = plan.directory / "trials" / str(record.number)
    directory.mkdir(parents=True, exist_ok=True)
    return TrialJob(
        settings=record.settings,
        encoder=EncoderFiles(
            directory=plan.home, size="none", origin="none", revision="", tokenizer_fingerprint="", embedding="mean"
        ),
        corpus=EncodedCorpus(directory=plan.home, source="en", targets=("de",), intents=("a",), slot_tags=("O",)),
        selection="label_free",
        directory=directory,
        home=plan.home,
        threads=1,
    )


def steps_of(plan: Plan, number: int) -> list[dict[str, Any]]:
    path = plan.directory / "trials" / str(number) / STEPS
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
