"""Lets trials take their time, and most of them only report. In: PACED_SECONDS an epoch. Out: reports in PACED_FOLDER.

Python imports this module at its start where its folder is on PYTHONPATH: in the driver and in Ray's workers alike. The
first trials train. The others need no memory for that: they report what the first one did, with values of their own.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from after_import import change_after_import

from xa_search.records import EpochReport, TrialJob

SECONDS = float(os.environ["PACED_SECONDS"])
FOLDER = Path(os.environ["PACED_FOLDER"])
TRAINED = 4
"""How many trials train; none of the others scores as well as these."""
LOW = 1e-6


def paced(job: TrialJob) -> Iterator[EpochReport]:
    """Write down each report before anybody hears of it; no epoch is shorter than asked for."""
    from xa_search.training.trial import train_trial

    number, begin = int(job.directory.name), time.monotonic()
    with told_by(number).open("a", encoding="utf-8") as reports:
        for report in train_trial(job) if number < TRAINED else repeated(job, number):
            time.sleep(max(0.0, begin + SECONDS - time.monotonic()))
            begin = time.monotonic()
            metrics = {**report.metrics, "selection_score": report.score}
            reports.write(json.dumps({"epoch": report.epoch, "metrics": metrics}) + "\n")
            reports.flush()
            yield report


def repeated(job: TrialJob, number: int) -> Iterator[EpochReport]:
    """Report the metrics that the first trial had in its first epoch, with values that no other trial reports."""
    while not (lines := told_by(0).read_text(encoding="utf-8").splitlines() if told_by(0).exists() else []):
        time.sleep(0.2)
    names, epochs = list(json.loads(lines[0])["metrics"]), job.settings.epochs
    names.remove("selection_score")
    for epoch in range(1, epochs + 1):
        score = LOW * (1 + epoch + number / 1000)
        metrics = {name: score + place / 3 for place, name in enumerate(names)}
        yield EpochReport(
            epoch=epoch, score=score, best_score=score, best_epoch=epoch, final=epoch == epochs, metrics=metrics
        )


def told_by(number: int) -> Path:
    return FOLDER / f"{number}.jsonl"


change_after_import("xa_search.search.trial_events", lambda module: setattr(module, "train_trial", paced))
